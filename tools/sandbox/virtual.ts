import { posix } from "node:path";
import type { InMemoryFs } from "just-bash";
import { SparkError } from "../../state/errors.js";
import type { CreateOptions, ImageRef, Sandbox, SandboxProvider } from "./sandbox.js";
import { execVirtual, type JustBash, loadJustBash } from "./virtual-exec.js";
import { compareTrees, copyFromHost, copyToHost, copyTree, putFile, readTree } from "./virtual-files.js";
import { buildVirtualImage, instantiate, type VirtualImage } from "./virtual-image.js";
import { judgedFiles } from "./virtual-judge.js";
import { createVirtualShell, type ShellState } from "./virtual-shell.js";

const ISOLATION = [
  "in-process simulation of a shell, no containers",
  "in-memory files, none of the host's",
  "no network",
  "no limits of processor and memory of its own",
];

interface Machine {
  name: string;
  run: string;
  image: VirtualImage;
  fs: InMemoryFs;
  env: Record<string, string>;
  workdir: string;
  state: ShellState;
  closed: boolean;
}
interface Snapshot {
  run: string;
  fs: InMemoryFs;
}

/**
 * The embedded sandbox for machines without Docker: just-bash, loaded on first use. Containers and snapshots live in this provider
 * object, so a run that is resumed in another process starts its attempt anew. Its rewards are never compared with Docker's.
 */
export function createVirtualProvider(): SandboxProvider {
  let library: Promise<JustBash> | undefined;
  const load = (): Promise<JustBash> => {
    library ??= loadJustBash();
    return library;
  };
  const images = new Map<string, VirtualImage>();
  const machines = new Map<string, Machine>();
  const snapshots = new Map<string, Snapshot>();

  const imageOf = (ref: ImageRef): VirtualImage => {
    const image = images.get(ref.id);
    if (!image)
      throw new SparkError(`The virtual image ${ref.id} is not of this process: call prepare() before create().`, {
        code: "image-missing",
      });
    return image;
  };
  const start = async (
    options: CreateOptions,
    fs: (create: () => InMemoryFs, image: VirtualImage) => Promise<InMemoryFs>,
  ): Promise<Sandbox> => {
    const loaded = await load();
    const image = imageOf(options.image);
    const replaced = machines.get(options.name);
    if (replaced) replaced.closed = true;
    const workdir = options.workdir ?? image.workdir;
    const env = { ...image.env, ...options.env };
    const files = await fs(() => new loaded.InMemoryFs(), image);
    await files.mkdir(workdir, { recursive: true });
    const state: ShellState = { cwd: workdir, env, variables: {}, arrays: {}, functions: {}, options: [] };
    const machine: Machine = { name: options.name, run: options.run, image, fs: files, env, workdir, state, closed: false };
    machines.set(options.name, machine);
    return createSandbox(loaded, machine, machines, snapshots);
  };
  const snapshotOf = (name: string): Snapshot => {
    const found = snapshots.get(name);
    if (!found)
      throw new SparkError(`The snapshot ${name} is gone: a virtual sandbox lives no longer than its process.`, { code: "sandbox-lost" });
    return found;
  };

  return {
    name: "virtual",
    async available() {
      try {
        await load();
        return { ok: true, description: "just-bash, embedded", isolation: [...ISOLATION] };
      } catch (error) {
        if (!SparkError.isInstance(error)) throw error;
        return { ok: false, reason: error.message, fix: "npm install just-bash" };
      }
    },
    async prepare(environment) {
      const loaded = await load();
      const image = await buildVirtualImage(environment, () => new loaded.InMemoryFs());
      if (!images.has(image.id)) images.set(image.id, image);
      return { id: image.id, name: image.name, workdir: image.workdir, user: "" };
    },
    create: (options) => start(options, (createFs, image) => instantiate(image, createFs)),
    async find(name) {
      const machine = machines.get(name);
      return machine && !machine.closed ? createSandbox(await load(), machine, machines, snapshots) : null;
    },
    async findSnapshot(name) {
      return snapshots.has(name) ? name : null;
    },
    async removeSnapshot(nameOrId) {
      snapshots.delete(nameOrId);
    },
    async tamperReport() {
      // Shell, tools and interpreter are part of this process; nothing in the file system can replace them.
      return [];
    },
    async judge(options) {
      const loaded = await load();
      const commands = [...loaded.getCommandNames(), "python3", "python", "curl"];
      const withheld: string[] = [];
      const sandbox = await start(options, async (createFs, image) => {
        const judged = await judgedFiles(image, snapshotOf(options.snapshot).fs, {
          workdir: options.workdir ?? image.workdir,
          commands,
          createFs,
        });
        withheld.push(...judged.withheld);
        return judged.fs;
      });
      return { sandbox, withheld, tampered: [] };
    },
    async removeRun(run) {
      let removed = 0;
      for (const [name, machine] of machines) {
        if (machine.run !== run) continue;
        machine.closed = true;
        machines.delete(name);
        removed += 1;
      }
      for (const [name, snapshot] of snapshots) if (snapshot.run === run && snapshots.delete(name)) removed += 1;
      return removed;
    },
    async reap() {
      return 0;
    },
    async list() {
      const expires = "with this process";
      return [
        ...[...machines.values()].map(({ name, run }) => ({ kind: "container" as const, id: name, name, run, expires })),
        ...[...snapshots].map(([name, { run }]) => ({ kind: "image" as const, id: name, name, run, expires })),
      ];
    },
    async close() {
      for (const machine of machines.values()) machine.closed = true;
      machines.clear();
      snapshots.clear();
      images.clear();
    },
  };
}

function createSandbox(library: JustBash, machine: Machine, machines: Map<string, Machine>, snapshots: Map<string, Snapshot>): Sandbox {
  const { fs } = machine;
  const alive = (): void => {
    if (machine.closed) throw new SparkError(`The virtual sandbox ${machine.name} is closed.`, { code: "sandbox-lost" });
  };
  const absolute = (path: string): string => posix.resolve(machine.workdir, path);
  const changes = async () => compareTrees(machine.image.tree, await readTree(fs));
  const close = async (): Promise<void> => {
    machine.closed = true;
    if (machines.get(machine.name) === machine) machines.delete(machine.name);
  };
  return {
    id: machine.name,
    backend: "virtual",
    capabilities: { separateStderr: true, snapshot: true, limits: false, users: false, processes: false },
    isolation: ISOLATION,
    workdir: machine.workdir,
    async exec(command, options = {}) {
      alive();
      const cwd = options.cwd === undefined ? machine.workdir : absolute(options.cwd);
      const { env: _, ...result } = await execVirtual(library, fs, command, { ...options, cwd, env: { ...machine.env, ...options.env } });
      if (result.stdout.byteLength > 0) options.onOutput?.({ stream: "stdout", data: result.stdout });
      if (result.stderr.byteLength > 0) options.onOutput?.({ stream: "stderr", data: result.stderr });
      return result;
    },
    async openShell(options = {}) {
      alive();
      if (options.cwd !== undefined) machine.state.cwd = absolute(options.cwd);
      return createVirtualShell(library, fs, machine.state, alive);
    },
    async writeFiles(files) {
      alive();
      for (const { path, data, mode } of files) await putFile(fs, absolute(path), data, mode ?? 0o644);
    },
    async readFile(path, options = {}) {
      alive();
      const found = await fs.lstat(absolute(path)).catch(() => null);
      if (!found?.isFile) return null;
      if (options.maxBytes !== undefined && found.size > options.maxBytes)
        throw new SparkError(`${path} in the sandbox has ${found.size} bytes, more than the ${options.maxBytes} that are read.`, {
          code: "sandbox-failed",
        });
      return new Uint8Array(await fs.readFileBuffer(absolute(path)));
    },
    async copyIn(hostDir, path, options = {}) {
      alive();
      const target = absolute(path);
      const there = await fs.lstat(target).catch(() => null);
      if (there && (options.replace || !there.isDirectory)) await fs.rm(target, { recursive: true, force: true });
      await copyFromHost(hostDir, fs, target);
    },
    async copyOut(path, hostDir, limits) {
      alive();
      return copyToHost(fs, absolute(path), hostDir, limits);
    },
    async listeners() {
      alive();
      return [];
    },
    async changes() {
      alive();
      return changes();
    },
    async snapshot(name) {
      alive();
      const copy = new library.InMemoryFs();
      await copyTree(fs, copy);
      snapshots.set(name, { run: machine.run, fs: copy });
      return { snapshot: name, changes: await changes() };
    },
    setLease: alive,
    async detach() {
      // It stays findable for the life of this process, which is all the lease it can have.
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}
