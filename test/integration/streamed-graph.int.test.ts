import { ChatOpenAI } from "@langchain/openai";
import { expect, it } from "vitest";
import { linesOf } from "../../formats/trajectory/read-log.js";
import { memo, openGeneration, skillText, verdict } from "../support/generation.js";
import {
  faults,
  isDistillation,
  isReflection,
  isTeacher,
  type Reply,
  runs,
  startModelEndpoint,
  stepOf,
} from "../support/model-endpoint.js";

/** Studio and every reader of `messages` make core stream the model calls, whose results then look different. */
it.each([{ streamMode: "messages" }, { streamMode: "updates" }])(
  "the whole graph over HTTP, read as $streamMode: broken calls are not run, cut replies are asked for again, usage is counted",
  async ({ streamMode }) => {
    let distillations = 0;
    let attempts = 0;
    await using endpoint = await startModelEndpoint({
      reply: (request): Reply => {
        const usage = { input: 500, cached: 300, output: 50 };
        if (isReflection(request)) return { text: memo(), usage };
        if (isDistillation(request)) return distillations++ === 0 ? { ...faults.length(skillText()), usage } : { text: skillText(), usage };
        if (!isTeacher(request)) throw new Error("a call of nobody");
        if (stepOf(request) === 0 && attempts++ === 0) return { ...faults.malformedCall(), usage };
        return stepOf(request) < 2 ? { ...runs(`echo step ${stepOf(request)}`), usage } : { text: "done", usage };
      },
    });
    const client = () =>
      new ChatOpenAI({
        model: "loopback",
        apiKey: "k",
        configuration: { baseURL: endpoint.url },
        useResponsesApi: false,
        maxRetries: 0,
      }) as never;
    const generation = await openGeneration({
      teacher: [],
      rewards: [verdict(0, { a: "no" }), verdict(1, { a: null })],
      capabilities: { model: async () => ({ model: client(), id: "loopback", costUsd: () => null }) },
    });
    try {
      for await (const _ of await generation.graph.stream({ task: generation.task }, { ...generation.config, streamMode } as never)) void _;
      expect(endpoint.requests.every(({ body }) => (body.stream === true) === (streamMode === "messages"))).toBe(true);
      const lines = await generation.lines();
      expect(linesOf(lines, "command").map(({ attempt, command }) => [attempt, command])).toEqual([
        [0, "echo step 1"],
        [1, "echo step 0"],
        [1, "echo step 1"],
      ]);
      expect(linesOf(lines, "execution_result").map(({ status }) => status)).toEqual(["FAIL", "PASS"]);
      expect(linesOf(lines, "skill_gen_call").map(({ refused }) => refused)).toEqual(["it was cut at the output limit", null]);
      expect(linesOf(lines, "gate").map(({ passed }) => passed)).toEqual([true]);
      const calls = linesOf(lines, "model_call");
      expect(calls).toHaveLength(endpoint.requests.length);
      for (const call of calls) expect(call).toMatchObject({ model: "loopback", input_tokens: 500, cached_tokens: 300, output_tokens: 50 });
      const { values } = await generation.graph.getState(generation.config as never);
      expect(values["attempts"][1].rollout.usage).toMatchObject({ inputTokens: 1500, cachedTokens: 900, outputTokens: 150 });
    } finally {
      await generation.remove();
    }
  },
);
