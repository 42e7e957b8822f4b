import { randomBytes, randomInt } from "node:crypto";
import type { Socket } from "node:net";
import { SparkError } from "../../state/errors.js";
import { translated } from "./docker-errors.js";
import {
  assertRunning,
  type CommandHost,
  defaultOutputBytes,
  type Ending,
  endingNote,
  killGraceMs,
  openExec,
  runCommand,
  sweep,
  within,
} from "./docker-exec.js";
import { createCapture, createFrameParser, createMarkerScanner, type OutputCapture, type StreamName } from "./docker-output.js";
import { bootstrap, prelude, statelessWrapper, supervisor } from "./docker-supervisor.js";
import type { ExecResult, Shell } from "./sandbox.js";

/** A command of the session that writes more than this is killed. */
export const shellCeilingBytes = 20 * 1024 * 1024;
const openLimitMs = 30_000;

interface Answer {
  exitCode: number;
  slot: string;
}
interface Pending {
  take(stream: StreamName, data: Buffer): void;
}
interface Session {
  socket: Socket;
  pid: string;
  last: string;
  closed: Promise<"closed">;
  isClosed: boolean;
  pending: Pending | null;
}

const nul = Buffer.from("\0");

/** Reads the two ends of one command out of the streams: `\0nonce\0` on stderr, `\0nonce rc slot\0state\0` on stdout. */
const createReader = (
  nonce: string,
  captures: Record<StreamName, OutputCapture>,
  overflow: () => void,
  done: (answer: Answer, state: Buffer) => void,
): Pending => {
  const marker = Buffer.from(`\0${nonce}`);
  const pass =
    (stream: StreamName) =>
    (data: Buffer): void => {
      captures[stream].add(data);
      if (captures.stdout.total + captures.stderr.total > shellCeilingBytes) overflow();
    };
  const scanners = { stdout: createMarkerScanner(marker, pass("stdout")), stderr: createMarkerScanner(marker, pass("stderr")) };
  let rest: Buffer[] | null = null;
  let nulls = 0;
  let errorsEnded = false;
  let told = false;
  return {
    take(stream, data) {
      if (told || (stream === "stderr" && errorsEnded)) return;
      let tail: Buffer | null = data;
      if (stream === "stderr") errorsEnded = scanners.stderr.feed(data) !== null;
      else {
        if (rest === null) {
          tail = scanners.stdout.feed(data);
          if (tail !== null) rest = [];
        }
        if (tail !== null && rest !== null) {
          rest.push(tail);
          for (let at = tail.indexOf(0); at >= 0; at = tail.indexOf(0, at + 1)) nulls += 1;
        }
      }
      if (!errorsEnded || rest === null || nulls < 2) return;
      told = true;
      const all = Buffer.concat(rest);
      const end = all.indexOf(nul);
      const [rc = "", slot = "-"] = all.subarray(0, end).toString().trim().split(" ");
      done({ exitCode: Number.parseInt(rc, 10), slot }, all.subarray(end + 1, all.indexOf(nul, end + 1)));
    },
  };
};

/** Starts the fork-server. Null when the image has no bash. */
const startSession = async (host: CommandHost, options: { user?: string; cwd?: string }): Promise<Session | null> => {
  const { socket } = await translated(`opening a shell in ${host.name}`, () =>
    openExec(host.container, { cmd: bootstrap, stdin: true, ...options }),
  );
  socket.write(`${supervisor}\0${prelude}\0`);
  const session: Session = { socket, pid: "", last: "-", isClosed: false, pending: null, closed: Promise.resolve("closed") };
  session.closed = new Promise((resolve) => {
    const end = (): void => {
      session.isClosed = true;
      resolve("closed");
    };
    socket.once("end", end);
    socket.once("close", end);
  });
  let said = "";
  const ready = new Promise<void>((resolve) => {
    session.pending = {
      take(_stream, data) {
        said += data.toString("latin1");
        const found = /\0READY (\d+) (\S+)\0/.exec(said);
        if (found === null) return;
        session.pid = found[1]!;
        session.last = found[2]!;
        session.pending = null;
        resolve();
      },
    };
  });
  // Without a command in flight, what background jobs write is dropped: no command is there to own it.
  const parse = createFrameParser((stream, data) => session.pending?.take(stream, data));
  socket.on("data", parse);
  await within(Promise.race([ready, session.closed]), openLimitMs);
  if (session.pid !== "") return session;
  const closed = session.isClosed;
  socket.destroy();
  await assertRunning(host);
  if (/exec: \\?"bash\\?"|bash: (executable file )?not found|no such file or directory.*bash|bash.*no such file/i.test(said)) return null;
  throw new SparkError(
    `a shell did not open in ${host.name}${closed ? "" : ` within ${openLimitMs / 1000} s`}: ${said.replaceAll("\0", "").trim() || "no output"}. Check the user, the directory and that /dev/shm or /tmp can be written.`,
    { code: "sandbox-failed" },
  );
};

/** Commands one after the other, whoever calls. A failed one does not stop the queue. */
const createQueue = (): (<T>(work: () => Promise<T>) => Promise<T>) => {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const next = last.then(work, work);
    last = next.catch(() => undefined);
    return next;
  };
};

const statelessShell = (host: CommandHost, options: { user?: string; cwd?: string }): Shell => {
  const queue = createQueue();
  const file = `/tmp/.sb-${randomBytes(8).toString("hex")}`;
  let isClosed = false;
  return {
    run: (command, run) =>
      queue(async () => {
        if (isClosed) throw new SparkError(`the shell of ${host.name} is closed.`, { code: "internal" });
        return await runCommand(host, statelessWrapper(command, file), { ...options, ...run });
      }),
    async close() {
      isClosed = true;
    },
  };
};

/**
 * The session of a container: a fork-server over one exec (docker-supervisor.ts). A command that times out is killed by age
 * and the session goes on; what cannot be killed costs a restart of the container; a killed supervisor is opened again
 * from the last state that was saved. Without bash: one exec a command, where only directory and exported variables persist.
 */
export const openDockerShell = async (host: CommandHost, options: { user?: string; cwd?: string } = {}): Promise<Shell> => {
  const queue = createQueue();
  const starting = await startSession(host, options);
  if (starting === null) return statelessShell(host, options);
  let session: Session = starting;
  session.socket.unref();
  let slot = session.last;
  let state: Buffer | null = null;
  // A random beginning: an id of an earlier process must not be taken for one of ours.
  let id = randomInt(2 ** 30);
  let isClosed = false;

  /** Sends one request; `done` comes when both streams have shown the nonce. */
  const request = (op: "R" | "S", at: string, text: Buffer, captures: Record<StreamName, OutputCapture>, overflow: () => void) => {
    id += 1;
    const nonce = randomBytes(16).toString("hex");
    const done = new Promise<Answer>((resolve) => {
      session.pending = createReader(nonce, captures, overflow, (answer, told) => {
        session.pending = null;
        if (told[0] === 0x2b) state = Buffer.from(told.subarray(1));
        if (told[0] === 0x2d && answer.slot !== "-") state = null;
        resolve(answer);
      });
    });
    session.socket.write(Buffer.concat([Buffer.from(`${op} ${id} ${nonce} ${at} ${text.length}\n`), text]));
    return done;
  };
  const silent = (): Record<StreamName, OutputCapture> => ({ stdout: createCapture(1), stderr: createCapture(1) });

  const ensureOpen = async (): Promise<void> => {
    if (!session.isClosed) return;
    session.socket.destroy();
    const next = await startSession(host, options);
    if (next === null) throw new SparkError(`bash is gone from ${host.name}; the shell cannot go on.`, { code: "sandbox-failed" });
    session = next;
    slot = session.last;
    // A restart empties the container's memory file system; the state that we hold takes its place.
    if (slot !== "-" || state === null) return;
    const kept = state;
    const answer = await within(Promise.race([request("S", "0", kept, silent(), () => undefined), session.closed]), openLimitMs);
    if (answer === null || answer === "closed")
      throw new SparkError(`the shell of ${host.name} did not take its state back.`, { code: "sandbox-failed" });
    slot = answer.slot;
  };

  const execute: Shell["run"] = async (command, run = {}): Promise<ExecResult> => {
    const started = performance.now();
    const limit = run.maxOutputBytes ?? defaultOutputBytes;
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
    const note = (text: string): void => captures.stderr.add(Buffer.from(text));
    if (isClosed) throw new SparkError(`the shell of ${host.name} is closed.`, { code: "internal" });
    if (command.includes("\0")) throw new SparkError("a command must not contain NUL bytes.", { code: "sandbox-failed" });
    if (run.signal?.aborted) return result(null, "abort");
    await ensureOpen();
    session.socket.ref();
    let ending: Ending | undefined;
    let stop: (why: Ending) => void = () => undefined;
    const stopped = new Promise<"stopped">((resolve) => {
      stop = (why) => {
        ending ??= why;
        resolve("stopped");
      };
    });
    const onAbort = (): void => stop("abort");
    run.signal?.addEventListener("abort", onAbort, { once: true });
    const timer = run.timeoutMs === undefined ? undefined : setTimeout(() => stop("timeout"), run.timeoutMs);
    const unwatch = host.watch({ stop });
    try {
      const done = request("R", slot, Buffer.from(command), captures, () => stop("output"));
      let answer = await Promise.race([done, session.closed, stopped]);
      if (answer === "stopped") {
        const swept = await sweep(host.container, ["child", session.pid]);
        const over = swept ? await within(Promise.race([done, session.closed]), killGraceMs) : null;
        if (over === null) {
          session.socket.destroy();
          await host.recover();
          note("\n[spark-skills: what ran could not be killed; the container was restarted: files are kept, processes are gone]\n");
        }
        answer = over ?? "closed";
        note(endingNote(ending!, shellCeilingBytes));
        if (answer !== "closed" && answer.slot !== "-") slot = answer.slot;
        return result(ending === "output" || ending === "disk" ? 137 : null, ending);
      }
      if (answer === "closed") {
        await assertRunning(host);
        // At once, not with the next command: that the container can still take a shell is the proof that it lives.
        await ensureOpen();
        note("\n[spark-skills: the command ended the shell; the next one starts from the last state that was saved]\n");
        return result(137);
      }
      if (answer.slot !== "-") slot = answer.slot;
      return result(answer.exitCode);
    } finally {
      clearTimeout(timer);
      unwatch();
      run.signal?.removeEventListener("abort", onAbort);
      session.pending = null;
      // Between commands an open session must not keep the process alive.
      session.socket.unref();
    }
  };

  return {
    run: (command, run) => queue(() => execute(command, run)),
    async close() {
      if (isClosed) return;
      isClosed = true;
      session.socket.destroy();
    },
  };
};
