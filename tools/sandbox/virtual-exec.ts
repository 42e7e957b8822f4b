import { AsyncResource } from "node:async_hooks";
import { posix } from "node:path";
import type { Bash, BashExecResult, CustomCommand, IFileSystem, TransformPlugin } from "just-bash";
import { messageOf, SparkError } from "../../state/errors.js";
import { createCapture } from "./docker-output.js";
import type { ExecResult } from "./sandbox.js";
import { extraCommands } from "./virtual-commands.js";
import { createPythonCommand } from "./virtual-python.js";

export type JustBash = typeof import("just-bash");

/** Loads the interpreter on first use: it is 90 MB of optional capability. */
export async function loadJustBash(): Promise<JustBash> {
  try {
    return await import("just-bash");
  } catch (error) {
    throw new SparkError(
      `The virtual sandbox could not be loaded: ${messageOf(error)}. Install the package just-bash, or use --sandbox docker.`,
      { code: "sandbox-failed", cause: error },
    );
  }
}

/** Longest time of a command that names no limit, milliseconds. */
const MAX_COMMAND_MS = 6 * 60 * 60 * 1000;
/** Commands of one exec. Past it, an endless loop in a called script ends after some seconds with exit code 126. */
const MAX_COMMANDS = 200_000;
/** Kept of each stream when nobody says how much, bytes. */
const DEFAULT_OUTPUT_BYTES = 10_000_000;

export interface VirtualExec {
  cwd: string;
  env: Record<string, string>;
  stdin?: Uint8Array | undefined;
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
  maxOutputBytes?: number | undefined;
  plugin?: TransformPlugin | undefined;
  /** Commands of one run only. */
  commands?: typeof extraCommands;
}

/**
 * Runs a command line on a file system. Differences from a real shell that stay (sandbox.md 6): `cmd &` runs at once and to its end,
 * no trap and no signals, `printf '\xff'` gives UTF-8, standard error of a whole pipeline comes after its standard output.
 */
export async function execVirtual(
  library: JustBash,
  fs: IFileSystem,
  command: string,
  options: VirtualExec,
): Promise<ExecResult & { env: Record<string, string> }> {
  const started = performance.now();
  const limitMs = Math.min(options.timeoutMs ?? MAX_COMMAND_MS, MAX_COMMAND_MS);
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), limitMs);
  let result: BashExecResult;
  try {
    const signal = options.signal ? AbortSignal.any([options.signal, timeout.signal]) : timeout.signal;
    const bash = await createBash(library, fs, { ...options, signal }, limitMs);
    bash.registerTransformPlugin(pausePlugin(library));
    if (options.plugin) bash.registerTransformPlugin(options.plugin);
    result = await bash.exec(command, {
      rawScript: true,
      cwd: options.cwd,
      signal,
      ...(options.stdin ? { stdin: Buffer.from(options.stdin).toString("latin1"), stdinKind: "bytes" as const } : {}),
    });
  } catch (error) {
    throw new SparkError(`The virtual sandbox broke while it ran ${JSON.stringify(command.slice(0, 80))}: ${messageOf(error)}`, {
      code: "sandbox-failed",
      cause: error,
    });
  } finally {
    clearTimeout(timer);
  }
  const durationMs = performance.now() - started;
  const aborted = options.signal?.aborted === true;
  // A loop of builtins never lets the timer run; the interpreter's own deadline ends it then.
  const timedOut = !aborted && result.exitCode === 124 && (timeout.signal.aborted || durationMs >= limitMs);
  const ended = aborted || timedOut;
  const keep = options.maxOutputBytes ?? DEFAULT_OUTPUT_BYTES;
  const stdout = createCapture(keep);
  const stderr = createCapture(keep);
  stdout.add(Buffer.from(result.stdout, result.stdoutKind === "bytes" || result.stdoutEncoding === "binary" ? "latin1" : "utf8"));
  stderr.add(Buffer.from(ended ? result.stderr.replace(/bash: execution aborted\n$/, "") : result.stderr, "utf8"));
  return {
    exitCode: ended ? null : result.exitCode,
    stdout: stdout.bytes(),
    stderr: stderr.bytes(),
    truncated: stdout.truncated || stderr.truncated,
    totalBytes: stdout.total + stderr.total,
    timedOut,
    aborted,
    durationMs,
    env: result.env,
  };
}

async function createBash(library: JustBash, fs: IFileSystem, options: VirtualExec, limitMs: number): Promise<Bash> {
  // What runs inside an exec may not touch clocks and the like (just-bash guards its async context); a subprocess is started from out here.
  const outside = new AsyncResource("spark-skills.virtual");
  const bash = new library.Bash({
    fs: withShebangs(fs),
    cwd: options.cwd,
    env: { ...options.env, PWD: options.cwd },
    python: true,
    processInfo: { uid: 0, gid: 0 },
    executionLimits: {
      maxExecutionTimeMs: limitMs,
      maxPythonTimeoutMs: limitMs,
      maxCommandCount: MAX_COMMANDS,
      maxLoopIterations: MAX_COMMANDS,
    },
    customCommands: [
      createPauseCommand(),
      createPythonCommand("python3"),
      createPythonCommand("python"),
      ...extraCommands,
      ...(options.commands ?? []),
    ],
    // The one "address" is this process itself: python's subprocess arrives here. Nothing leaves it.
    fetch: async (url, request) => {
      if (url !== "http://sandbox.invalid/exec") throw new Error("The virtual sandbox has no network.");
      return {
        status: 200,
        statusText: "OK",
        headers: {},
        url,
        body: Buffer.from(await outside.runInAsyncScope(() => runSubprocess(library, fs, String(request?.body), options.signal))),
      };
    },
  });
  for (const path of ["/bin/curl", "/usr/bin/curl"]) await fs.rm(path, { force: true });
  return bash;
}

const PAUSE = "__spark_pause";
/** Longest time in which a loop of builtins may keep this process from everything else, milliseconds. */
const PAUSE_EVERY_MS = 20;

/** A loop of builtins never returns to the event loop, so neither a time limit nor an abort nor other work of this process gets its turn. */
function createPauseCommand(): CustomCommand {
  const outside = new AsyncResource("spark-skills.virtual");
  let last = performance.now();
  return {
    name: PAUSE,
    trusted: true,
    async execute() {
      await outside.runInAsyncScope(async () => {
        if (performance.now() - last < PAUSE_EVERY_MS) return;
        await new Promise((resolve) => setTimeout(resolve, 0));
        last = performance.now();
      });
      return { stdout: "", stderr: "", exitCode: 0 };
    },
  };
}

/** Puts the pause at the beginning of each loop's body. Scripts that a command line calls are not reached; there the limit of commands holds. */
function pausePlugin(library: JustBash): TransformPlugin {
  const loops = new Set(["While", "Until", "For", "CStyleFor"]);
  const withPauses = (node: unknown): unknown => {
    if (Array.isArray(node)) return node.map(withPauses);
    if (node === null || typeof node !== "object") return node;
    const copy = Object.fromEntries(Object.entries(node).map(([key, value]) => [key, withPauses(value)])) as {
      type?: string;
      body?: unknown[];
    };
    if (loops.has(copy.type ?? "") && Array.isArray(copy.body)) copy.body = [...library.parse(`${PAUSE}\n`).statements, ...copy.body];
    return copy;
  };
  return { name: "pauses", transform: ({ ast }) => ({ ast: withPauses(ast) as typeof ast }) };
}

interface SubprocessRequest {
  command: string;
  cwd: string;
  env: Record<string, string>;
  stdin: string;
  timeoutMs: number | null;
}

async function runSubprocess(library: JustBash, fs: IFileSystem, body: string, signal: AbortSignal | undefined): Promise<string> {
  const request = JSON.parse(body) as SubprocessRequest;
  const result = await execVirtual(library, fs, request.command, {
    cwd: request.cwd,
    env: request.env,
    stdin: Buffer.from(request.stdin, "base64"),
    timeoutMs: request.timeoutMs ?? undefined,
    signal,
  });
  const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
  return JSON.stringify({
    exitCode: result.exitCode ?? -9,
    timedOut: result.timedOut,
    stdout: text(result.stdout),
    stderr: text(result.stderr),
  });
}

const SHELLS = new Set(["sh", "bash", "dash", "ash"]);

/**
 * just-bash runs every executable file as a bash script, whatever its first line says. It looks a path up with exists and stat and then
 * reads it, with nothing in between, which no command does: there a script of another interpreter is answered with a line that calls it.
 */
function withShebangs(fs: IFileSystem): IFileSystem {
  let trail: string[] = [];
  const note = (operation: string, path: unknown) => {
    trail = [...trail.slice(-1), `${operation} ${String(path)}`];
  };
  const readFile: IFileSystem["readFile"] = async (path, encoding) => {
    const isLookup = encoding === undefined && trail[0] === `exists ${path}` && trail[1] === `stat ${path}`;
    note("readFile", path);
    const text = await fs.readFile(path, encoding);
    const line = isLookup ? /^#!\s*(\S+)[ \t]*([^\r\n]*)/.exec(text) : null;
    if (!line) return text;
    const words = [posix.basename(line[1]!), ...(line[2]!.trim() === "" ? [] : line[2]!.trim().split(/\s+/))];
    if (words[0] === "env") words.splice(0, words[1] === "-S" ? 2 : 1);
    const interpreter = posix.basename(words[0] ?? "");
    if (interpreter === "" || SHELLS.has(interpreter)) return text;
    return `${[interpreter, ...words.slice(1)].map(quoted).join(" ")} ${quoted(path)} "$@"\n`;
  };
  return new Proxy(fs, {
    get(target, key) {
      if (key === "readFile") return readFile;
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        note(String(key), args[0]);
        return value.apply(target, args);
      };
    },
  });
}

/** A word that the shell takes literally. */
export const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`);
