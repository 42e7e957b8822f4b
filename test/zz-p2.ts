import { startDevServer } from "./support/dev-server.js";
const log = (...a: unknown[]) => console.log(...a);
const a = "4161173a-9153-5373-a0a9-5d5aab6a348f";
await using server = await startDevServer("/tmp/dev1", process.argv[2] ? { OPENAI_BASE_URL: "http://127.0.0.1:9/v1", XDG_CACHE_HOME: "/tmp/dev1/cache" } : {});
for (const p of [`/assistants/${a}/schemas`, `/assistants/${a}/graph?xray=true`, `/assistants/${a}/graph`]) {
  const t = Date.now();
  const r = await fetch(server.url + p, { signal: AbortSignal.timeout(8000) }).then((r) => r.text()).catch((e) => String(e));
  log(p, r.length, Date.now() - t);
}
log(server.printed().split("\n").slice(-12).join("\n"));
