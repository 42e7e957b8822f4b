import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import type Docker from "dockerode";
import { SparkError } from "../../state/errors.js";
import { putFiles } from "./docker-archive.js";
import { asSparkError, translated } from "./docker-errors.js";
import { findLifeLine } from "./docker-hardening.js";
import { createCapture, createFrameParser, type StreamName } from "./docker-output.js";
import type { ExecOptions, ExecResult } from "./sandbox.js";

/** Bytes of each stream that a result keeps unless asked otherwise. */
export const defaultOutputBytes = 8 * 1024 * 1024;
/** A stateless command that writes more than this is killed: `yes` pushes 200 MB a second through the engine. */
const execCeilingBytes = 512 * 1024 * 1024;
/** How long killed processes may take to be gone before the container is restarted. */
export const killGraceMs = 5_000;
/** Linux takes at most 131071 bytes in one argument (MAX_ARG_STRLEN). */
const longestArgument = 100_000;

/** What ends a command before its own end. */
export type Ending = "timeout" | "abort" | "output" | "disk";

/** A running command as its container sees it: the disk watch ends it through `stop`. */
export interface Running {
  stop(why: Ending): void;
}

/** What a command needs of the container around it. */
export interface CommandHost {
  readonly name: string;
  readonly container: Docker.Container;
  /** Last resort against processes that cannot be killed: restarts the container, or throws `sandbox-lost`. */
  recover(): Promise<void>;
  /** Registers a running command with the disk watch; the answer ends the registration. */
  watch(command: Running): () => void;
}

/** Text for standard error about why a command was killed. */
export const endingNote = (why: Ending, ceiling: number): string =>
  why === "output"
    ? `\n[spark-skills: killed: the command wrote more than ${ceiling} bytes]\n`
    : why === "disk"
      ? "\n[spark-skills: killed: the container's disk limit is reached; remove files first]\n"
      : "";

// First the wrapper says that it runs and when it was born (its own line of /proc); without that line the text on stdout is
// the engine's own, as "OCI runtime exec failed". The command then takes its place: same process, same birth.
const wrapper =
  'IFS= read -r s </proc/$$/stat; printf "\\0%s\\0" "$s"; command -v bash >/dev/null 2>&1 && exec bash -c "$1"; exec sh -c "$1"';

const fieldsOf = `s=\${s##*") "}; set -- $s`;
const ownIds = `[ "$q" = 1 ] || [ "$q" = $$ ]`;
const readStat = `{ IFS= read -r s <"$p/stat"; } 2>/dev/null || continue`;

/**
 * Kills everything born at or after a moment: this catches what left its process group, its session or its environment, and
 * spares older background jobs. `$1` is a birth in ticks, or `child` for that of the newest child of process `$2`. Fails when
 * there was still something to kill in the last round: what forks faster than it is killed.
 */
export const ageSweep = `t0=$1; sup=$2
if [ "$t0" = child ]; then t0=; for p in /proc/[0-9]*; do ${readStat}; ${fieldsOf}; [ "$2" = "$sup" ] && { [ -z "$t0" ] || [ "\${20}" -gt "$t0" ]; } && t0=\${20}; done; fi
n=0; hit=; [ -n "$t0" ] && while [ $n -lt 5 ]; do n=$((n+1)); hit=
for p in /proc/[0-9]*; do q=\${p#/proc/}; ${ownIds} && continue; ${readStat}; ${fieldsOf}; [ "$1" = Z ] && continue; [ "\${20}" -ge "$t0" ] && kill -KILL "$q" 2>/dev/null && hit=1; done
[ -n "$hit" ] || break; done
[ -z "$hit" ]`;

/** Kills everything but PID 1, itself, the life line and what waits for it. Fails like {@link ageSweep}, or when there is no life line. */
export const killAllButLifeLine = `${findLifeLine}
[ -n "$life" ] || exit 3
n=0; while [ $n -lt 8 ]; do n=$((n+1)); hit=
for p in /proc/[0-9]*; do q=\${p#/proc/}; ${ownIds} && continue; case $keep in *" $q "*) continue;; esac; ${readStat}; ${fieldsOf}; [ "$1" = Z ] && continue; kill -KILL "$q" 2>/dev/null && hit=1; done
[ -n "$hit" ] || break; done
[ -z "$hit" ]`;

/** Opens an exec and gives its raw connection. Hijacked always: docker-modem's other way loses standard input. */
export const openExec = async (
  container: Docker.Container,
  spec: { cmd: string[]; user?: string; cwd?: string; env?: Record<string, string>; stdin: boolean },
): Promise<{ exec: Docker.Exec; socket: Socket }> => {
  const exec = await container.exec({
    Cmd: spec.cmd,
    AttachStdin: spec.stdin,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    ...(spec.user === undefined ? {} : { User: spec.user }),
    ...(spec.cwd === undefined ? {} : { WorkingDir: spec.cwd }),
    ...(spec.env === undefined ? {} : { Env: Object.entries(spec.env).map(([name, value]) => `${name}=${value}`) }),
  });
  const socket = (await exec.start({ hijack: true, stdin: spec.stdin })) as unknown as Socket;
  // The end of a connection is told by `close`; an error alone (a reset by a removed container) must not end the process.
  socket.on("error", () => undefined);
  return { exec, socket };
};

const exitCodeOf = async (exec: Docker.Exec): Promise<number> => {
  for (let tries = 0; ; tries += 1) {
    const state = await exec.inspect();
    if (!state.Running && state.ExitCode !== null) return state.ExitCode;
    if (tries >= 100) throw new SparkError("the engine says that a command whose output has ended still runs.", { code: "sandbox-failed" });
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
};

/** What `work` resolves to, null when it takes longer than `limitMs`. */
export const within = async <T>(work: Promise<T>, limitMs: number): Promise<T | null> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};

// A container whose processes were just killed is still called running for a moment.
const settleMs = [0, 100, 250];

/** Throws `sandbox-lost` unless the container runs, and still does a moment later. */
export const assertRunning = async (host: Pick<CommandHost, "name" | "container">): Promise<void> => {
  for (const wait of settleMs) {
    await new Promise((resolve) => setTimeout(resolve, wait));
    const state = await translated(`container ${host.name}`, () => host.container.inspect());
    if (!state.State.Running) {
      throw new SparkError(`container ${host.name} has stopped (exit code ${state.State.ExitCode}). Start the attempt anew.`, {
        code: "sandbox-lost",
      });
    }
  }
};

/** Runs one of our own small scripts with sh as root. Null when it did not end in time; it is then left alone. */
export const runScript = async (
  container: Docker.Container,
  script: string,
  args: string[],
  options: { user?: string; timeoutMs?: number } = {},
): Promise<{ exitCode: number; stdout: string } | null> => {
  const { exec, socket } = await openExec(container, {
    cmd: ["sh", "-c", script, "sh", ...args],
    cwd: "/",
    user: options.user ?? "0",
    stdin: false,
  });
  const out = createCapture(4 * 1024 * 1024);
  socket.on(
    "data",
    createFrameParser((stream, data) => stream === "stdout" && out.add(data)),
  );
  const end = new Promise<true>((resolve) => {
    socket.once("close", () => resolve(true));
    socket.once("end", () => resolve(true));
  });
  const ended = (await within(end, options.timeoutMs ?? 30_000)) !== null;
  socket.destroy();
  return ended ? { exitCode: await exitCodeOf(exec), stdout: Buffer.from(out.bytes()).toString() } : null;
};

/** Kills by age; false when that did not come to an end (a fork bomb leaves no room for the killer, or outruns it). */
export const sweep = async (container: Docker.Container, args: string[]): Promise<boolean> => {
  try {
    const done = await runScript(container, ageSweep, args, { timeoutMs: killGraceMs });
    return done !== null && done.exitCode === 0;
  } catch (error) {
    if (asSparkError(error, "").code === "sandbox-lost") throw error;
    return false;
  }
};

/** Runs one command without a session; see {@link Sandbox.exec}. Do not run it beside a command of the shell that may time out: a kill goes by age. */
export const runCommand = async (host: CommandHost, command: string, options: ExecOptions = {}): Promise<ExecResult> => {
  const started = performance.now();
  const limit = options.maxOutputBytes ?? defaultOutputBytes;
  const captures = { stdout: createCapture(limit), stderr: createCapture(limit) };
  const result = (exitCode: number | null, ending?: Ending): ExecResult => ({
    exitCode,
    stdout: captures.stdout.bytes(),
    stderr: captures.stderr.bytes(),
    truncated: captures.stdout.truncated || captures.stderr.truncated || ending === "output",
    totalBytes: captures.stdout.total + captures.stderr.total,
    timedOut: ending === "timeout",
    aborted: ending === "abort",
    durationMs: performance.now() - started,
  });
  if (command.includes("\0")) throw new SparkError("a command must not contain NUL bytes.", { code: "sandbox-failed" });
  if (options.signal?.aborted) return result(null, "abort");
  const { container } = host;
  let text = command;
  let uploaded: string | null = null;
  if (Buffer.byteLength(command) > longestArgument) {
    uploaded = `/tmp/.spark-skills-${randomBytes(8).toString("hex")}`;
    await putFiles(container, [{ path: uploaded, data: Buffer.from(command), mode: 0o444 }]);
    text = `. ${uploaded}`;
  }
  const { exec, socket } = await translated(`running a command in ${host.name}`, () =>
    openExec(container, {
      cmd: ["sh", "-c", wrapper, "sh", text],
      stdin: options.stdin !== undefined,
      ...(options.user === undefined ? {} : { user: options.user }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: options.env }),
    }),
  );
  if (options.stdin !== undefined) socket.end(options.stdin);

  let ending: Ending | undefined;
  let stop: (why: Ending) => void = () => undefined;
  const stopped = new Promise<Ending>((resolve) => {
    stop = (why) => {
      ending ??= why;
      resolve(ending);
    };
  });
  // The wrapper's birth line stands between two NULs at the very beginning of stdout.
  let birth: string | null = null;
  let first = Buffer.alloc(0);
  const pass = (stream: StreamName, data: Buffer): void => {
    captures[stream].add(data);
    options.onOutput?.({ stream, data });
    if (captures.stdout.total + captures.stderr.total > execCeilingBytes) stop("output");
  };
  let begun: () => void = () => undefined;
  const hasBegun = new Promise<void>((resolve) => {
    begun = resolve;
  });
  const parse = createFrameParser((stream, data) => {
    if (stream === "stderr" || birth !== null) return pass(stream, data);
    first = Buffer.concat([first, data]);
    const end = first[0] === 0 ? first.indexOf(0, 1) : -1;
    if (end < 0) return;
    birth = first.subarray(1, end).toString();
    begun();
    if (first.length > end + 1) pass(stream, first.subarray(end + 1));
  });
  socket.on("data", parse);
  const closed = new Promise<"closed">((resolve) => {
    socket.once("end", () => resolve("closed"));
    socket.once("close", () => resolve("closed"));
  });
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(() => stop("timeout"), options.timeoutMs);
  const onAbort = (): void => stop("abort");
  options.signal?.addEventListener("abort", onAbort, { once: true });
  if (options.signal?.aborted) onAbort();
  const unwatch = host.watch({ stop });
  try {
    if ((await Promise.race([closed, stopped])) !== "closed") {
      if (birth === null) await within(Promise.race([hasBegun, closed]), killGraceMs);
      const ticks = birth === null ? null : ((birth as string).replace(/^.*\) /s, "").split(" ")[19] ?? null);
      const swept = ticks !== null && (await sweep(container, [ticks]));
      const over = swept ? await within(closed, killGraceMs) : null;
      if (over === null) await host.recover();
      captures.stderr.add(Buffer.from(endingNote(ending!, execCeilingBytes)));
      return result(ending === "output" || ending === "disk" ? 137 : null, ending);
    }
    if (birth === null) {
      await assertRunning(host);
      const said = first.toString().trim() || Buffer.from(captures.stderr.bytes()).toString().trim() || "the engine said nothing";
      throw new SparkError(
        `a command could not start in ${host.name}: ${said}. Check the user, the directory and that the image has a shell.`,
        { code: "sandbox-failed" },
      );
    }
    const exitCode = await translated(`running a command in ${host.name}`, () => exitCodeOf(exec));
    // Killed without a word of ours: perhaps its container went away under it.
    if (exitCode === 137) await assertRunning(host);
    return result(exitCode);
  } finally {
    clearTimeout(timer);
    unwatch();
    options.signal?.removeEventListener("abort", onAbort);
    socket.destroy();
    // A file left in /tmp of a container that is about to be lost or removed harms nobody.
    if (uploaded !== null) await runScript(container, 'rm -f "$1"', [uploaded]).catch(() => undefined);
  }
};
