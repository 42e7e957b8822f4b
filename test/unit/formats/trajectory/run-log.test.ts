import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { END, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { readLog } from "../../../../formats/trajectory/read-log.js";
import { RunLog } from "../../../../formats/trajectory/run-log.js";
import { compileObserved, withRunLog } from "../../../../graphs/observed.js";
import { SparkError } from "../../../../state/errors.js";
import { skillGenerationState } from "../../../../state/skill-generation.js";
import { attemptOf, builderOf, nodesOf, told } from "./run-log-graph.js";

let runsDir: string;
beforeEach(async () => {
  runsDir = await mkdtemp(join(tmpdir(), "run-log-"));
});
afterEach(() => rm(runsDir, { recursive: true, force: true }));

const thread = { configurable: { thread_id: "r--t" } };
const rawLines = async (run = "r", task = "t"): Promise<Record<string, unknown>[]> =>
  (await readFile(join(runsDir, run, task, "trajectory.jsonl"), "utf8"))
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
const observed = (log: RunLog, saver: MemorySaver | null = new MemorySaver(), disturb?: Parameters<typeof builderOf>[1]) =>
  compileObserved(builderOf(runsDir, disturb), { name: "skill-generation", log, ...(saver ? { checkpointer: saver } : {}) });

const wholeRun = [
  "attempt_start 0",
  "model_call 0 call-model",
  "command 0 0",
  "command 0 1",
  "execution_result 0 FAIL",
  "model_call 0 reflect-memo",
  "reflect_call 0",
  "attempt_start 1",
  "model_call 1 call-model",
  "command 1 0",
  "command 1 1",
  "execution_result 1 PASS",
  "task_summary 2",
];

describe("RunLog", () => {
  it("writes what nodes, models and tools did in order, each line with an identity of its own", async () => {
    const seen: string[] = [];
    const log = new RunLog({
      runsDir,
      costUsd: (model, { inputTokens }) => (model === "m" ? inputTokens / 100 : null),
      explorationConfig: { max_retries: 2 },
      onLine: (line) => seen.push(told(line)),
    });
    await observed(log).invoke({ task: "/tasks/t" }, thread);
    const lines = await rawLines();
    expect(lines.map(told)).toEqual(wholeRun);
    expect(seen).toEqual(wholeRun);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(lines.length);
    for (const line of lines) expect(typeof line.ts).toBe("number");
    expect(lines[1]).toMatchObject({ model: "m", input_tokens: 10, output_tokens: 2, cost_usd: 0.1 });
    expect(lines[4]).toMatchObject({ success: false, reward: 0, n_tests: 1, test_summary: "FAILED (1)\n✗ test 0" });
    expect(lines[6]).toMatchObject({ memo_before: "", memo_after: "the memo" });
    expect(lines.at(-1)).toMatchObject({
      success: true,
      reward_trajectory: [0, 1],
      total_input_tokens: 30,
      total_output_tokens: 6,
      exploration_config: { max_retries: 2 },
    });
    expect((await readLog(join(runsDir, "r", "t", "trajectory.jsonl"))).problems).toEqual([]);
  });

  it("writes once when it is bound to the graph and again by the caller, by a second log, or on a node inside", async () => {
    const log = new RunLog({ runsDir });
    await observed(log).invoke({ task: "/tasks/t" }, { ...thread, callbacks: [log, new RunLog({ runsDir })] });
    const wrapped = compileObserved(
      builderOf(runsDir, undefined, (node) => withRunLog(node as never, { runsDir }) as never),
      { name: "skill-generation", log, checkpointer: new MemorySaver() },
    );
    await withRunLog(wrapped, { runsDir }).invoke({ task: "/tasks/t" }, { configurable: { thread_id: "s--t" } });
    expect((await rawLines()).map(told)).toEqual(wholeRun);
    expect((await rawLines("s")).map(told)).toEqual(wholeRun);
  });

  it("logs alike when the graph is a node, or is called by a node, of a foreign graph that passes our records on", async () => {
    const inner = builderOf(runsDir).compile({ name: "skill-generation" });
    const asNode = new StateGraph(skillGenerationState)
      .addNode("make", inner)
      .addEdge(START, "make")
      .addEdge("make", END)
      .compile({ checkpointer: new MemorySaver() });
    await withRunLog(asNode, { runsDir }).invoke({ task: "/tasks/t" }, thread);
    const called = new StateGraph(skillGenerationState)
      .addNode("make", async (state, config) => {
        const { attempts, memos } = await inner.invoke({ task: state.task }, config);
        return { attempts, memos };
      })
      .addEdge(START, "make")
      .addEdge("make", END)
      .compile({ checkpointer: new MemorySaver() });
    await withRunLog(called, { runsDir }).invoke({ task: "/tasks/t" }, { configurable: { thread_id: "s--t" } });
    expect((await rawLines()).map(told)).toEqual(wholeRun);
    expect((await rawLines("s")).map(told)).toEqual(wholeRun);
  });

  it("logs a single node in a foreign graph that nobody observes", async () => {
    const foreign = z.object({ ...skillGenerationState.shape, mood: z.string().default("fine") });
    const { explore, verify } = nodesOf(runsDir);
    const graph = new StateGraph(foreign)
      .addNode("explore", withRunLog(explore, { runsDir }))
      .addNode("judge", withRunLog(verify, { runsDir }))
      .addNode("own", () => ({ mood: "good" }))
      .addEdge(START, "explore")
      .addEdge("explore", "judge")
      .addEdge("judge", "own")
      .addEdge("own", END);
    await graph.compile({ checkpointer: new MemorySaver() }).invoke({ task: "/tasks/t" }, thread);
    expect((await rawLines()).map(told)).toEqual(wholeRun.slice(0, 5));
    // Without a thread both nodes still find one folder, and the next run another.
    await graph.compile().invoke({ task: "/tasks/t" });
    await graph.compile().invoke({ task: "/tasks/t" });
    const runs = (await readdir(runsDir)).filter((name) => name !== "r");
    expect(runs).toHaveLength(2);
    for (const run of runs) expect((await rawLines(run)).map(told)).toEqual(wholeRun.slice(0, 5));
  });

  it("finds the folder: by the thread `run--task`, by a server's thread and the state's task, by the outermost run without a thread", async () => {
    await observed(new RunLog({ runsDir })).invoke({ task: "/tasks/t" }, { configurable: { thread_id: "nightly--other" } });
    expect(await rawLines("nightly", "other")).toHaveLength(wholeRun.length);
    const uuid = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
    await observed(new RunLog({ runsDir })).invoke({ task: "/tasks/t" }, { configurable: { thread_id: uuid } });
    expect(await rawLines(uuid)).toHaveLength(wholeRun.length);
    const root = "0a2504e0-4f89-41d3-9a0c-0305e82c3301";
    await observed(new RunLog({ runsDir }), null).invoke({ task: "/tasks/t" }, { runId: root });
    expect(await rawLines(root)).toHaveLength(wholeRun.length);
    // Blobs stand in the same folders: nodes and log agree.
    expect((await readdir(runsDir)).sort()).toEqual([root, uuid, "nightly"].sort());
  });

  it("stops the run when the disk refuses, at a node's line and at a tool's, instead of leaving a gap", async () => {
    for (const at of ["explore", "run-tools"]) {
      const dir = join(runsDir, at, "t");
      await mkdir(dir, { recursive: true });
      // A directory in the log's place: no user, root neither, can append to it.
      const deny = async () => {
        await rm(join(dir, "trajectory.jsonl"), { force: true });
        await mkdir(join(dir, "trajectory.jsonl"), { recursive: true });
      };
      if (at === "explore") await deny();
      const nodes: string[] = [];
      const graph = observed(new RunLog({ runsDir }), new MemorySaver(), async (node) => {
        nodes.push(node);
        if (node === "call-model" && at === "run-tools") await deny();
      });
      const failure = await graph
        .invoke({ task: "/tasks/t" }, { configurable: { thread_id: `${at}--t` } })
        .catch((error: unknown) => error);
      expect(SparkError.isInstance(failure) && failure.code).toBe("disk");
      expect(nodes).not.toContain("verify");
    }
  });

  it("goes on in the same log object once the disk is free again", async () => {
    const path = join(runsDir, "r", "t", "trajectory.jsonl");
    await mkdir(path, { recursive: true });
    const log = new RunLog({ runsDir });
    const graph = observed(log);
    await expect(graph.invoke({ task: "/tasks/t" }, thread)).rejects.toThrow(/free space/);
    await rm(path, { recursive: true });
    await graph.invoke(null, thread);
    expect((await rawLines()).map(told)).toEqual(wholeRun);
  });

  it("gives a repeated execution the identities of the interrupted one, counts its calls in the cost, and writes the closing line after a resume", async () => {
    for (const where of ["call-model", "run-tools", "explore", "verify", "reflect-memo"]) {
      const saver = new MemorySaver();
      const config = { configurable: { thread_id: `${where}--t` } };
      let broken = false;
      const crashing = observed(new RunLog({ runsDir }), saver, (node) => {
        if (node !== where || broken) return;
        broken = true;
        throw new Error("killed");
      });
      await expect(crashing.invoke({ task: "/tasks/t" }, config)).rejects.toThrow("killed");
      await observed(new RunLog({ runsDir }), saver).invoke(null, config);
      const { lines, usage } = await readLog(join(runsDir, where, "t", "trajectory.jsonl"));
      expect(lines.map(told), where).toEqual(wholeRun);
      const repeated = where === "call-model" || where === "reflect-memo" ? 1 : 0;
      expect(usage.inputTokens, where).toBe(30 + 10 * repeated);
      expect(lines.at(-1), where).toMatchObject({ total_input_tokens: 30 + 10 * repeated });
    }
  });

  it("starts a repeated execution in the same process at the same ordinals", async () => {
    let failures = 0;
    const nodes = nodesOf(runsDir, (node) => {
      if (node === "reflect-memo" && failures++ === 0) throw new Error("once");
    });
    const graph = new StateGraph(skillGenerationState)
      .addNode("reflect-memo", nodes.reflect, {
        retryPolicy: { maxAttempts: 2, initialInterval: 1, jitter: false, retryOn: () => true, logWarning: false },
      })
      .addEdge(START, "reflect-memo")
      .addEdge("reflect-memo", END);
    await compileObserved(graph, { name: "g", log: new RunLog({ runsDir }), checkpointer: new MemorySaver() }).invoke(
      { task: "t", attempts: [attemptOf("a", 0)] },
      thread,
    );
    const calls = (await rawLines()).filter(({ type }) => type === "model_call");
    expect(calls).toHaveLength(2);
    expect(new Set(calls.map(({ id }) => id)).size).toBe(1);
    expect(new Set(calls.map(({ call }) => call)).size).toBe(2);
  });

  it("appends on reconciling only what the records demand and the log lacks, after cutting a torn line", async () => {
    const saver = new MemorySaver();
    const graph = observed(new RunLog({ runsDir }), saver);
    await graph.invoke({ task: "/tasks/t" }, thread);
    const path = join(runsDir, "r", "t", "trajectory.jsonl");
    const whole = await readFile(path, "utf8");
    const lines = whole.split("\n").slice(0, -1);
    const state = (await graph.getState(thread)).values;
    const address = { run: "r", task: "t" };

    await new RunLog({ runsDir }).reconcile(address, state, { finished: true });
    expect(await readFile(path, "utf8")).toBe(whole);

    // The second attempt's result and the closing line were lost, half a line stands at the end.
    await writeFile(path, `${lines.slice(0, -2).join("\n")}\n${lines.at(-2)!.slice(0, 50)}`);
    await new RunLog({ runsDir }).reconcile(address, state, { finished: true });
    const after = await rawLines();
    expect(after.map(told)).toEqual(wholeRun);
    const withoutTime = ({ ts: _, ...line }: Record<string, unknown>) => line;
    expect(withoutTime(after.at(-2)!)).toEqual(withoutTime(JSON.parse(lines.at(-2)!) as Record<string, unknown>));

    await new RunLog({ runsDir }).reconcile(address, state);
    expect(await rawLines()).toHaveLength(wholeRun.length);
  });

  it("writes no closing line a second time when a finished run is invoked again", async () => {
    const saver = new MemorySaver();
    await observed(new RunLog({ runsDir }), saver).invoke({ task: "/tasks/t" }, thread);
    await observed(new RunLog({ runsDir }), saver).invoke(null, thread);
    expect((await rawLines()).map(told)).toEqual(wholeRun);
  });

  it("keeps two runs in one log object apart", async () => {
    const graph = observed(new RunLog({ runsDir }));
    await Promise.all(["a", "b"].map((run) => graph.invoke({ task: "/tasks/t" }, { configurable: { thread_id: `${run}--t` } })));
    for (const run of ["a", "b"]) expect((await rawLines(run)).map(told)).toEqual(wholeRun);
  });

  it("redacts every line", async () => {
    await observed(new RunLog({ runsDir, redact: (text) => text.replaceAll("pwd", "[REDACTED]") })).invoke({ task: "/tasks/t" }, thread);
    const commands = (await rawLines()).filter(({ type }) => type === "command");
    expect(commands.map(({ command }) => command)).toEqual(["ls", "[REDACTED]", "ls", "[REDACTED]"]);
  });

  it("takes no notice of foreign nodes, whatever they return", async () => {
    const foreign = z.object({ task: z.string().default(""), attempts: z.any(), skill: z.any() });
    const graph = new StateGraph(foreign)
      .addNode("work", () => ({ attempts: 3, skill: { name: "x" } }))
      .addEdge(START, "work")
      .addEdge("work", END)
      .compile();
    await withRunLog(graph, { runsDir }).invoke({ task: "call mum" });
    expect(await readdir(runsDir)).toEqual([]);
  });
});
