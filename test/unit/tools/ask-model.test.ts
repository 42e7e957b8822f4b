import { AIMessage, AIMessageChunk, HumanMessage } from "@langchain/core/messages";
import { describe, expect, it } from "vitest";
import { SparkError } from "../../../state/errors.js";
import { type AskOptions, askModel, isContextOverflow } from "../../../tools/ask-model.js";
import type { ModelHandle } from "../../../tools/capabilities.js";
import { createScriptedModel, type ScriptedReply } from "../../../tools/scripted-model.js";
import { wholeAnswer } from "../../../tools/streamed-answer.js";

const failure = (message: string, fields: object) => Object.assign(new Error(message), fields);
async function ask(replies: readonly ScriptedReply[], options: AskOptions = {}) {
  const model = createScriptedModel(replies);
  const handle: ModelHandle = { model: model as never, id: "teacher-1", costUsd: ({ outputTokens }) => outputTokens };
  const outcome = await askModel(handle, [new HumanMessage("go")], { firstPauseMs: 1, ...options }).then(
    (answer) => ({ answer, error: undefined }),
    (error: unknown) => ({ answer: undefined, error }),
  );
  return { ...outcome, model };
}
const codeOf = (error: unknown) => (SparkError.isInstance(error) ? error.code : String(error));

describe("askModel", () => {
  it.each([
    ["a rate limit", { status: 429 }],
    ["an overloaded provider", { rateLimitType: "capacity" }],
    ["a server error", { status: 500 }],
    ["a broken connection", { name: "APIConnectionError" }],
    ["a timeout", { name: "TimeoutError" }],
  ])("tries %s again", async (_, fields) => {
    const { answer, model } = await ask([failure("something", fields), "fine"]);
    expect(answer?.message.text).toBe("fine");
    expect(model.calls).toHaveLength(2);
  });

  it.each([
    ["used-up quota", { status: 429, code: "insufficient_quota" }, "provider-rejected"],
    ["wrong credentials", { status: 403 }, "provider-credentials"],
    ["a rejected request", { status: 422 }, "provider-rejected"],
    ["something unknown", {}, "provider-unavailable"],
  ])("does not try %s again", async (_, fields, code) => {
    const { error, model } = await ask([failure("something", fields)]);
    expect(codeOf(error)).toBe(code);
    expect(model.calls).toHaveLength(1);
  });

  it.each(["length", "max_tokens", "MAX_TOKENS", "max_output_tokens"])(
    "knows the finish reason %s as a cut answer",
    async (finishReason) => {
      expect((await ask([{ text: "half", finishReason }])).answer?.cut).toBe(true);
    },
  );

  it("counts usage the model did not report as nothing, and its cost by the handle", async () => {
    const { answer } = await ask([{ text: "x", usage: { outputTokens: 7 } }]);
    expect(answer?.usage).toEqual({ inputTokens: 0, cachedTokens: 0, outputTokens: 7, costUsd: 7 });
  });

  it("ends the pause between two tries when it is aborted", async () => {
    const controller = new AbortController();
    const { error, model } = await ask(
      [
        () => {
          setTimeout(() => controller.abort(new Error("Ctrl-C")), 5);
          return failure("later", { status: 503 });
        },
      ],
      { firstPauseMs: 600_000, config: { signal: controller.signal } },
    );
    expect(codeOf(error)).toContain("AbortError");
    expect(model.calls).toHaveLength(1);
  });

  it("passes on a script that was too short as what it is: a mistake in the test, no provider's failure", async () => {
    const { error } = await ask([]);
    expect(codeOf(error)).toBe("internal");
  });
});

describe("isContextOverflow", () => {
  it("knows the typed error, the code, and the words of servers that have neither", () => {
    expect(isContextOverflow({ name: "ContextOverflowError" })).toBe(true);
    expect(isContextOverflow({ code: "context_length_exceeded" })).toBe(true);
    expect(isContextOverflow(failure("the prompt exceeds the context window of 4096", { status: 400 }))).toBe(true);
    expect(isContextOverflow(failure("context window", { status: 500 }))).toBe(false);
    expect(isContextOverflow(failure("bad temperature", { status: 400 }))).toBe(false);
    expect(isContextOverflow(undefined)).toBe(false);
  });
});

describe("wholeAnswer", () => {
  it("gives a plain answer back as it is", () => {
    const plain = new AIMessage("x");
    expect(wholeAnswer(plain, undefined)).toBe(plain);
  });

  it("turns a streamed answer into a plain one with its usage and calls", () => {
    const chunk = new AIMessageChunk({
      content: "t",
      tool_call_chunks: [{ id: "a", name: "shell", args: '{"command":"ls"}', index: 0, type: "tool_call_chunk" }],
    });
    const whole = wholeAnswer(chunk as never, "stop");
    expect(AIMessageChunk.isInstance(whole)).toBe(false);
    expect(whole.tool_calls).toMatchObject([{ id: "a", args: { command: "ls" } }]);
  });

  it("takes a call whose arguments were completed by the parser for broken, and keeps the others", () => {
    const chunk = new AIMessageChunk({
      content: "",
      tool_call_chunks: [
        { id: "a", name: "shell", args: '{"command":"ls"}', index: 0, type: "tool_call_chunk" },
        { id: "b", name: "shell", args: '{"command":"rm -rf /tmp/a', index: 1, type: "tool_call_chunk" },
      ],
    });
    const whole = wholeAnswer(chunk as never, "stop");
    expect(whole.tool_calls?.map(({ id }) => id)).toEqual(["a"]);
    expect(whole.invalid_tool_calls).toMatchObject([{ id: "b", args: '{"command":"rm -rf /tmp/a' }]);
  });
});
