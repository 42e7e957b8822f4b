import type { ToolMessage } from "@langchain/core/messages";
import { afterEach, describe, expect, it } from "vitest";
import { SparkError } from "../../../state/errors.js";
import { shellArtifactSchema } from "../../../state/shell-agent.js";
import type { ExecResult } from "../../../tools/sandbox/sandbox.js";
import { createShellTool, type ShellSession } from "../../../tools/shell.js";
import { type ConversationSetup, openConversation } from "../../support/agent-session.js";

const bytes = (text: string) => new TextEncoder().encode(text);
const result = (more: Partial<ExecResult> = {}): ExecResult => ({
  exitCode: 0,
  stdout: bytes(""),
  stderr: bytes(""),
  truncated: false,
  totalBytes: (more.stdout?.byteLength ?? 0) + (more.stderr?.byteLength ?? 0),
  timedOut: false,
  aborted: false,
  durationMs: 1.6,
  ...more,
});

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const remove of open.splice(0)) await remove();
});

async function shellTool(setup: Partial<ConversationSetup>, more: Partial<ShellSession> = {}) {
  const opened = await openConversation({ replies: [], ...setup });
  open.push(opened.remove);
  const session = Object.assign(opened.session.shell, more);
  const tool = createShellTool(session);
  const call = async (args: { command: string; timeout_sec?: number }, config = {}): Promise<ToolMessage> =>
    (await tool.invoke({ type: "tool_call", id: "c", name: "shell", args }, config)) as ToolMessage;
  return { ...opened, call, session };
}
const answering = (answer: ExecResult) => ({ shell: { run: async () => answer } });

describe("the shell tool", () => {
  it("answers with exit code and output, standard error marked, and keeps the whole by reference", async () => {
    const { call, store } = await shellTool(answering(result({ exitCode: 3, stdout: bytes("out"), stderr: bytes("bad") })));
    const answer = await call({ command: "make" });
    expect(answer.text).toBe("[exit code 3]\nout\n[stderr]\nbad");
    const artifact = shellArtifactSchema.parse(answer.artifact);
    expect(artifact).toMatchObject({ command: "make", exitCode: 3, timedOut: false, durationMs: 2 });
    expect(await store.text(artifact.output)).toBe("out\n[stderr]\nbad");
  });

  it("says that there was no output, and that a command was killed at its limit", async () => {
    expect((await (await shellTool(answering(result()))).call({ command: "true" })).text).toBe("[exit code 0]\n(no output)");
    const killed = await (await shellTool(answering(result({ exitCode: null, timedOut: true, stdout: bytes("half") })))).call({
      command: "sleep 9",
      timeout_sec: 7,
    });
    expect(killed.text).toBe("[timed out after 7 s and was killed; the session goes on]\nhalf");
    expect(shellArtifactSchema.parse(killed.artifact)).toMatchObject({ exitCode: null, timedOut: true });
  });

  it("decodes bytes that are no text without failing", async () => {
    const answer = await (await shellTool(answering(result({ stdout: new Uint8Array([0x61, 0xff, 0x62]) })))).call({ command: "cat x" });
    expect(answer.text).toBe("[exit code 0]\na\uFFFDb");
  });

  it("says when the middle of a huge output was not even recorded", async () => {
    const answer = await (await shellTool(answering(result({ stdout: bytes("start…end"), truncated: true, totalBytes: 99_000_000 })))).call(
      { command: "yes" },
    );
    expect(answer.text).toContain("[99000000 bytes in all, the middle was not kept]");
  });

  it.each([
    ["the default without a wish", {}, 10_000, 5000, 5000],
    ["the model's wish, also above the default", { timeout_sec: 8 }, 10_000, 5000, 8000],
    ["what the attempt still has", { timeout_sec: 800 }, 10_000, 5000, 10_000],
    ["a second at the very end", {}, -50, 5000, 1000],
  ])("gives a command as its limit %s", async (_, wish, remaining, commandTimeoutMs, expected) => {
    const limits: (number | undefined)[] = [];
    const shell = {
      run: async (_command: string, options?: { timeoutMs?: number }) => {
        limits.push(options?.timeoutMs);
        return result();
      },
    };
    const { call } = await shellTool({ shell }, { remainingMs: () => remaining, commandTimeoutMs });
    await call({ command: "ls", ...wish });
    expect(limits).toEqual([expected]);
  });

  it("cuts a long output in the middle, more of the end than of the start, and puts the whole into the container", async () => {
    const whole = `HEAD${"-".repeat(5000)}TAIL`;
    const { call, sandbox } = await shellTool(answering(result({ stdout: bytes(whole) })), { shownCharacters: 100 });
    const { text } = await call({ command: "cat log" });
    expect(text).toMatch(
      /^\[exit code 0\]\nHEAD-{31}\n\[\.\.\. 4908 characters cut of 5008 bytes; the whole is in \/tmp\/output-\w+\.txt \.\.\.\]\n-{61}TAIL$/,
    );
    const path = /\/tmp\/output-\w+\.txt/.exec(text)![0];
    expect(new TextDecoder().decode((await sandbox.readFile(path))!)).toBe(whole);
  });

  it("goes on when the container's disk is full and the whole cannot be put there", async () => {
    const { call, session } = await shellTool(answering(result({ stdout: bytes("x".repeat(500)) })), { shownCharacters: 100 });
    session.sandbox = {
      ...session.sandbox,
      writeFiles: async () => {
        throw new SparkError("no space left on device", { code: "sandbox-failed" });
      },
    };
    expect((await call({ command: "cat log" })).text).toContain("the whole could not be kept in the container");
    expect(session.failure).toBeUndefined();
  });

  it("keeps a broken sandbox for the node to throw, and runs nothing afterwards", async () => {
    let runs = 0;
    const { call, session } = await shellTool({
      shell: {
        run: async () => {
          runs += 1;
          throw new SparkError("gone", { code: "sandbox-lost" });
        },
      },
    });
    const first = await call({ command: "ls" });
    expect(first.artifact).toBeNull();
    expect(session.failure?.code).toBe("sandbox-lost");
    expect((await call({ command: "ls" })).text).toBe("The environment is gone.");
    expect(runs).toBe(1);
  });

  it("gives the command the signal and throws when it aborts", async () => {
    const controller = new AbortController();
    const { call } = await shellTool({
      shell: {
        run: async (_command, options) => {
          controller.abort(new Error("Ctrl-C"));
          return result({ exitCode: null, aborted: options?.signal?.aborted === true });
        },
      },
    });
    await expect(call({ command: "sleep 9" }, { signal: controller.signal })).rejects.toThrow("Ctrl-C");
  });
});
