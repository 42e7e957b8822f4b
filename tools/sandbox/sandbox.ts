import type { Backend } from "../../state/attempt.js";

/** Which environment a container is made from: a task's `environment/` folder and the keys that decide the image. */
export interface EnvironmentSpec {
  /** Absolute path of the build context. */
  contextDir: string;
  dockerImage?: string;
  /** Whether `contextDir` has a Dockerfile. */
  hasDockerfile: boolean;
  /** Limit of build or pull, milliseconds. */
  buildTimeoutMs: number;
  signal?: AbortSignal;
  onProgress?(line: string): void;
}

/** An image that is ready to run. */
export interface ImageRef {
  /** Immutable id (`sha256:…`), or the provider's own. */
  id: string;
  /** Name for a person. */
  name: string;
  /** The image's WORKDIR, `/` when it has none. */
  workdir: string;
  /** The image's USER, empty for root. */
  user: string;
}

export interface CreateOptions {
  /** Derived from the execution, stable across retry and resume; a second create of the same name replaces the first. */
  name: string;
  image: ImageRef;
  /** Run name, for cleaning up. */
  run: string;
  /** Environment at container level: only what the task lists, never anything of process.env. */
  env: Record<string, string>;
  /** Overrides the image's WORKDIR. */
  workdir?: string;
  network: "public" | "none";
  cpus?: number;
  memoryMb?: number;
  /** Disk the container may add in MiB; passing it kills the running command. */
  storageMb?: number;
  /** How long the container outlives this process without a heartbeat; 0: gone with the process. */
  leaseMs: number;
}

export interface ExecOptions {
  cwd?: string;
  env?: Record<string, string>;
  stdin?: Uint8Array;
  /** User name or uid; default the image's. */
  user?: string;
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Bytes kept of each stream, head and tail; the rest is counted. */
  maxOutputBytes?: number;
  onOutput?(chunk: { stream: "stdout" | "stderr"; data: Uint8Array }): void;
}

/** A command's end. A timeout or a cut output is a result; only a broken sandbox throws (SparkError). */
export interface ExecResult {
  /** Null when it timed out or was aborted. */
  exitCode: number | null;
  stdout: Uint8Array;
  stderr: Uint8Array;
  truncated: boolean;
  /** Bytes that both streams produced. */
  totalBytes: number;
  timedOut: boolean;
  aborted: boolean;
  durationMs: number;
}

export interface SandboxFile {
  /** Absolute path. */
  path: string;
  data: Uint8Array;
  mode?: number;
  uid?: number;
  gid?: number;
}

/** Limits for copying out of a container, whose content is untrusted. */
export interface CopyLimits {
  maxFiles: number;
  maxBytes: number;
}
export interface CopyReport {
  files: number;
  bytes: number;
  /** Paths left out, each with the reason (link, device, too large, outside). */
  skipped: { path: string; why: string }[];
}

export interface FileChange {
  path: string;
  kind: "added" | "changed" | "deleted";
}
export interface Listener {
  pid: number;
  port: number;
  command: string;
}

/** A session in which directory, variables, functions and options persist from command to command; commands are queued. */
export interface Shell {
  run(command: string, options?: { timeoutMs?: number; signal?: AbortSignal; maxOutputBytes?: number }): Promise<ExecResult>;
  close(): Promise<void>;
}

export interface SandboxCapabilities {
  separateStderr: boolean;
  snapshot: boolean;
  limits: boolean;
  users: boolean;
  /** Processes can stay alive between commands. */
  processes: boolean;
}

/** One running environment. Stateless exec; {@link Sandbox.openShell} adds state. Every method throws SparkError `sandbox-lost` when the container is gone. */
export interface Sandbox extends AsyncDisposable {
  /** The derived name it was created with. */
  readonly id: string;
  readonly backend: Backend;
  readonly capabilities: SandboxCapabilities;
  /** What separates it from the machine, in words for a person. */
  readonly isolation: readonly string[];
  readonly workdir: string;
  exec(command: string, options?: ExecOptions): Promise<ExecResult>;
  /** Opens the session; a second call in a container, also from another process, ends the first one and what ran in it and goes on from the last saved state. */
  openShell(options?: { user?: string; cwd?: string }): Promise<Shell>;
  /** Parents are created; links at the target are replaced, never followed. */
  writeFiles(files: readonly SandboxFile[]): Promise<void>;
  /** Null when there is no such regular file. Throws over `maxBytes`. */
  readFile(path: string, options?: { maxBytes?: number }): Promise<Uint8Array | null>;
  /** Copies a host directory to `path`, which is emptied first when `replace`; owner root, modes kept, .sh and no links. */
  copyIn(hostDir: string, path: string, options?: { replace?: boolean }): Promise<void>;
  /** Regular files and directories only, into `hostDir`. */
  copyOut(path: string, hostDir: string, limits: CopyLimits): Promise<CopyReport>;
  /** What listens on a TCP port now. */
  listeners(): Promise<Listener[]>;
  /** What differs from the image. */
  changes(): Promise<FileChange[]>;
  /** sandbox.md 4.4 step 1: kills all processes of the agent, commits under `name`, then leaves only a short lease. Returns the snapshot's id. */
  snapshot(name: string): Promise<{ snapshot: string; changes: FileChange[] }>;
  /** Sets how long it may live without this process, from now on. */
  setLease(leaseMs: number): void;
  /** Stops beating and drops connections but leaves the container to its lease. */
  detach(): Promise<void>;
  /** Removes it. Idempotent. Also `Symbol.asyncDispose`. */
  close(): Promise<void>;
}

export interface JudgeOptions extends CreateOptions {
  /** Snapshot id or name from {@link Sandbox.snapshot}. `image` is the pristine image. */
  snapshot: string;
  changes?: FileChange[];
  /** Absolute host path of the task's tests: what they reach on PATH judges. */
  testsDir: string;
  /** The verifier's user. */
  user?: string;
}
/** sandbox.md 4.4 (M6): the agent's changes, but everything that judges as in the pristine image. */
export interface JudgeResult {
  sandbox: Sandbox;
  /** Paths of the agent's changes that were withheld. */
  withheld: string[];
  /** Paths that still differ although they judge: reward 0. */
  tampered: string[];
}

export interface SandboxProvider {
  readonly name: Backend;
  available(): Promise<{ ok: true; description: string; isolation: string[] } | { ok: false; reason: string; fix: string }>;
  /** Build (cached by content), pull or look up. Throws `image-build`, `image-missing`, `sandbox-unsupported`. */
  prepare(environment: EnvironmentSpec): Promise<ImageRef>;
  create(options: CreateOptions): Promise<Sandbox>;
  /** Re-attaches to a living container by its derived name and beats for it; null when there is none. */
  find(name: string, options?: { leaseMs?: number }): Promise<Sandbox | null>;
  /** Snapshot made under this derived name, if it still exists. */
  findSnapshot(name: string): Promise<string | null>;
  removeSnapshot(nameOrId: string): Promise<void>;
  /** Which changes of a shared container touch what judges (the tamper report). */
  tamperReport(sandbox: Sandbox, image: ImageRef): Promise<string[]>;
  judge(options: JudgeOptions): Promise<JudgeResult>;
  /** Removes containers and snapshots of this run. Returns how many. */
  removeRun(run: string): Promise<number>;
  /** Removes what carries our labels and has passed its hard end. Returns how many. */
  reap(): Promise<number>;
  /** All containers and snapshots with our labels. */
  list(): Promise<{ kind: "container" | "image"; id: string; name: string; run: string; expires: string }[]>;
  close(): Promise<void>;
}

/** What `--sandbox` accepts. */
export type SandboxChoice = "auto" | "docker" | "virtual";
