import { fc, test } from "@fast-check/vitest";
import { AIMessage, type BaseMessage, HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { describe, expect, it } from "vitest";
import { conversationView } from "../../../tools/conversation-view.js";

const conversation = (outputs: readonly string[]): BaseMessage[] => [
  new SystemMessage("system"),
  new HumanMessage("task"),
  ...outputs.flatMap((output, index) => [
    new AIMessage({ content: "", tool_calls: [{ id: `c${index}`, name: "shell", args: { command: "x" }, type: "tool_call" as const }] }),
    new ToolMessage({ content: output, tool_call_id: `c${index}`, name: "shell" }),
  ]),
];
const answers = (messages: readonly BaseMessage[]): string[] =>
  messages.filter((message) => ToolMessage.isInstance(message)).map(({ text }) => text);
const size = (messages: readonly BaseMessage[]): number => messages.reduce((sum, { text }) => sum + text.length, 0);

describe("conversationView", () => {
  it("is the conversation itself while it fits", () => {
    const messages = conversation(["a".repeat(3000), "b"]);
    expect(conversationView(messages, 100_000)).toEqual(messages);
  });

  it("shortens from the oldest on, only as many as are needed, and keeps the exit code", () => {
    const messages = conversation(Array.from({ length: 8 }, (_, index) => `[exit code ${index}]\n${"x".repeat(2000)}`));
    const shown = answers(conversationView(messages, 14_500));
    expect(shown.map((text) => text.length > 1000)).toEqual([false, false, true, true, true, true, true, true]);
    expect(shown[0]).toMatch(/^\[exit code 0\]\nx+\n\[\.\.\. 1774 characters of this older output left out/);
  });

  it("never shortens the last four answers, whatever the budget", () => {
    const shown = answers(conversationView(conversation(Array.from({ length: 6 }, () => "y".repeat(9000))), 10));
    expect(shown.map((text) => text.length)).toEqual([expect.any(Number), expect.any(Number), 9000, 9000, 9000, 9000]);
    expect(Math.max(shown[0]!.length, shown[1]!.length)).toBeLessThan(500);
  });

  it("leaves short answers alone: nothing would be won", () => {
    const messages = conversation(Array.from({ length: 8 }, () => "z".repeat(480)));
    expect(answers(conversationView(messages, 10))).toEqual(answers(messages));
  });

  it("does not touch the conversation it was given", () => {
    const messages = conversation(Array.from({ length: 8 }, () => "w".repeat(5000)));
    conversationView(messages, 10);
    expect(answers(messages)).toEqual(Array(8).fill("w".repeat(5000)));
  });

  test.prop([fc.array(fc.nat({ max: 6000 }), { maxLength: 20 }), fc.nat({ max: 60_000 })])(
    "keeps number, order and ids of all messages, and fits or has nothing left to shorten",
    (lengths, characters) => {
      const messages = conversation(lengths.map((length) => "q".repeat(length)));
      const view = conversationView(messages, characters);
      expect(view.map((message) => [message.getType(), (message as ToolMessage).tool_call_id])).toEqual(
        messages.map((message) => [message.getType(), (message as ToolMessage).tool_call_id]),
      );
      expect(size(view)).toBeLessThanOrEqual(size(messages));
      const shortenable = answers(view)
        .slice(0, -4)
        .filter((text) => text.length > 480);
      expect(size(view) <= characters || shortenable.length === 0).toBe(true);
    },
  );
});
