import { tool } from "@langchain/core/tools";
import { z } from "zod";
import type { TaskDirectory } from "../formats/run-directory.js";
import { SparkError } from "../state/errors.js";
import type { ShellArtifact } from "../state/shell-agent.js";
import type { ExecResult, Sandbox, Shell } from "./sandbox/sandbox.js";

/** Bytes of one command's output that are kept in the record; what is beyond is counted and said. */
const RECORDED_OUTPUT_BYTES = 10_000_000;
/** Share of the shown budget that goes to the start of a long output; errors stand at its end. */
const HEAD_SHARE = 0.35;

export const shellToolName = "shell";

export const shellToolSchema = z.object({
  command: z
    .string()
    .min(1)
    .describe("Bash command line, script or here-document. Directory, variables and functions persist between commands."),
  timeout_sec: z.number().positive().optional().describe("Seconds after which the command is killed; the session survives"),
});

/** What the shell tool works on during one attempt. Live, never in state. */
export interface ShellSession {
  shell: Shell;
  sandbox: Sandbox;
  store: TaskDirectory;
  /** Milliseconds of a command without `timeout_sec`. */
  commandTimeoutMs: number;
  /** Characters of an output that the model sees. */
  shownCharacters: number;
  /** Milliseconds that the attempt still has. */
  remainingMs(): number;
  /** A broken sandbox: tools must not throw it (LangGraph would turn it into a tool message), so the node that ran them does. */
  failure?: SparkError;
}

/**
 * The agent's one tool: a persistent shell in the task's container. The model gets text it can act on, the record gets everything
 * (as `artifact` of the tool message, content in a file). Calls that arrive together are queued by the session.
 */
export const createShellTool = (session: ShellSession) =>
  tool(
    async ({ command, timeout_sec }, config): Promise<[string, ShellArtifact | null]> => {
      if (session.failure) return ["The environment is gone.", null];
      const timeoutMs = Math.max(
        1000,
        Math.min(timeout_sec === undefined ? session.commandTimeoutMs : timeout_sec * 1000, session.remainingMs()),
      );
      try {
        const result = await session.shell.run(command, {
          timeoutMs,
          maxOutputBytes: RECORDED_OUTPUT_BYTES,
          ...(config?.signal ? { signal: config.signal } : {}),
        });
        config?.signal?.throwIfAborted();
        const whole = terminalText(result);
        const output = await session.store.put(whole);
        const shown = await shownOutput(session, whole, result);
        const artifact = {
          command,
          exitCode: result.exitCode,
          timedOut: result.timedOut,
          durationMs: Math.round(result.durationMs),
          output,
        };
        return [`${statusLine(result, timeoutMs)}\n${shown}`, artifact];
      } catch (error) {
        if (!SparkError.isInstance(error)) throw error;
        session.failure = error;
        return ["The environment is gone.", null];
      }
    },
    {
      name: shellToolName,
      description:
        "Runs a command in the task's Linux container and returns its exit code and output. One command at a time. Long output is cut in the middle; the answer says where the whole stands.",
      schema: shellToolSchema,
      responseFormat: "content_and_artifact",
    },
  );

/** Both streams as a terminal shows them, standard error after standard output. */
function terminalText(result: ExecResult): string {
  const decode = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: false }).decode(bytes);
  const stdout = decode(result.stdout);
  const stderr = decode(result.stderr);
  const joined = stderr === "" ? stdout : `${stdout}${stdout === "" || stdout.endsWith("\n") ? "" : "\n"}[stderr]\n${stderr}`;
  return result.truncated ? `${joined}\n[${result.totalBytes} bytes in all, the middle was not kept]` : joined;
}

function statusLine(result: ExecResult, timeoutMs: number): string {
  if (result.timedOut) return `[timed out after ${Math.round(timeoutMs / 1000)} s and was killed; the session goes on]`;
  return `[exit code ${result.exitCode}]`;
}

/** Cuts what is too long, keeps its start and its end, and leaves the whole in the container where the model can read on. */
async function shownOutput(session: ShellSession, whole: string, result: ExecResult): Promise<string> {
  if (whole.length <= session.shownCharacters) return whole === "" ? "(no output)" : whole;
  const head = Math.floor(session.shownCharacters * HEAD_SHARE);
  const tail = session.shownCharacters - head;
  const path = `/tmp/output-${Date.now().toString(36)}.txt`;
  const kept = await session.sandbox.writeFiles([{ path, data: Buffer.from(whole), mode: 0o644 }]).then(
    () => `the whole is in ${path}`,
    (error: unknown) => {
      // A disk that the agent has filled is the agent's problem, a container that is gone is not.
      if (!SparkError.isInstance(error) || error.code === "sandbox-lost") throw error;
      return "the whole could not be kept in the container";
    },
  );
  const cut = whole.length - head - tail;
  return `${whole.slice(0, head)}\n[... ${cut} characters cut of ${result.totalBytes} bytes; ${kept} ...]\n${whole.slice(-tail)}`;
}
