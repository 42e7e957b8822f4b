import { homedir, userInfo } from "node:os";
import type Docker from "dockerode";
import pLimit from "p-limit";
import { messageOf, SparkError } from "../../state/errors.js";
import {
  type ContainerContext,
  type DockerSandbox,
  findContainer,
  prepareContainer,
  removeContainer,
  removeImage,
  snapshotId,
} from "./docker-container.js";
import { type DockerEndpoint, dockerOptions, readTextFile, resolveEndpoints } from "./docker-endpoint.js";
import { asSparkError, translated } from "./docker-errors.js";
import { within } from "./docker-exec.js";
import { type EngineFacts, engineFacts, isolationWords, snapshotTag } from "./docker-hardening.js";
import { createImageStore } from "./docker-image.js";
import { judge } from "./docker-judge.js";
import { hasExpired, labels } from "./docker-labels.js";
import { tamperReport } from "./docker-tamper.js";
import type { SandboxProvider } from "./sandbox.js";

export interface DockerProviderOptions {
  /** DOCKER_HOST and its kind; an argument because only the composition root reads process.env. */
  env: Readonly<Record<string, string | undefined>>;
  /** Default: the user's home directory. */
  home?: string;
}

/** Starts at the same time: more only queue inside the engine. */
const startGate = 4;
const pingLimitMs = 2_000;

interface Engine extends ContainerContext {
  endpoint: DockerEndpoint;
  images: ReturnType<typeof createImageStore>;
}

const unavailable = (tried: readonly string[]): SparkError =>
  new SparkError(`no Docker engine answers (${tried.join("; ")}). Start Docker, or set DOCKER_HOST.`, { code: "docker-unavailable" });

const connect = async (options: DockerProviderOptions): Promise<Engine> => {
  const { default: DockerClient } = await import("dockerode");
  const uid = userInfo().uid;
  const endpoints = resolveEndpoints({
    env: options.env,
    home: options.home ?? homedir(),
    read: readTextFile,
    ...(uid < 0 ? {} : { uid }),
  });
  const tried: string[] = [];
  for (const endpoint of endpoints) {
    try {
      const docker: Docker = new DockerClient(dockerOptions(endpoint, readTextFile));
      const answer = await within(docker.ping(), pingLimitMs);
      if (answer === null) throw new Error(`no answer within ${pingLimitMs / 1000} s`);
      const facts: EngineFacts = engineFacts((await docker.info()) as Record<string, unknown>);
      const limit = pLimit(startGate);
      return { endpoint, docker, facts, gate: (work) => limit(work), images: createImageStore(docker) };
    } catch (error) {
      tried.push(`${endpoint.url}, ${endpoint.why}: ${messageOf(error).trim()}`);
    }
  }
  throw unavailable(tried);
};

/** The `docker` provider. The engine is looked for at the first use; a search that found none is done again the next time. */
export const createDockerProvider = (options: DockerProviderOptions): SandboxProvider => {
  let found: Promise<Engine> | null = null;
  const engine = (): Promise<Engine> => {
    found ??= connect(options).catch((error: unknown) => {
      found = null;
      throw error;
    });
    return found;
  };
  const imagesOf = async (docker: Docker, more: Record<string, string> = {}) =>
    await translated("listing images", () =>
      docker.listImages({ filters: labels.filter({ [labels.kind]: "snapshot", ...more }) as never }),
    );
  // The kind matters: a container that somebody makes from an image of ours inherits the image's labels.
  const containersOf = async (docker: Docker, more: Record<string, string> = {}) =>
    await translated("listing containers", () =>
      docker.listContainers({ all: true, filters: labels.filter({ [labels.kind]: "container", ...more }) as never }),
    );
  const removeAll = async (
    docker: Docker,
    take: (found: Readonly<Record<string, string>> | undefined) => boolean,
    more: Record<string, string> = {},
  ): Promise<number> => {
    let removed = 0;
    for (const info of await containersOf(docker, more)) {
      if (!take(info.Labels)) continue;
      await removeContainer(docker.getContainer(info.Id));
      removed += 1;
    }
    for (const info of await imagesOf(docker, more)) if (take(info.Labels) && (await removeImage(docker, info.Id))) removed += 1;
    return removed;
  };

  return {
    name: "docker",
    async available() {
      try {
        const { endpoint, facts } = await engine();
        return {
          ok: true,
          description: `${facts.podman ? "Podman" : "Docker"} ${facts.version} at ${endpoint.url} (${endpoint.why})`,
          isolation: isolationWords(facts),
        };
      } catch (error) {
        const spark = asSparkError(error, "looking for Docker");
        return { ok: false, reason: spark.message, fix: "Start Docker (or Colima, Podman), or point DOCKER_HOST at an engine." };
      }
    },
    async prepare(environment) {
      return await (await engine()).images.prepare(environment);
    },
    async create(create) {
      return await (await prepareContainer(await engine(), create)).start();
    },
    async find(name, find = {}) {
      return await findContainer(await engine(), name, find.leaseMs);
    },
    async findSnapshot(name) {
      return await snapshotId((await engine()).docker, name);
    },
    async removeSnapshot(nameOrId) {
      const { docker } = await engine();
      await removeImage(docker, nameOrId.startsWith("sha256:") ? nameOrId : snapshotTag(nameOrId));
    },
    async tamperReport(sandbox, image) {
      const { docker } = await engine();
      return await tamperReport(docker, sandbox as DockerSandbox, image);
    },
    async judge(judged) {
      const context = await engine();
      return await judge(context.docker, judged, (create) => prepareContainer(context, create));
    },
    async removeRun(run) {
      return await removeAll((await engine()).docker, () => true, { [labels.run]: run });
    },
    async reap() {
      const now = new Date();
      return await removeAll((await engine()).docker, (own) => hasExpired(own, now));
    },
    async list() {
      const { docker } = await engine();
      const containers = (await containersOf(docker)).map((info) => ({ kind: "container" as const, id: info.Id, info: info.Labels ?? {} }));
      const images = (await imagesOf(docker)).map((info) => ({ kind: "image" as const, id: info.Id, info: info.Labels ?? {} }));
      return [...containers, ...images].map(({ kind, id, info }) => ({
        kind,
        id,
        name: info[labels.name] ?? "",
        run: info[labels.run] ?? "",
        expires: info[labels.expires] ?? "",
      }));
    },
    async close() {
      found = null;
    },
  };
};
