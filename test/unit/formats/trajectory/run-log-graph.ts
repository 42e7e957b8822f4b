import { tool } from "@langchain/core/tools";
import { END, type LangGraphRunnableConfig, START, StateGraph } from "@langchain/langgraph";
import { z } from "zod";
import type { AttemptRecord, Rollout } from "../../../../state/attempt.js";
import { noUsage } from "../../../../state/model.js";
import { nextAttempt, skillGenerationState } from "../../../../state/skill-generation.js";
import { runPlaceOf } from "../../../../tools/run-place.js";
import { ScriptedModel } from "../../../../tools/scripted-model.js";

/** A graph of our names and records without containers: two attempts, the first fails. What its nodes really do is call a model and a tool. */

const rolloutOf = (id: string, attempt: number): Rollout => ({
  id,
  attempt,
  retry: 0,
  agent: "spark",
  model: "m",
  stop: "finished",
  stopDetail: "",
  backend: "scripted",
  isolation: [],
  verifier: "fresh",
  verifierProven: true,
  snapshot: null,
  container: null,
  listening: [],
  steps: 1,
  commandCount: 1,
  commands: null,
  commandText: null,
  output: null,
  trajectory: null,
  produced: null,
  injection: null,
  usage: noUsage,
  runId: null,
  startedAt: "2026-01-01T00:00:00.000Z",
  finishedAt: "2026-01-01T00:00:01.000Z",
  error: null,
  infrastructure: false,
});

export const attemptOf = (id: string, attempt: number, over: Partial<AttemptRecord> = {}): AttemptRecord => ({
  id,
  attempt,
  retry: 0,
  status: "FAIL",
  reward: 0,
  rewards: null,
  passed: 0,
  total: 1,
  testSummary: null,
  failedTests: [],
  testOutput: null,
  withheld: [],
  tampered: [],
  dir: `t__attempt-${attempt}`,
  durationMs: 1,
  error: null,
  rollout: rolloutOf(id, attempt),
  ...over,
});

/** The nodes by name. `disturb` may throw inside a node. */
export function nodesOf(runsDir: string, disturb: (node: string) => void | Promise<void> = () => {}) {
  const capabilities = { runsDir, redact: (text: string) => text };
  const model = new ScriptedModel(
    Array.from({ length: 40 }, (_, index) => `reply ${index}`),
    { modelName: "m", usage: { inputTokens: 10, outputTokens: 2 } },
  );
  const agent = new StateGraph(z.object({ said: z.array(z.string()).default([]), path: z.string().default("") }))
    .addNode("call-model", async (_state, config) => {
      await model.invoke("hello", config);
      await disturb("call-model");
      return { said: ["x"] };
    })
    .addNode("run-tools", async (state, config) => {
      const store = runPlaceOf(config, state.path, capabilities).store;
      const shell = tool(
        async ({ command }) => [
          "done",
          { command, exitCode: 0, timedOut: false, durationMs: 5, output: await store.put(`out of ${command}`) },
        ],
        {
          name: "shell",
          description: "runs",
          schema: z.object({ command: z.string() }),
          responseFormat: "content_and_artifact",
        },
      );
      for (const command of ["ls", "pwd"])
        await shell
          .invoke({ name: "shell", id: command, type: "tool_call", args: { command } }, config)
          .catch(() => "a tool's error becomes a message");
      await disturb("run-tools");
      return {};
    })
    .addEdge(START, "call-model")
    .addEdge("call-model", "run-tools")
    .addEdge("run-tools", END)
    .compile();
  type State = z.output<typeof skillGenerationState>;
  return {
    explore: async (state: State, config: LangGraphRunnableConfig) => {
      const { id } = runPlaceOf(config, state.task, capabilities);
      const attempt = nextAttempt(state.attempts);
      await agent.invoke({ path: state.task }, { ...config, metadata: { ...config.metadata, attempt, retry: 0 } });
      await disturb("explore");
      return { rollout: rolloutOf(id, attempt) };
    },
    verify: async (state: State, config: LangGraphRunnableConfig) => {
      const { id, store } = runPlaceOf(config, state.task, capabilities);
      await disturb("verify");
      const attempt = nextAttempt(state.attempts);
      const testSummary = await store.put(`FAILED (1)\n✗ test ${attempt}`);
      return { attempts: attemptOf(id, attempt, { testSummary, ...(attempt === 1 ? { status: "PASS", reward: 1, passed: 1 } : {}) }) };
    },
    reflect: async (state: State, config: LangGraphRunnableConfig) => {
      const { id, store } = runPlaceOf(config, state.task, capabilities);
      const reply = await model.invoke("reflect", config);
      const response = await store.put(String(reply.content));
      const call = {
        model: "m",
        systemPrompt: response,
        userPrompt: response,
        response,
        inputTokens: 10,
        outputTokens: 2,
        latencyMs: 1,
        refused: null,
      };
      await disturb("reflect-memo");
      return {
        memos: {
          id,
          attempt: nextAttempt(state.attempts) - 1,
          accepted: true,
          memo: await store.put("the memo"),
          problems: [],
          calls: [call],
        },
      };
    },
  };
}

export function builderOf(runsDir: string, disturb?: (node: string) => void | Promise<void>, wrap: <N>(node: N) => N = (node) => node) {
  const nodes = nodesOf(runsDir, disturb);
  return new StateGraph(skillGenerationState)
    .addNode("explore", wrap(nodes.explore))
    .addNode("verify", wrap(nodes.verify))
    .addNode("reflect-memo", wrap(nodes.reflect))
    .addEdge(START, "explore")
    .addEdge("explore", "verify")
    .addConditionalEdges("verify", (state) => (state.attempts.at(-1)?.reward === 1 ? END : "reflect-memo"), ["reflect-memo", END])
    .addEdge("reflect-memo", "explore");
}

/** What a line says without what differs from run to run. */
export const told = (line: Record<string, unknown>): string =>
  [line.type, line.attempt, line.index ?? line.node ?? line.status ?? line.total_attempts].filter((part) => part !== undefined).join(" ");
