import { posix } from "node:path";
import { SparkError } from "../../state/errors.js";
import type { CreateOptions, ExecResult, FileChange, Sandbox, SandboxProvider } from "./sandbox.js";

/** What a scripted command gives. A bare string is its standard output with exit code 0. */
export interface ScriptedResult {
  exitCode?: number;
  stdout?: string;
  stderr?: string;
  /** The command counts as having run into its time limit. */
  timedOut?: boolean;
  /** Files that the command leaves behind, by absolute path; null deletes. */
  files?: Record<string, string | null>;
}

export interface ScriptedCommand {
  /** The whole command line, or an expression that finds something in it. */
  match: string | RegExp;
  /** One result for every call, or one a call in order; the list running out is an unscripted call. */
  result:
    | string
    | ScriptedResult
    | readonly (string | ScriptedResult)[]
    | ((command: string, match: RegExpMatchArray) => string | ScriptedResult);
}

export interface ScriptedOptions {
  /** The first entry that matches answers. */
  commands?: readonly ScriptedCommand[];
  /** Files of the image, by absolute path. */
  files?: Record<string, string>;
  /**
   * What the verifier leaves, one element a verification in order: a number or text becomes /logs/verifier/reward.txt, an object its files
   * by name under /logs/verifier. Without it a verifier must be scripted as a command.
   */
  rewards?: readonly (number | string | Record<string, string>)[];
  workdir?: string;
  /** Sees every command of every sandbox, for assertions. */
  onCommand?(command: string, sandbox: string): void;
}

/** What our own machinery runs around an attempt; it needs no script. Everything else does. */
const HOUSEKEEPING = /^(?:(?:mkdir -p|rm -rf|chmod(?: -R)?|chown(?: -R)?)(?:\s+[^;&|\n]+)?(?:\s*(?:&&|;)\s*|$))+$/;
const VERIFIER = /\/tests\/test\.sh\b/;

interface Box {
  options: CreateOptions;
  files: Map<string, Uint8Array>;
  pristine: ReadonlyMap<string, Uint8Array>;
  closed: boolean;
}

/**
 * A provider for tests and replay without a machine: commands answer as scripted, files are a map, snapshots and judging keep that map.
 * It throws SparkError `internal` for a command that nobody scripted, so a forgotten script fails loudly.
 */
export function createScriptedProvider(options: ScriptedOptions = {}): SandboxProvider {
  const image = new Map(
    Object.entries(options.files ?? {}).map(([path, text]) => [posix.resolve("/", path), Buffer.from(text) as Uint8Array]),
  );
  const boxes = new Map<string, Box>();
  const snapshots = new Map<string, { run: string; files: Map<string, Uint8Array> }>();
  const answer = createAnswers(options);

  const create = (given: CreateOptions, files: ReadonlyMap<string, Uint8Array>): Sandbox => {
    const replaced = boxes.get(given.name);
    if (replaced) replaced.closed = true;
    const box: Box = { options: given, files: new Map(files), pristine: image, closed: false };
    boxes.set(given.name, box);
    return createSandbox(box, answer, boxes, snapshots, given.workdir ?? options.workdir ?? "/app");
  };
  return {
    name: "scripted",
    async available() {
      return { ok: true, description: "scripted", isolation: ["scripted: nothing is executed"] };
    },
    async prepare() {
      return { id: "scripted", name: "scripted", workdir: options.workdir ?? "/app", user: "" };
    },
    async create(given) {
      return create(given, image);
    },
    async find(name) {
      const box = boxes.get(name);
      return box && !box.closed ? createSandbox(box, answer, boxes, snapshots, box.options.workdir ?? options.workdir ?? "/app") : null;
    },
    async findSnapshot(name) {
      return snapshots.has(name) ? name : null;
    },
    async removeSnapshot(name) {
      snapshots.delete(name);
    },
    async tamperReport() {
      return [];
    },
    async judge(given) {
      const snapshot = snapshots.get(given.snapshot);
      if (!snapshot)
        throw new SparkError(`The scripted sandbox has no snapshot ${given.snapshot}; call snapshot() first.`, { code: "sandbox-lost" });
      return { sandbox: create(given, snapshot.files), withheld: [], tampered: [] };
    },
    async removeRun(run) {
      const names = [...boxes].filter(([, box]) => box.options.run === run).map(([name]) => name);
      for (const name of names) {
        boxes.get(name)!.closed = true;
        boxes.delete(name);
      }
      const left = [...snapshots].filter(([, snapshot]) => snapshot.run === run).map(([name]) => name);
      for (const name of left) snapshots.delete(name);
      return names.length + left.length;
    },
    async reap() {
      return 0;
    },
    async list() {
      const expires = "with this process";
      return [
        ...[...boxes].map(([name, box]) => ({ kind: "container" as const, id: name, name, run: box.options.run, expires })),
        ...[...snapshots].map(([name, { run }]) => ({ kind: "image" as const, id: name, name, run, expires })),
      ];
    },
    async close() {
      for (const box of boxes.values()) box.closed = true;
      boxes.clear();
      snapshots.clear();
    },
  };
}

type Answer = (command: string, sandbox: string) => ScriptedResult;

function createAnswers(options: ScriptedOptions): Answer {
  const calls = new Map<ScriptedCommand, number>();
  let verifications = 0;
  return (command, sandbox) => {
    options.onCommand?.(command, sandbox);
    for (const entry of options.commands ?? []) {
      const match =
        typeof entry.match === "string" ? (command === entry.match ? ([command] as RegExpMatchArray) : null) : command.match(entry.match);
      if (!match) continue;
      const call = calls.get(entry) ?? 0;
      calls.set(entry, call + 1);
      const { result } = entry;
      const given =
        typeof result === "function"
          ? result(command, match)
          : Array.isArray(result)
            ? (result as readonly (string | ScriptedResult)[])[call]
            : (result as string | ScriptedResult);
      if (given === undefined)
        throw unscripted(command, `call ${call + 1} of an entry that scripts ${(result as readonly unknown[]).length}`);
      return typeof given === "string" ? { stdout: given } : given;
    }
    if (options.rewards && VERIFIER.test(command) && !HOUSEKEEPING.test(command)) {
      const reward = options.rewards[verifications++];
      if (reward === undefined)
        throw unscripted(command, `verification ${verifications}, and ${options.rewards.length} rewards are scripted`);
      const files = typeof reward === "object" ? reward : { "reward.txt": `${reward}\n` };
      return { files: Object.fromEntries(Object.entries(files).map(([name, text]) => [posix.join("/logs/verifier", name), text])) };
    }
    if (HOUSEKEEPING.test(command)) return {};
    throw unscripted(command, "no entry matches");
  };
}

const unscripted = (command: string, why: string): SparkError =>
  new SparkError(
    `The scripted sandbox was asked for something unscripted (${why}): ${JSON.stringify(command.slice(0, 400))}. Add an entry to \`commands\`.`,
    { code: "internal" },
  );

function createSandbox(
  box: Box,
  answer: Answer,
  boxes: Map<string, Box>,
  snapshots: Map<string, { run: string; files: Map<string, Uint8Array> }>,
  workdir: string,
): Sandbox {
  const { name } = box.options;
  const alive = (): void => {
    if (box.closed) throw new SparkError(`The scripted sandbox ${name} is closed.`, { code: "sandbox-lost" });
  };
  const absolute = (path: string): string => posix.resolve(workdir, path);
  const under = (path: string) => [...box.files].filter(([file]) => file === path || file.startsWith(`${path === "/" ? "" : path}/`));
  const changes = (): FileChange[] => [
    ...[...box.files].flatMap(([path, data]): FileChange[] => {
      const before = box.pristine.get(path);
      return before === undefined ? [{ path, kind: "added" }] : Buffer.compare(before, data) === 0 ? [] : [{ path, kind: "changed" }];
    }),
    ...[...box.pristine.keys()].filter((path) => !box.files.has(path)).map((path): FileChange => ({ path, kind: "deleted" })),
  ];
  const exec = async (command: string): Promise<ExecResult> => {
    alive();
    const given = answer(command, name);
    if (HOUSEKEEPING.test(command))
      for (const folder of command.match(/(?<=rm -rf )[^;&|]+/g)?.flatMap((words) => words.trim().split(/\s+/)) ?? [])
        for (const [path] of under(absolute(folder))) box.files.delete(path);
    for (const [path, text] of Object.entries(given.files ?? {})) {
      if (text === null) box.files.delete(absolute(path));
      else box.files.set(absolute(path), Buffer.from(text));
    }
    const stdout = Buffer.from(given.stdout ?? "");
    const stderr = Buffer.from(given.stderr ?? "");
    const timedOut = given.timedOut ?? false;
    return {
      exitCode: timedOut ? null : (given.exitCode ?? 0),
      stdout,
      stderr,
      truncated: false,
      totalBytes: stdout.byteLength + stderr.byteLength,
      timedOut,
      aborted: false,
      durationMs: 0,
    };
  };
  const close = async (): Promise<void> => {
    box.closed = true;
    if (boxes.get(name) === box) boxes.delete(name);
  };
  return {
    id: name,
    backend: "scripted",
    capabilities: { separateStderr: true, snapshot: true, limits: false, users: false, processes: false },
    isolation: ["scripted: nothing is executed"],
    workdir,
    exec,
    async openShell() {
      alive();
      return { run: exec, close: async () => {} };
    },
    async writeFiles(files) {
      alive();
      for (const { path, data } of files) box.files.set(absolute(path), data);
    },
    async readFile(path, { maxBytes = Number.POSITIVE_INFINITY } = {}) {
      alive();
      const data = box.files.get(absolute(path)) ?? null;
      if (data !== null && data.byteLength > maxBytes)
        throw new SparkError(`${path} in the sandbox has ${data.byteLength} bytes, more than the ${maxBytes} that are read.`, {
          code: "sandbox-failed",
        });
      return data;
    },
    async copyIn(hostDir, path, { replace = false } = {}) {
      alive();
      if (replace) for (const [file] of under(absolute(path))) box.files.delete(file);
      const { readdir, readFile } = await import("node:fs/promises");
      for (const entry of await readdir(hostDir, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const source = posix.join(entry.parentPath, entry.name);
        box.files.set(posix.join(absolute(path), posix.relative(hostDir, source)), await readFile(source));
      }
    },
    async copyOut(path, hostDir, limits) {
      alive();
      const { mkdir, writeFile } = await import("node:fs/promises");
      const root = absolute(path);
      const report = { files: 0, bytes: 0, skipped: [] as { path: string; why: string }[] };
      for (const [file, data] of under(root)) {
        if (report.files >= limits.maxFiles || report.bytes + data.byteLength > limits.maxBytes) {
          report.skipped.push({ path: file, why: "too large" });
          continue;
        }
        const target = posix.join(hostDir, file === root ? posix.basename(file) : posix.relative(root, file));
        await mkdir(posix.dirname(target), { recursive: true });
        await writeFile(target, data);
        report.files += 1;
        report.bytes += data.byteLength;
      }
      if (report.files === 0 && report.skipped.length === 0) report.skipped.push({ path, why: "missing" });
      return report;
    },
    async listeners() {
      alive();
      return [];
    },
    async changes() {
      alive();
      return changes();
    },
    async snapshot(snapshot) {
      alive();
      snapshots.set(snapshot, { run: box.options.run, files: new Map(box.files) });
      return { snapshot, changes: changes() };
    },
    setLease: alive,
    async detach() {
      // It stays findable under its name.
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
