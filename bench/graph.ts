/**
 * What the graph itself costs, with a scripted model and a scripted sandbox that take no time: milliseconds an attempt against a bare
 * LangGraph loop of as many supersteps in the same run, and bytes of checkpoints for a task of 12 attempts × 40 steps with 8 kB shown and
 * 200 kB logged a step. Run: npm run bench:graph -- [attempts] [steps]
 */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { END, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { z } from "zod";
import { threadIdOf } from "../formats/run-directory.js";
import { RunLog } from "../formats/trajectory/run-log.js";
import { createCapabilities } from "../graphs/capabilities.js";
import { CHECKPOINT_FILE, openCheckpointer } from "../graphs/checkpointer.js";
import { compileObserved } from "../graphs/observed.js";
import { createSkillGenerationGraph } from "../graphs/skill-generation.js";
import { createScriptedModel, createScriptedProvider } from "../testing.js";
import { printTable, timed } from "./table.js";

const OUTPUT = "x".repeat(200_000);
const MEMO = `## Exploration Memo (1 failed attempts)

### Attempts Log
- #1: tried

### Commands From Last Attempt
work

### Verified Facts
- work ran

### Current Error Pattern
wrong

### Next Strategy
another way`;

async function measure(attempts: number, steps: number) {
  const dir = await mkdtemp(join(tmpdir(), "spark-bench-"));
  const checkpointer = await openCheckpointer(dir, null);
  let step = 0;
  const model = createScriptedModel(() => (step++ % (steps + 1) < steps ? { commands: [`work ${step}`] } : "done"));
  const summary = createScriptedModel(() => MEMO);
  // One provider for all nodes: another one would not know the attempt's snapshot.
  const provider = createScriptedProvider({
    commands: [
      { match: /^work/, result: OUTPUT },
      // What our own machinery asks around an attempt.
      { match: /^if \[ -d /, result: "" },
    ],
    rewards: Array(attempts).fill(0),
  });
  const capabilities = createCapabilities({
    runsDir: dir,
    model: async (role) => ({ model: role === "teacher" ? model : summary, id: "scripted", costUsd: () => null }),
    sandbox: async () => provider,
  });
  const graph = compileObserved(createSkillGenerationGraph(capabilities), {
    name: "skill-generation",
    checkpointer: checkpointer.saver,
    log: new RunLog({ runsDir: dir }),
  });
  let scored = 0;
  const ms = await timed(async () => {
    const state = await graph.invoke({ task: join(import.meta.dirname, "../examples/tasks/log-report") }, {
      configurable: { thread_id: threadIdOf({ run: "bench", task: "log-report" }) },
      context: { maxAttempts: attempts, maxSteps: steps + 5, preflight: false, pdi: "observe" },
    } as never);
    scored = state.attempts.filter(({ status, rollout }) => status === "FAIL" && rollout.steps === steps + 1).length;
  });
  if (scored !== attempts)
    throw new Error(`${scored} of ${attempts} attempts were scored after ${steps} steps: the figures would be of something else`);
  await checkpointer.close();
  const bytes = (await stat(join(dir, CHECKPOINT_FILE))).size;
  await rm(dir, { recursive: true, force: true });
  return { ms, bytes };
}

/** The same number of supersteps with two empty nodes and no checkpointer on disk. */
async function bareLoop(supersteps: number): Promise<number> {
  const state = z.object({ count: z.number().default(0) });
  const graph = new StateGraph(state)
    .addNode("one", ({ count }) => ({ count: count + 1 }))
    .addEdge(START, "one")
    .addConditionalEdges("one", ({ count }) => (count < supersteps ? "one" : END), ["one", END])
    .compile({ checkpointer: new MemorySaver() });
  return timed(() => graph.invoke({ count: 0 }, { recursionLimit: supersteps + 10, configurable: { thread_id: "bare" } }));
}

const attempts = Number(process.argv[2] ?? 12);
const steps = Number(process.argv[3] ?? 40);
await measure(1, 5);
const rows = [];
for (const [a, s] of [
  [attempts, Math.ceil(steps / 2)],
  [attempts, steps],
  [attempts, steps * 2],
] as const) {
  const { ms, bytes } = await measure(a, s);
  const bare = await bareLoop(a * (2 * s + 5));
  rows.push({
    attempts: a,
    steps: s,
    "ms an attempt": (ms / a).toFixed(0),
    "of a bare loop's time": (ms / bare).toFixed(1),
    "checkpoint MB an attempt": (bytes / a / 1e6).toFixed(2),
    "kB a step": (bytes / a / s / 1000).toFixed(1),
  });
}
printTable("Graph overhead and checkpoints (200 kB of output logged and 8 kB shown a step)", rows);
process.exit(0);
