import { AIMessage, HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { afterEach, describe, expect, it } from "vitest";
import { createCallModel } from "../../../../nodes/shell-agent/call-model.js";
import { SparkError } from "../../../../state/errors.js";
import { noUsage } from "../../../../state/model.js";
import type { ShellAgentState } from "../../../../state/shell-agent.js";
import { SESSION_KEY } from "../../../../tools/agent-session.js";
import { createRunBudget } from "../../../../tools/run-budget.js";
import { type ConversationSetup, openConversation, SteppedClock } from "../../../support/agent-session.js";

const state = (more: Partial<ShellAgentState> = {}): ShellAgentState => ({
  messages: [new SystemMessage("You solve a task."), new HumanMessage("Do it.")],
  steps: 0,
  usage: noUsage,
  activeMs: 0,
  formatErrors: 0,
  contextScale: 1,
  stop: null,
  stopDetail: "",
  ...more,
});

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const remove of open.splice(0)) await remove();
});

async function conversation(setup: ConversationSetup) {
  const opened = await openConversation(setup);
  open.push(opened.remove);
  const call = (given: ShellAgentState, more: { signal?: AbortSignal } = {}) =>
    createCallModel()(given, { context: { [SESSION_KEY]: opened.session }, ...more } as never);
  return { ...opened, call };
}

const overflow = () =>
  Object.assign(new Error("400 This model's maximum context length is 8192 tokens."), { status: 400, code: "context_length_exceeded" });

describe("call-model", () => {
  it("ends with the reason when a budget is used up, without asking the model", async () => {
    const spent = { inputTokens: 900, cachedTokens: 0, outputTokens: 100, costUsd: 2 };
    const { call, model } = await conversation({ replies: [], budget: { maxSteps: 3, maxTokens: 1000, maxCostUsd: 2, timeoutMs: 5000 } });
    expect(await call(state({ steps: 3 }))).toMatchObject({ stop: "steps", stopDetail: "the limit of 3 steps was reached" });
    expect(await call(state({ usage: { ...spent, costUsd: 0 } }))).toMatchObject({
      stop: "tokens",
      stopDetail: "1000 tokens were used, the limit is 1000",
    });
    expect(await call(state({ usage: { ...spent, inputTokens: 1, costUsd: 2 } }))).toMatchObject({
      stop: "cost",
      stopDetail: "$2 was spent, the limit is $2",
    });
    expect(model.calls).toHaveLength(0);
  });

  it("counts the time that was worked before a crash and ends when it is used up", async () => {
    const { call, model } = await conversation({ replies: [], budget: { timeoutMs: 5000 }, clock: new SteppedClock() });
    expect(await call(state({ activeMs: 5000 }))).toMatchObject({
      stop: "time",
      stopDetail: "the limit of 5 s was reached",
      activeMs: 5000,
    });
    expect(model.calls).toHaveLength(0);
  });

  it("ends with the reason time when the time is used up during a call", async () => {
    const { call } = await conversation({ replies: () => new Promise(() => {}), budget: { timeoutMs: 30 } });
    expect(await call(state())).toMatchObject({ stop: "time", stopDetail: "the time of the attempt was used up during a model call" });
  });

  it("throws an abort by the user instead of ending the attempt", async () => {
    const controller = new AbortController();
    const { call } = await conversation({
      replies: () => {
        setImmediate(() => controller.abort(new Error("Ctrl-C")));
        return new Promise(() => {});
      },
    });
    await expect(call(state(), { signal: controller.signal })).rejects.toThrow("Ctrl-C");
  });

  it("counts steps, usage and cost of an answer and binds the tool", async () => {
    const { call, model } = await conversation({ replies: [{ commands: ["ls"] }], costUsd: () => 0.5 });
    const update = await call(
      state({ steps: 4, formatErrors: 2, usage: { inputTokens: 1, cachedTokens: 0, outputTokens: 1, costUsd: 1 } }),
    );
    expect(update).toMatchObject({ steps: 5, formatErrors: 0, usage: { inputTokens: 101, outputTokens: 11, costUsd: 1.5 } });
    expect(update.stop).toBeUndefined();
    expect(model.calls[0]?.tools).toEqual(["shell"]);
  });

  it("keeps an unknown cost unknown", async () => {
    const { call } = await conversation({ replies: ["done"], costUsd: () => null });
    expect((await call(state())).usage).toMatchObject({ costUsd: null });
  });

  it("finishes on an answer in words", async () => {
    const { call } = await conversation({ replies: ["It is done."] });
    expect(await call(state())).toMatchObject({ stop: "finished", stopDetail: "" });
  });

  it.each([
    ["malformed tool JSON", { invalidToolCalls: [{ args: '{"command": "ls' }] }, "could not be read"],
    ["a reply that was cut", { text: "I will now", finishReason: "length" }, "cut at the output limit"],
    ["a cut reply with a command that still parses", { commands: ["cat > a.py <<EOF"], finishReason: "length" }, "cut at the output limit"],
    ["an empty reply", { text: "  " }, "empty"],
    ["one broken call beside a good one", { commands: ["ls"], invalidToolCalls: [{ args: "{" }] }, "could not be read"],
  ])("answers %s with what was wrong, and never runs it", async (_, reply, problem) => {
    const { call } = await conversation({ replies: [reply] });
    const update = await call(state({ formatErrors: 1 }));
    const [said, told] = update.messages as [AIMessage, HumanMessage];
    expect(update).toMatchObject({ formatErrors: 2, steps: 1 });
    expect(update.stop).toBeUndefined();
    expect(AIMessage.isInstance(said) && (said.tool_calls ?? [])).toEqual([]);
    expect(HumanMessage.isInstance(told) && told.text).toContain(problem);
  });

  it("ends the attempt at the third unusable reply in a row", async () => {
    const { call } = await conversation({ replies: [""] });
    expect(await call(state({ formatErrors: 2 }))).toMatchObject({
      stop: "format",
      stopDetail: expect.stringContaining("3 unusable replies in a row"),
      steps: 1,
    });
  });

  it("shrinks the view after an overflow and counts no step for it", async () => {
    const { call } = await conversation({ replies: [overflow()] });
    const update = await call(state({ steps: 7 }));
    expect(update.contextScale).toBe(0.5);
    expect(update.steps).toBeUndefined();
    expect(update.stop).toBeUndefined();
  });

  it("ends as context when the view cannot shrink further", async () => {
    const { call } = await conversation({ replies: [overflow()] });
    expect(await call(state({ contextScale: 0.125 }))).toMatchObject({ stop: "context" });
  });

  it("shows the model shortened old outputs and leaves the state's messages as they are", async () => {
    const outputs = Array.from({ length: 8 }, (_, index) => [
      new AIMessage({
        content: "",
        tool_calls: [{ id: `c${index}`, name: "shell", args: { command: `cat ${index}` }, type: "tool_call" }],
      }),
      new ToolMessage({ content: `[exit code 0]\n${String(index).repeat(5000)}`, tool_call_id: `c${index}`, name: "shell" }),
    ]).flat();
    const before = state();
    const full = { ...before, messages: [...before.messages, ...outputs] };
    const { call, model } = await conversation({ replies: ["done"], budget: { contextCharacters: 30_000 } });
    await call(full);
    const shown = model.calls[0]!.messages.filter((message) => ToolMessage.isInstance(message));
    expect(shown[0]!.text).toMatch(/^\[exit code 0\]\n0+\n\[\.\.\. \d+ characters of this older output left out/);
    expect(shown.at(-1)!.text).toHaveLength(5014);
    expect(full.messages.filter((message) => ToolMessage.isInstance(message)).map(({ text }) => text.length)).toEqual(Array(8).fill(5014));
  });

  it("throws a reached cap of the run", async () => {
    const { call, model } = await conversation({ replies: [], runBudget: createRunBudget({ maxCostUsd: null, maxTokens: 0 }) });
    const error = await call(state()).catch((thrown: unknown) => thrown);
    expect(SparkError.isInstance(error) && error.code).toBe("budget-reached");
    expect(model.calls).toHaveLength(0);
  });

  it("throws a provider's failure as one", async () => {
    const { call } = await conversation({ replies: [Object.assign(new Error("Incorrect API key"), { status: 401 })] });
    const error = await call(state()).catch((thrown: unknown) => thrown);
    expect(SparkError.isInstance(error) && error.code).toBe("provider-credentials");
  });

  it("says how it is meant to be called when there is no session", async () => {
    await expect(createCallModel()(state(), { context: {} } as never)).rejects.toThrow("call it through the explore node");
  });
});
