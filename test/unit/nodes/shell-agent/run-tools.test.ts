import { AIMessage, type BaseMessage, HumanMessage, ToolMessage } from "@langchain/core/messages";
import { afterEach, describe, expect, it } from "vitest";
import { createRunTools, pendingToolCalls } from "../../../../nodes/shell-agent/run-tools.js";
import { SparkError } from "../../../../state/errors.js";
import { SESSION_KEY } from "../../../../tools/agent-session.js";
import { type ConversationSetup, openConversation } from "../../../support/agent-session.js";

const calls = (...named: [id: string, args: Record<string, unknown>, name?: string][]): AIMessage =>
  new AIMessage({
    content: "",
    tool_calls: named.map(([id, args, name]) => ({ id, name: name ?? "shell", args, type: "tool_call" as const })),
  });
const answered = (id: string): ToolMessage => new ToolMessage({ content: "ok", tool_call_id: id });

describe("pendingToolCalls", () => {
  it("are the last reply's calls without an answer, in the model's order", () => {
    const asked = calls(["a", {}], ["b", {}], ["c", {}]);
    expect(pendingToolCalls([asked, answered("b")]).map(({ id }) => id)).toEqual(["a", "c"]);
  });

  it("are none when everything is answered, when the last reply has none, or when nobody has replied", () => {
    expect(pendingToolCalls([calls(["a", {}]), answered("a")])).toEqual([]);
    expect(pendingToolCalls([calls(["a", {}]), answered("a"), new AIMessage("done"), new HumanMessage("x")])).toEqual([]);
    expect(pendingToolCalls([new HumanMessage("x")])).toEqual([]);
  });
});

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const remove of open.splice(0)) await remove();
});

async function tools(setup: Partial<ConversationSetup>) {
  const opened = await openConversation({ replies: [], ...setup });
  open.push(opened.remove);
  const run = (messages: BaseMessage[], more: { signal?: AbortSignal } = {}) =>
    createRunTools()({ messages, activeMs: 0 } as never, { context: { [SESSION_KEY]: opened.session }, ...more } as never);
  return { ...opened, run };
}

describe("run-tools", () => {
  it("runs one call a superstep, the first that has no answer", async () => {
    const seen: string[] = [];
    const { run } = await tools({
      sandbox: { commands: [{ match: /.*/, result: (command) => `ran ${command}` }], onCommand: (command) => void seen.push(command) },
    });
    const asked = calls(["a", { command: "one" }], ["b", { command: "two" }]);
    const first = (await run([asked])).messages as ToolMessage[];
    expect(first.map(({ tool_call_id, text }) => [tool_call_id, text])).toEqual([["a", "[exit code 0]\nran one"]]);
    const second = (await run([asked, ...first])).messages as ToolMessage[];
    expect(second.map(({ tool_call_id, text }) => [tool_call_id, text])).toEqual([["b", "[exit code 0]\nran two"]]);
    expect(seen).toEqual(["one", "two"]);
  });

  it("answers unknown tools and wrong arguments, so the model can go on", async () => {
    const { run } = await tools({});
    const [unknown] = (await run([calls(["a", { path: "x" }, "read_file"])])).messages as ToolMessage[];
    expect(unknown?.status).toBe("error");
    expect(unknown?.text).toContain("read_file");
    const [wrong] = (await run([calls(["b", { cmd: "ls" }])])).messages as ToolMessage[];
    expect(wrong?.status).toBe("error");
    expect(wrong?.tool_call_id).toBe("b");
  });

  it("throws a broken sandbox instead of telling the model", async () => {
    const { run } = await tools({
      shell: {
        run: async () => {
          throw new SparkError("the container is gone", { code: "sandbox-lost" });
        },
      },
    });
    const error = await run([calls(["a", { command: "ls" }])]).catch((thrown: unknown) => thrown);
    expect(SparkError.isInstance(error) && error.code).toBe("sandbox-lost");
  });

  it("throws an abort while a command runs", async () => {
    const controller = new AbortController();
    const { run } = await tools({
      shell: {
        run: async () => {
          controller.abort(new Error("Ctrl-C"));
          return {
            exitCode: null,
            stdout: new Uint8Array(),
            stderr: new Uint8Array(),
            truncated: false,
            totalBytes: 0,
            timedOut: false,
            aborted: true,
            durationMs: 1,
          };
        },
      },
    });
    await expect(run([calls(["a", { command: "sleep 9" }])], { signal: controller.signal })).rejects.toThrow("Ctrl-C");
  });

  it("does nothing when no call waits", async () => {
    const { run } = await tools({});
    expect(await run([new AIMessage("done")])).toEqual({});
  });
});
