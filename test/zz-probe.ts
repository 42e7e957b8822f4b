import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { copyOfProject, startDevServer } from "./support/dev-server.js";
import { startModelEndpoint } from "./support/model-endpoint.js";
import { scriptedTeacher } from "./support/scripted-teacher.js";

await using endpoint = await startModelEndpoint({ reply: scriptedTeacher({ solve: () => ["echo x"] }) });
const t0 = Date.now();
const dir = await copyOfProject();
await using server = await startDevServer(dir, { OPENAI_BASE_URL: endpoint.url, XDG_CACHE_HOME: join(dir, "cache") });
console.log("ready", Date.now() - t0, server.url);
const { client } = server;
const assistants = await client.assistants.search();
console.log(JSON.stringify(assistants));
const id = assistants[0]!.assistant_id;
const t1 = Date.now();
const schemas = await client.assistants.getSchemas(id);
writeFileSync("/tmp/schemas.json", JSON.stringify(schemas, null, 1));
console.log("schemas", Date.now() - t1);
const graph = await client.assistants.getGraph(id, { xray: true });
writeFileSync("/tmp/graph.json", JSON.stringify(graph, null, 1));
const thread = await client.threads.create();
try {
  const result = await client.runs.wait(thread.thread_id, "skill-generation", {
    input: { task: resolve("examples/tasks/log-report") },
    context: { model: "m", sandbox: "virtual", maxAttempts: 1 },
  } as never);
  writeFileSync("/tmp/result.json", JSON.stringify(result, null, 1));
} catch (error) {
  console.log("run failed", error);
}
writeFileSync("/tmp/printed.txt", server.printed());
console.log("end", Date.now() - t0);
