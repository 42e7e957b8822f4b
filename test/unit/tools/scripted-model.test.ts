import { HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createScriptedModel } from "../../../testing.js";

const ask = [new HumanMessage("hello")];

describe("createScriptedModel", () => {
  it("plays texts, commands and errors in order and records what it was asked", async () => {
    const model = createScriptedModel(["one", { commands: ["ls"], usage: { inputTokens: 5, outputTokens: 2 } }, new Error("down")], {
      modelName: "teacher",
    });
    expect((await model.invoke(ask)).text).toBe("one");
    const second = await model.invoke(ask);
    expect(second.tool_calls).toMatchObject([{ name: "shell", args: { command: "ls" } }]);
    expect(second.usage_metadata).toMatchObject({ input_tokens: 5, output_tokens: 2, total_tokens: 7 });
    expect(second.response_metadata).toMatchObject({ finish_reason: "tool_calls", model_name: "teacher" });
    await expect(model.invoke(ask)).rejects.toThrow("down");
    expect(model.remaining).toBe(0);
    expect(model.calls.map(({ messages }) => messages[0]?.text)).toEqual(["hello", "hello", "hello"]);
  });

  it("throws loudly at a call beyond the script, saying what was asked", async () => {
    await expect(createScriptedModel([]).invoke(ask)).rejects.toThrow(
      "call 1 was not expected, the script has 0 answers; it was asked: hello",
    );
  });

  it("shares the script between the bare model and the one with tools", async () => {
    const model = createScriptedModel(["one", "two"]);
    const bound = model.bindTools([tool(async () => "", { name: "shell", description: "", schema: z.object({}) })]);
    expect((await bound.invoke(ask)).text).toBe("one");
    expect((await model.invoke(ask)).text).toBe("two");
    expect(model.calls.map(({ tools }) => tools)).toEqual([["shell"], []]);
  });

  it("answers every call from one function of the conversation", async () => {
    const model = createScriptedModel((messages, call) => `${call}: ${messages.at(-1)?.text}`);
    await model.invoke(ask);
    expect((await model.invoke([new HumanMessage("again")])).text).toBe("1: again");
  });

  it("ends a hanging answer when the call is aborted", async () => {
    const model = createScriptedModel(() => new Promise(() => {}));
    await expect(model.invoke(ask, { signal: AbortSignal.timeout(5) })).rejects.toThrow();
  });
});
