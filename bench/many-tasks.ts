/** Scripted tasks in one process: time and memory must grow with the number of tasks, not faster. Run: npm run bench:many-tasks -- [tasks] */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemorySaver } from "@langchain/langgraph";
import pLimit from "p-limit";
import { threadIdOf } from "../formats/run-directory.js";
import { RunLog } from "../formats/trajectory/run-log.js";
import { createCapabilities } from "../graphs/capabilities.js";
import { compileObserved } from "../graphs/observed.js";
import { createSkillGenerationGraph } from "../graphs/skill-generation.js";
import { createScriptedModel, createScriptedProvider } from "../testing.js";
import { printTable, timed } from "./table.js";

const SKILL = `---\nname: log-report\ndescription: "Makes a report of a log."\n---\n# Log report\n\n## Workflow\n1. Read.\n2. Write.\n`;
const task = join(import.meta.dirname, "../examples/tasks/log-report");

async function run(tasks: number): Promise<{ ms: number; rss: number }> {
  const dir = await mkdtemp(join(tmpdir(), "spark-bench-"));
  const limit = pLimit(8);
  let rss = 0;
  const ms = await timed(() =>
    Promise.all(
      Array.from({ length: tasks }, (_, index) =>
        limit(async () => {
          // One provider a task: verify judges the snapshot that explore left in it.
          const provider = createScriptedProvider({ commands: [{ match: "work", result: "ok" }], rewards: [1] });
          const capabilities = createCapabilities({
            runsDir: dir,
            model: async (role) => ({
              model: role === "teacher" ? createScriptedModel([{ commands: ["work"] }, "done"]) : createScriptedModel([SKILL]),
              id: "scripted",
              costUsd: () => 0,
            }),
            sandbox: async () => provider,
          });
          const graph = compileObserved(createSkillGenerationGraph(capabilities), {
            name: "skill-generation",
            checkpointer: new MemorySaver(),
            log: new RunLog({ runsDir: dir }),
          });
          await graph.invoke({ task }, {
            configurable: { thread_id: threadIdOf({ run: "many", task: `task-${index}` }) },
            context: { preflight: false },
          } as never);
          rss = Math.max(rss, process.memoryUsage.rss());
        }),
      ),
    ),
  );
  await rm(dir, { recursive: true, force: true });
  return { ms, rss };
}

const most = Number(process.argv[2] ?? 1000);
await run(5);
const rows = [];
for (const tasks of [most / 10, most / 2, most]) {
  const { ms, rss } = await run(tasks);
  rows.push({ tasks, "ms a task": (ms / tasks).toFixed(1), "peak RSS MB": (rss / 1e6).toFixed(0) });
}
printTable("Scripted tasks in one process, 8 at a time", rows);
process.exit(0);
