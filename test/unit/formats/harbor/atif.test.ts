import { describe, expect, it } from "vitest";
import { atifSchema, type ConversationTurn, fromAtif, toAtif } from "../../../../formats/harbor/atif.js";

const TURNS: ConversationTurn[] = [
  { source: "system", message: "You are an agent.", toolCalls: [], observations: [] },
  { source: "user", message: "Do it.", toolCalls: [], observations: [] },
  {
    source: "agent",
    message: "",
    reasoning: "Look first.",
    toolCalls: [{ id: "c1", name: "shell", arguments: { command: "ls" } }],
    observations: [{ callId: "c1", content: "a.txt" }],
    metrics: { promptTokens: 10, completionTokens: 2, cachedTokens: 4, costUsd: null },
  },
  { source: "agent", message: "Done.", toolCalls: [], observations: [] },
];
const agent = { name: "spark", version: "0.1.0", modelName: "some/model" };

describe("toAtif", () => {
  it("writes version 1.7 with steps from 1 and absent fields left out", () => {
    const atif = toAtif({ agent, turns: TURNS, usage: { inputTokens: 10, cachedTokens: 4, outputTokens: 2, costUsd: null } });
    expect(atif).toEqual({
      schema_version: "ATIF-v1.7",
      agent: { name: "spark", version: "0.1.0", model_name: "some/model" },
      steps: [
        { step_id: 1, source: "system", message: "You are an agent." },
        { step_id: 2, source: "user", message: "Do it." },
        {
          step_id: 3,
          source: "agent",
          message: "",
          reasoning_content: "Look first.",
          tool_calls: [{ tool_call_id: "c1", function_name: "shell", arguments: { command: "ls" } }],
          observation: { results: [{ source_call_id: "c1", content: "a.txt" }] },
          metrics: { prompt_tokens: 10, completion_tokens: 2, cached_tokens: 4 },
        },
        { step_id: 4, source: "agent", message: "Done." },
      ],
      final_metrics: { total_prompt_tokens: 10, total_completion_tokens: 2, total_cached_tokens: 4, total_steps: 4 },
    });
  });

  it("never loses a conversation: no turns, answers without a call, odd counts, half a surrogate pair, arguments that are no table", () => {
    expect(toAtif({ agent, turns: [] }).steps).toEqual([{ step_id: 1, source: "system", message: "" }]);
    const odd = {
      source: "agent",
      message: "\ud83d",
      toolCalls: [{ id: "a", name: "shell", arguments: "text" }],
      observations: [{ callId: "other", content: "x\udc00" }],
    };
    const atif = toAtif({
      agent,
      turns: [{ ...odd, metrics: { promptTokens: 1.5, completionTokens: -1 } } as unknown as ConversationTurn],
    });
    expect(atif.steps[0]).toMatchObject({
      message: "\ufffd",
      tool_calls: [{ arguments: {} }],
      observation: { results: [{ content: "x\ufffd" }] },
      metrics: { prompt_tokens: 2, completion_tokens: 0 },
    });
    expect(atif.steps[0]!.observation!.results[0]).not.toHaveProperty("source_call_id");
  });
});

describe("atifSchema", () => {
  const valid = toAtif({ agent, turns: TURNS });
  it("refuses unknown fields, wrong numbers of steps, agent's fields on other steps and answers to calls of other steps", () => {
    expect(atifSchema.safeParse(valid).success).toBe(true);
    const [first, second, third] = valid.steps;
    const broken: unknown[] = [
      { ...valid, mood: "calm" },
      { ...valid, steps: [] },
      { ...valid, steps: [second] },
      { ...valid, steps: [{ ...first, model_name: "m" }] },
      { ...valid, steps: [{ ...third, step_id: 1, observation: { results: [{ source_call_id: "c9" }] } }] },
    ];
    for (const document of broken) expect(atifSchema.safeParse(document).success).toBe(false);
  });
});

describe("fromAtif", () => {
  it("gives back what toAtif wrote", () => {
    expect(fromAtif(toAtif({ agent, turns: TURNS }), "x").turns).toEqual(TURNS);
  });

  it("reads other versions with nulls, parts and unknown fields", () => {
    const document = {
      schema_version: "ATIF-v1.8",
      session_id: "s",
      agent: { name: "claude-code", version: "1", model_name: null, extra: null },
      steps: [
        {
          step_id: 1,
          source: "agent",
          message: [
            { type: "text", text: "look" },
            { type: "image", source: { path: "a.png" } },
          ],
          tool_calls: null,
          observation: { results: [{ content: null }] },
          future: 1,
        },
      ],
    };
    expect(fromAtif(document, "x")).toEqual({
      agent: "claude-code",
      modelName: null,
      turns: [{ source: "agent", message: "look\n[image]", toolCalls: [], observations: [{ callId: "", content: "" }] }],
    });
  });

  it("says where a document is none", () => {
    expect(() => fromAtif({ steps: [{ source: "robot", message: "" }] }, "agent/trajectory.json")).toThrow(
      expect.objectContaining({
        code: "file-invalid",
        message: expect.stringMatching(/^agent\/trajectory\.json is no ATIF trajectory: steps\.0\.source/) as unknown,
      }) as Error,
    );
  });
});
