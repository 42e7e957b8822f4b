import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { afterEach, describe, expect, it } from "vitest";
import { createShellAgentGraph } from "../../../graphs/shell-agent.js";
import { SparkError } from "../../../state/errors.js";
import { shellArtifactSchema } from "../../../state/shell-agent.js";
import { commandsOf } from "../../../tools/conversation-record.js";
import type { ScriptedReply } from "../../../tools/scripted-model.js";
import { type ConversationSetup, openConversation, SteppedClock } from "../../support/agent-session.js";

const echo = { commands: [{ match: /.*/, result: (command: string) => `ran ${command}` }] };
const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const remove of open.splice(0)) await remove();
});
async function conversation(setup: ConversationSetup) {
  const opened = await openConversation({ sandbox: echo, ...setup });
  open.push(opened.remove);
  return opened;
}
const forever: ScriptedReply = { commands: ["work"] };
const overflow = () => Object.assign(new Error("maximum context length"), { status: 400, code: "context_length_exceeded" });

describe("the shell-agent graph", () => {
  it("is drawn as it runs", async () => {
    const drawing = (await createShellAgentGraph().compile().getGraphAsync()).drawMermaid();
    expect(drawing).toMatchSnapshot();
  });

  it("runs commands until the model answers in words, every command in the record", async () => {
    const { run, store } = await conversation({
      replies: [{ text: "Looking.", commands: ["ls"] }, { commands: ["cat a"] }, "It is done."],
    });
    const final = await run();
    expect(final).toMatchObject({
      stop: "finished",
      stopDetail: "",
      steps: 3,
      usage: { inputTokens: 300, outputTokens: 30, costUsd: null },
    });
    const commands = commandsOf(final.messages);
    expect(commands.map(({ index, command, exitCode }) => [index, command, exitCode])).toEqual([
      [0, "ls", 0],
      [1, "cat a", 0],
    ]);
    expect(await store.text(commands[1]!.output)).toBe("ran cat a");
  });

  it("runs several calls of one reply in order, each in a superstep of its own, before the model is asked again", async () => {
    const seen: string[] = [];
    const { run, model } = await conversation({
      replies: [{ commands: ["one", "two", "three"] }, "done"],
      sandbox: { ...echo, onCommand: (command) => void seen.push(`${command} at ${model.calls.length}`) },
    });
    const final = await run();
    expect(seen).toEqual(["one at 1", "two at 1", "three at 1"]);
    expect(final.messages.filter((message) => ToolMessage.isInstance(message)).map(({ tool_call_id }) => tool_call_id)).toEqual([
      "call_0_0",
      "call_0_1",
      "call_0_2",
    ]);
    expect(final.steps).toBe(2);
  });

  it.each([
    ["steps", { maxSteps: 3 }, { steps: 3 }],
    ["tokens", { maxTokens: 220 }, { steps: 2 }],
    ["cost", { maxCostUsd: 0.3 }, { steps: 3 }],
  ] as const)("stops a model that never ends at the budget on %s and says so", async (stop, budget, more) => {
    const { run } = await conversation({ replies: forever, budget, costUsd: () => 0.1 });
    const final = await run();
    expect(final).toMatchObject({ stop, ...more });
    expect(final.stopDetail).toContain("limit");
  });

  it("stops a model that never ends at the budget on time and says so", async () => {
    const clock = new SteppedClock();
    const { run, session } = await conversation({
      replies: () => {
        clock.ms += 1000;
        return forever;
      },
      budget: { timeoutMs: 2500 },
      clock,
    });
    const final = await run();
    expect(final).toMatchObject({ stop: "time", steps: 3, activeMs: 3000 });
    expect(session.shell.remainingMs()).toBe(-500);
  });

  it("answers unusable replies and goes on when the model recovers", async () => {
    const { run, model } = await conversation({
      replies: [{ invalidToolCalls: [{ args: '{"command' }] }, "", { commands: ["ls"] }, { text: "half", finishReason: "length" }, "done"],
    });
    const final = await run();
    expect(final).toMatchObject({ stop: "finished", steps: 5, formatErrors: 0 });
    const told = final.messages.filter((message) => HumanMessage.isInstance(message)).slice(1);
    expect(told.map(({ text }) => text.split(".")[0])).toEqual([
      "Your tool call could not be read: Malformed args",
      "Your reply was empty",
      "Your reply was cut at the output limit",
    ]);
    expect(
      model.calls[1]!.messages.every((message) => (message as { invalid_tool_calls?: unknown[] }).invalid_tool_calls?.length !== 1),
    ).toBe(true);
  });

  it("ends after three unusable replies in a row", async () => {
    const { run } = await conversation({ replies: "" });
    expect(await run()).toMatchObject({ stop: "format", steps: 3 });
  });

  it("asks again with a shorter view after an overflow, and ends as context when nothing helps", async () => {
    const long = { commands: [{ match: /.*/, result: "x".repeat(4000) }] };
    const recovered = await conversation({
      replies: [...Array.from({ length: 8 }, () => forever), overflow(), "done"],
      sandbox: long,
      budget: { contextCharacters: 40_000 },
    });
    expect(await recovered.run()).toMatchObject({ stop: "finished", contextScale: 0.5, steps: 9 });
    const characters = (call: number) => recovered.model.calls[call]!.messages.reduce((sum, { text }) => sum + text.length, 0);
    expect(characters(9)).toBeLessThan(characters(8) * 0.7);

    const lost = await conversation({ replies: [forever, overflow(), overflow(), overflow(), overflow()] });
    const final = await lost.run();
    expect(final).toMatchObject({ stop: "context", steps: 1 });
    expect(commandsOf(final.messages)).toHaveLength(1);
  });

  it("keeps the whole output in the record when the model sees a cut one", async () => {
    const output = Array.from({ length: 3000 }, (_, line) => `line ${line}`).join("\n");
    const { run, store, sandbox } = await conversation({
      replies: [{ commands: ["seq"] }, "done"],
      sandbox: { commands: [{ match: "seq", result: output }] },
      shownCharacters: 1000,
    });
    const final = await run();
    const answer = final.messages.find((message) => ToolMessage.isInstance(message))!;
    expect(answer.text.length).toBeLessThan(1300);
    expect(answer.text).toContain("line 0\n");
    expect(answer.text).toMatch(/line 2999$/);
    const path = /the whole is in (\S+) /.exec(answer.text)?.[1];
    expect(new TextDecoder().decode((await sandbox.readFile(path!))!)).toBe(output);
    expect(await store.text(shellArtifactSchema.parse((answer as ToolMessage).artifact).output)).toBe(output);
  });

  it("throws what broke the sandbox; the model is not asked again", async () => {
    const { run, model } = await conversation({
      replies: forever,
      shell: {
        run: async () => {
          throw new SparkError("container box is gone", { code: "sandbox-lost" });
        },
      },
    });
    const error = await run().catch((thrown: unknown) => thrown);
    expect(SparkError.isInstance(error) && error.code).toBe("sandbox-lost");
    expect(model.calls).toHaveLength(1);
  });

  it("throws an abort", async () => {
    const controller = new AbortController();
    const { run, model } = await conversation({
      replies: (_, call) => {
        if (call === 1) controller.abort(new Error("Ctrl-C"));
        return forever;
      },
    });
    await expect(run({ signal: controller.signal })).rejects.toThrow();
    expect(model.calls).toHaveLength(2);
  });

  it("never ends at LangGraph's own limit before ours: forty steps with five calls each", async () => {
    const { run } = await conversation({ replies: (_, call) => (call < 40 ? { commands: ["1", "2", "3", "4", "5"] } : "done") });
    const final = await run();
    expect(final).toMatchObject({ stop: "finished", steps: 41 });
    expect(commandsOf(final.messages)).toHaveLength(200);
  });
});
