import type Docker from "dockerode";
import type { ContainerInspectInfo } from "dockerode";
import { messageOf, SparkError } from "../../state/errors.js";
import { copyIn, copyOut, getFile, putFiles } from "./docker-archive.js";
import { createDiskWatch } from "./docker-disk.js";
import { asSparkError, meansLost, statusOf, translated } from "./docker-errors.js";
import { type CommandHost, killAllButLifeLine, runCommand, runScript, within } from "./docker-exec.js";
import {
  type Concession,
  containerName,
  type EngineFacts,
  hardened,
  hasLifeLine,
  isolationWords,
  leaseSeconds,
  snapshotTag,
} from "./docker-hardening.js";
import { rememberChanges } from "./docker-judge-changes.js";
import { labels } from "./docker-labels.js";
import { type Lease, openLease } from "./docker-lease.js";
import { findListeners, listenersScript } from "./docker-listeners.js";
import { openDockerShell } from "./docker-shell.js";
import type { CreateOptions, FileChange, Sandbox, Shell } from "./sandbox.js";

/** What the containers of one provider share. */
export interface ContainerContext {
  docker: Docker;
  facts: EngineFacts;
  /** Guards starts: the engine serialises them on the processor anyway. */
  gate<T>(work: () => Promise<T>): Promise<T>;
}

/** A sandbox that also shows its container, for the judge. */
export interface DockerSandbox extends Sandbox {
  readonly container: Docker.Container;
}

/** Created and not started: files can be put into it before its first instruction. */
export interface PreparedContainer {
  readonly container: Docker.Container;
  start(): Promise<DockerSandbox>;
  /** Removes it, started or not. */
  remove(): Promise<void>;
}

const storageLabel = `${labels.own}.storage-mb`;
const restartLimitMs = 60_000;
/** How long an image's entrypoint may take to come to its argument before the agent begins all the same. */
const entrypointLimitMs = 10_000;
/** After a snapshot nobody needs the container; it goes by itself should we die before removing it. */
const leaseAfterSnapshotMs = 20_000;
const kinds = ["changed", "added", "deleted"] as const;

const gone = (error: unknown): boolean => statusOf(error) === 404;

/** Removes a container and waits until its name is free. Nothing happens when it is gone already. */
export const removeContainer = async (container: Docker.Container): Promise<void> => {
  try {
    await container.remove({ force: true, v: true });
  } catch (error) {
    // 409: the engine removes it at this moment, because its lease has ended.
    if (!gone(error) && statusOf(error) !== 409) throw asSparkError(error, `removing container ${container.id.slice(0, 12)}`);
  }
  for (let tries = 0; tries < 200; tries += 1) {
    const state = await container.inspect().catch((error: unknown) => {
      if (gone(error)) return null;
      throw asSparkError(error, `removing container ${container.id.slice(0, 12)}`);
    });
    if (state === null) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new SparkError(`container ${container.id.slice(0, 12)} could not be removed; see \`docker ps -a\`.`, { code: "sandbox-failed" });
};

/** Id of the snapshot made under a derived name, null without. */
export const snapshotId = async (docker: Docker, name: string): Promise<string | null> => {
  try {
    return (await docker.getImage(snapshotTag(name)).inspect()).Id;
  } catch (error) {
    if (gone(error)) return null;
    throw asSparkError(error, `looking for snapshot ${name}`);
  }
};

/** Removes an image by name or id. False when there is none. */
export const removeImage = async (docker: Docker, name: string): Promise<boolean> => {
  try {
    // noprune: parents without a tag may be somebody else's build cache.
    await docker.getImage(name).remove({ force: true, noprune: true });
    return true;
  } catch (error) {
    if (gone(error)) return false;
    throw asSparkError(error, `removing image ${name}`);
  }
};

/** A handle on a running container whose life line is held. */
const sandboxOf = (
  context: ContainerContext,
  container: Docker.Container,
  info: ContainerInspectInfo,
  lease: Lease,
  leaseMs: number,
): DockerSandbox => {
  const name = info.Config.Labels[labels.name] ?? info.Name.slice(1);
  const storageMb = Number(info.Config.Labels[storageLabel] ?? Number.NaN);
  let line = lease;
  let shell: Shell | null = null;
  let state: "open" | "detached" | "removed" = "open";
  let currentLeaseMs = leaseMs;
  let recovering: Promise<void> | null = null;

  const restart = async (): Promise<void> => {
    try {
      line.drop();
      const done = await within(
        container.restart({ t: 0 }).then(() => true),
        restartLimitMs,
      );
      if (done === null) throw new Error(`no restart within ${restartLimitMs / 1000} s`);
      line = await openLease(container, currentLeaseMs);
      if (currentLeaseMs > 0) line.set(currentLeaseMs);
    } catch (error) {
      await removeContainer(container).catch(() => undefined);
      throw new SparkError(
        `container ${name} hung, could not be restarted (${messageOf(error).trim()}) and was removed. Start the attempt anew.`,
        { code: "sandbox-lost", cause: error },
      );
    }
  };
  const host: CommandHost = {
    name,
    container,
    watch: createDiskWatch(container, Number.isFinite(storageMb) ? storageMb * 2 ** 20 : undefined),
    recover() {
      recovering ??= restart().finally(() => {
        recovering = null;
      });
      return recovering;
    },
  };
  const alive = <T>(work: () => Promise<T>): Promise<T> => {
    if (state === "open") return work();
    return Promise.reject(new SparkError(`container ${name} was ${state} by this process.`, { code: "sandbox-lost" }));
  };
  const script = (text: string, args: string[], user = "0") =>
    translated(`container ${name}`, () => runScript(container, text, args, { user }));
  const letGo = async (): Promise<void> => {
    await shell?.close();
    shell = null;
    line.drop();
  };

  return {
    id: name,
    backend: "docker",
    container,
    capabilities: { separateStderr: true, snapshot: true, limits: true, users: true, processes: true },
    isolation: isolationWords(context.facts, info.HostConfig.NetworkMode === "none" ? "none" : "public"),
    workdir: info.Config.WorkingDir || "/",
    exec: (command, options) => alive(() => runCommand(host, command, options)),
    openShell: (options = {}) =>
      alive(async () => {
        await shell?.close();
        shell = await openDockerShell(host, options);
        return shell;
      }),
    writeFiles: (files) => alive(() => putFiles(container, files)),
    readFile: (path, options) => alive(() => getFile(container, path, options)),
    copyIn: (hostDir, path, options = {}) =>
      alive(async () => {
        // Removing first also takes away a link that the agent laid there.
        if (options.replace === true) {
          const wiped = await script('rm -rf -- "$1"', [path]);
          if (wiped?.exitCode !== 0) throw new SparkError(`${path} in ${name} could not be emptied.`, { code: "sandbox-failed" });
        }
        await copyIn(container, hostDir, path);
      }),
    copyOut: (path, hostDir, limits) => alive(() => copyOut(container, path, hostDir, limits)),
    listeners: () => alive(() => findListeners(async (user) => (await script(listenersScript, [], user))?.stdout ?? "")),
    changes: () =>
      alive(async () => {
        const found = (await translated(`changes of ${name}`, () => container.changes())) as { Path: string; Kind: 0 | 1 | 2 }[] | null;
        // Without any change the engine answers null, which dockerode may hand on as bytes.
        return (Array.isArray(found) ? found : []).map((change): FileChange => ({ path: change.Path, kind: kinds[change.Kind] }));
      }),
    async snapshot(snapshotName) {
      return await alive(async () => {
        await shell?.close();
        shell = null;
        // What cannot be killed (a fork bomb leaves no room for the killer) ends with a restart; files are kept.
        const killed = await runScript(container, killAllButLifeLine, []).catch((error: unknown) => {
          if (meansLost(error)) throw asSparkError(error, `container ${name}`);
          return null;
        });
        if (killed?.exitCode !== 0) await host.recover();
        const marks = labels.ofSnapshot({ run: info.Config.Labels[labels.run] ?? "", name: snapshotName }, new Date());
        const [repo, tag] = snapshotTag(snapshotName).split(":");
        const old = await snapshotId(context.docker, snapshotName);
        const image = (await translated(`snapshot of ${name}`, () =>
          // The engine pauses by itself; a pause of ours that a crash leaves behind would freeze the life line.
          container.commit({
            repo,
            tag,
            pause: true,
            changes: Object.entries(marks)
              .map(([key, value]) => `LABEL ${key}=${JSON.stringify(value).replaceAll("$", "\\$")}`)
              .join("\n"),
          }),
        )) as { Id: string };
        // The tag has moved on; what it named before would stay without one.
        if (old !== null && old !== image.Id) await removeImage(context.docker, old);
        const changes = await this.changes();
        rememberChanges(context.docker, image.Id, changes);
        this.setLease(leaseAfterSnapshotMs);
        return { snapshot: image.Id, changes };
      });
    },
    setLease(ms) {
      currentLeaseMs = ms;
      line.set(ms);
    },
    async detach() {
      if (state !== "open") return;
      state = "detached";
      await letGo();
    },
    async close() {
      if (state === "removed") return;
      state = "removed";
      await letGo();
      await removeContainer(container);
    },
    async [Symbol.asyncDispose]() {
      await this.close();
    },
  };
};

/** Creates a container under its derived name; a stale one of ours with that name is removed first. Not started. */
export const prepareContainer = async (context: ContainerContext, options: CreateOptions): Promise<PreparedContainer> => {
  const { docker, facts } = context;
  const name = containerName(options.name);
  const make = async (concessions: readonly Concession[]): Promise<Docker.Container> => {
    const request = hardened(options, facts, new Date(), concessions);
    if (options.storageMb !== undefined) request.Labels = { ...request.Labels, [storageLabel]: String(options.storageMb) };
    return await docker.createContainer(request);
  };
  const removeStale = async (): Promise<void> => {
    const stale = docker.getContainer(name);
    const info = await stale.inspect().catch((error: unknown) => {
      if (gone(error)) return null;
      throw error;
    });
    if (info === null) return;
    if (info.Config.Labels?.[labels.own] === undefined) {
      throw new SparkError(`a container named ${name} exists and is not ours. Remove or rename it.`, { code: "sandbox-failed" });
    }
    await removeContainer(docker.getContainer(info.Id));
  };
  const created = async (concessions: readonly Concession[]): Promise<Docker.Container> =>
    await translated(`creating container ${name} from ${options.image.name}`, async () => {
      try {
        return await make(concessions);
      } catch (error) {
        if (statusOf(error) !== 409) throw error;
        await removeStale();
        return await make(concessions);
      }
    });
  let container = await created([]);
  const launch = async (): Promise<DockerSandbox> => {
    const lease = await translated(`attaching to ${name}`, () => openLease(container, options.leaseMs));
    try {
      await context.gate(() => translated(`starting container ${name} from ${options.image.name}`, () => container.start()));
      const info = await translated(`container ${name}`, () => container.inspect());
      // Without an entrypoint PID 1 is the life line. Else the agent must not begin before it: it is known by its age.
      if ((info.Config.Entrypoint ?? []).length > 0) {
        await translated(`the entrypoint of ${options.image.name}`, () =>
          runScript(container, hasLifeLine, [String(entrypointLimitMs / 100)], { timeoutMs: 2 * entrypointLimitMs }),
        );
      }
      return sandboxOf(context, container, info, lease, options.leaseMs);
    } catch (error) {
      lease.drop();
      throw error;
    }
  };
  return {
    get container() {
      return container;
    },
    async start() {
      try {
        return await launch();
      } catch (error) {
        await removeContainer(container);
        // A rootless engine may not raise limits above its user's: then without them, which the engine's defaults replace.
        if (!/rlimit/i.test(messageOf(error))) throw error;
        container = await created(["ulimits"]);
        return await launch().catch(async (again: unknown) => {
          await removeContainer(container);
          throw again;
        });
      }
    },
    remove: () => removeContainer(container),
  };
};

/** Takes up a living container by its derived name, from this or an earlier process. Null when there is none. */
export const findContainer = async (context: ContainerContext, name: string, leaseMs?: number): Promise<DockerSandbox | null> => {
  const container = context.docker.getContainer(containerName(name));
  try {
    const info = await container.inspect();
    if (info.Config.Labels?.[labels.name] !== name || !info.State.Running) return null;
    const own = context.docker.getContainer(info.Id);
    const created = Number((info.Config.Cmd ?? []).at(-1)) * 1000;
    const beat = leaseMs ?? (Number.isFinite(created) ? created : 0);
    const lease = await openLease(own, beat);
    // Said anew: a snapshot may have left a short one. A container without lease stays without.
    if (beat > 0 && leaseSeconds(created) !== "0") lease.set(beat);
    return sandboxOf(context, own, info, lease, beat);
  } catch (error) {
    if (gone(error) || statusOf(error) === 409) return null;
    throw asSparkError(error, `container ${name}`);
  }
};
