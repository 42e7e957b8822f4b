import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { Annotation, END, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { readWholeLog } from "../../../formats/trajectory/read-log.js";
import { LOG_FILE, RunLog } from "../../../formats/trajectory/run-log.js";
import { createCapabilities } from "../../../graphs/capabilities.js";
import { compileObserved, withRunLog } from "../../../graphs/observed.js";
import { createShellAgentGraph } from "../../../graphs/shell-agent.js";
import { createSkillGenerationGraph } from "../../../graphs/skill-generation.js";
import { createIntervene } from "../../../nodes/skill-generation/intervene.js";
import { createExplore } from "../../../nodes/trial/explore.js";
import { createVerify } from "../../../nodes/trial/verify.js";
import type { AttemptRecord, Rollout } from "../../../state/attempt.js";
import { field } from "../../../state/channels.js";
import type { PdiRecord } from "../../../state/pdi.js";
import { type MemoRecord, skillGenerationState } from "../../../state/skill-generation.js";
import type { Capabilities } from "../../../tools/capabilities.js";
import { createScriptedProvider } from "../../../tools/sandbox/scripted.js";
import { createScriptedModel } from "../../../tools/scripted-model.js";
import { skillText } from "../../support/generation.js";

const task = resolve(import.meta.dirname, "../../../examples/tasks/log-report");
/** Settings under which a task needs no preflight; the agent works with a model, or not at all. */
const spark = { preflight: false, maxAttempts: 1 };
const nop = { ...spark, agent: "nop" };

let runsDir: string;
beforeEach(async () => {
  runsDir = await mkdtemp(join(tmpdir(), "spark-composable-"));
});
afterEach(() => rm(runsDir, { recursive: true, force: true }));

function capabilitiesOf(rewards: number[]): Capabilities {
  const provider = createScriptedProvider({
    commands: [
      { match: /^work/, result: "done" },
      { match: /^if \[ /, result: "" },
    ],
    rewards,
  });
  const teacher = createScriptedModel((messages) => (messages.length <= 2 ? { commands: ["work"] } : "done"));
  const summary = createScriptedModel(() => skillText());
  return createCapabilities({
    env: {},
    runsDir,
    sandbox: async () => provider,
    model: async (role) => ({ model: role === "teacher" ? teacher : summary, id: "scripted", costUsd: () => 0 }),
  });
}
const record = (id: string, more: Partial<MemoRecord> = {}): MemoRecord => ({
  id,
  attempt: 0,
  accepted: true,
  memo: null,
  problems: [],
  calls: [],
  ...more,
});

describe("the builder", () => {
  it("is compiled by its user, with a checkpointer, a name and interrupts of their own", async () => {
    const graph = createSkillGenerationGraph(capabilitiesOf([1])).compile({
      checkpointer: new MemorySaver(),
      name: "mine",
      interruptBefore: ["distill"],
    });
    const config = { configurable: { thread_id: "r--log-report" }, context: spark as never };
    const held = await graph.invoke({ task }, config);
    expect(held.attempts).toMatchObject([{ status: "PASS" }]);
    expect([held.skill, (await graph.getState(config)).next]).toEqual([null, ["distill"]]);
    expect((await graph.invoke(null, config)).gateReport).toMatchObject({ passed: true });
    expect(graph.name).toBe("mine");
  });

  it("makes a graph that is a node of another graph: shared lists are not doubled, settings and log reach it", async () => {
    const capabilities = capabilitiesOf([0, 0]);
    const inner = createSkillGenerationGraph(capabilities).compile();
    const { task: taskChannel, attempts } = skillGenerationState.shape;
    const outer = new StateGraph(z.object({ task: taskChannel, attempts, judged: field(z.string(), () => "") }))
      .addNode("skills", inner)
      .addNode("judge", (state) => ({ judged: state.attempts.map(({ status }) => status).join() }))
      .addEdge(START, "skills")
      .addEdge("skills", "judge")
      .addEdge("judge", END);
    const graph = compileObserved(outer, { name: "outer", checkpointer: new MemorySaver(), log: new RunLog({ runsDir }) });
    const state = await graph.invoke({ task }, { configurable: { thread_id: "r--log-report" }, context: { ...nop } } as never);
    expect(state.judged).toBe("FAIL");
    expect(state.attempts).toHaveLength(1);
    const { lines } = await readWholeLog(join(runsDir, "r/log-report", LOG_FILE));
    expect(lines.map(({ type }) => type)).toEqual(["attempt_start", "execution_result", "task_summary"]);
  });
});

describe("a node", () => {
  it("works in a graph of Annotations that has its slice as channels, and in one that has not, through a lens", async () => {
    const capabilities = capabilitiesOf([0.5]);
    const explore = createExplore(capabilities, createShellAgentGraph().compile());
    const verify = createVerify(capabilities);
    const Foreign = Annotation.Root({
      // The slice of explore and verify, under their own names.
      task: Annotation<string>,
      attempts: Annotation<AttemptRecord[]>({ reducer: (before, more) => [...before, ...[more].flat()], default: () => [] }),
      rollout: Annotation<Rollout | null>,
      // A list of one's own, which a lens shows to intervene as `pdi`.
      observations: Annotation<PdiRecord[]>,
      advice: Annotation<string>,
    });
    const intervene = createIntervene(capabilities);
    const graph = new StateGraph(Foreign)
      .addNode("try", explore)
      .addNode("judge", async (state, config) => {
        const { attempts } = await verify(state, config);
        return { attempts: attempts === undefined ? [] : [attempts] };
      })
      .addNode("advise", async ({ observations }, config) => ({
        advice: (await intervene({ pdi: observations }, config)).guidance?.text ?? "",
      }))
      .addEdge(START, "try")
      .addEdge("try", "judge")
      .addEdge("judge", "advise")
      .addEdge("advise", END)
      .compile();
    const observation = { id: "o", attempt: 0, method: "token_overlap", triggered: true, level: "soft" } as PdiRecord;
    const state = await graph.invoke({ task, observations: [observation] }, { context: spark });
    expect(state.attempts).toMatchObject([{ status: "PARTIAL", reward: 0.5, rollout: { commandCount: 1, steps: 2 } }]);
    expect(state.advice).not.toBe("");
  });

  it("is logged on its own in a graph that nobody observes", async () => {
    const capabilities = capabilitiesOf([0]);
    const explore = withRunLog(createExplore(capabilities, createShellAgentGraph().compile()), { runsDir });
    const { task: taskChannel, attempts, rollout } = skillGenerationState.shape;
    const graph = new StateGraph(z.object({ task: taskChannel, attempts, rollout }))
      .addNode("explore", explore)
      .addEdge(START, "explore")
      .addEdge("explore", END)
      .compile({ checkpointer: new MemorySaver() });
    await graph.invoke({ task }, { configurable: { thread_id: "r--log-report" }, context: spark });
    const { lines } = await readWholeLog(join(runsDir, "r/log-report", LOG_FILE));
    expect(lines.map(({ type }) => type)).toEqual(["attempt_start", "model_call", "command", "model_call"]);
  });
});

it("our channels keep their reducers when they are picked and spread into a state of somebody's own", async () => {
  const { memos, attempts } = skillGenerationState.shape;
  const spread = z.object({ ...{ memos, attempts }, mine: field(z.number(), () => 7) });
  const picked = skillGenerationState.pick({ memos: true, attempts: true }).extend({ mine: field(z.number(), () => 7) });
  for (const state of [spread, picked]) {
    const graph = new StateGraph(state)
      .addNode("one", () => ({ memos: record("a") }))
      .addNode("two", () => ({ memos: [record("a", { accepted: false }), record("b")] }))
      .addEdge(START, "one")
      .addEdge("one", "two")
      .addEdge("two", END)
      .compile();
    const final = await graph.invoke({});
    expect(final.memos.map(({ id, accepted }) => [id, accepted])).toEqual([
      ["a", false],
      ["b", true],
    ]);
    expect([final.attempts, final.mine]).toEqual([[], 7]);
  }
});

describe("a run's folder, for log and files alike,", () => {
  const folderOf = async (threadId: string | null): Promise<string> => {
    const graph = compileObserved(createSkillGenerationGraph(capabilitiesOf([0])), {
      name: "skill-generation",
      ...(threadId === null ? {} : { checkpointer: new MemorySaver() }),
      log: new RunLog({ runsDir }),
    });
    await graph.invoke({ task }, {
      ...(threadId === null ? {} : { configurable: { thread_id: threadId } }),
      context: nop,
      runId: "11111111-1111-4111-8111-111111111111",
    } as never);
    const [run, ...others] = await readdir(runsDir);
    const [inside, ...more] = await readdir(join(runsDir, run!));
    expect([...others, ...more]).toEqual([]);
    expect(await readdir(join(runsDir, run!, inside!))).toEqual(expect.arrayContaining([LOG_FILE, "blobs", `${inside}__attempt-0`]));
    return `${run}/${inside}`;
  };

  it("is RUN/TASK for a thread RUN--TASK, whatever the task's directory is called", async () => {
    expect(await folderOf("first--renamed")).toBe("first/renamed");
  });

  it("is the thread's id and the task's directory for any other thread, a server's UUID for one", async () => {
    const thread = "0198c8a4-77aa-7000-8000-2b1e6c5d4f3a";
    expect(await folderOf(thread)).toBe(`${thread}/${basename(task)}`);
  });

  it("is the outermost run's id without a checkpointer", async () => {
    expect(await folderOf(null)).toBe(`11111111-1111-4111-8111-111111111111/${basename(task)}`);
  });
});
