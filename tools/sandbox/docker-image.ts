import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type Docker from "dockerode";
import { createIgnore } from "../../formats/dockerignore.js";
import { messageOf, SparkError } from "../../state/errors.js";
import { type ArchiveEntry, packEntries, walkHost } from "./docker-archive.js";
import { baseImages, buildKitReason, withoutSyntax } from "./docker-dockerfile.js";
import { asSparkError, statusOf } from "./docker-errors.js";
import { labels } from "./docker-labels.js";
import { followProgress, type ProgressEnd } from "./docker-progress.js";
import type { EnvironmentSpec, ImageRef } from "./sandbox.js";

/** Lines of a failed build's log that its error shows. */
const shownLogLines = 30;
/** Part of every tag: change it when built images must not be taken from before. */
const recipe = "1";

const lookUp = async (docker: Docker, name: string): Promise<ImageRef | null> => {
  try {
    const info = await docker.getImage(name).inspect();
    return { id: info.Id, name, workdir: info.Config?.WorkingDir || "/", user: info.Config?.User ?? "" };
  } catch (error) {
    if (statusOf(error) === 404) return null;
    throw asSparkError(error, `looking for image ${name}`);
  }
};

/** Runs with the environment's time limit and signal; says which of them ended it. */
const limited = async <T>(environment: EnvironmentSpec, what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
  const own = new AbortController();
  const timer = setTimeout(() => own.abort(), environment.buildTimeoutMs);
  const signal = environment.signal === undefined ? own.signal : AbortSignal.any([own.signal, environment.signal]);
  try {
    return await work(signal);
  } catch (error) {
    if (environment.signal?.aborted) throw new SparkError(`${what} was cancelled.`, { code: "cancelled", cause: error });
    if (own.signal.aborted) {
      throw new SparkError(`${what} took longer than ${environment.buildTimeoutMs / 1000} s. Raise environment.build_timeout_sec.`, {
        code: "image-build",
        cause: error,
      });
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
};

const pull = async (docker: Docker, name: string, environment: EnvironmentSpec, why: string): Promise<ImageRef> => {
  const missing = (reason: string, cause?: unknown): SparkError =>
    new SparkError(
      `${why} ${name} is not on this machine and could not be pulled: ${reason.trim()}. Connect to its registry, or give an image of yours this name: docker tag MINE ${name}`,
      { code: "image-missing", cause },
    );
  return await limited(environment, `pulling ${name}`, async (signal) => {
    environment.onProgress?.(`pulling ${name}`);
    const hasTag = /@|:[^/]+$/.test(name);
    let end: ProgressEnd;
    try {
      // Without a tag the engine would pull every tag there is.
      const stream = await docker.createImage({ fromImage: hasTag ? name : `${name}:latest`, abortSignal: signal } as never);
      end = await followProgress(stream as unknown as Readable, environment.onProgress);
    } catch (error) {
      if (signal.aborted || statusOf(error) === 0) throw asSparkError(error, `pulling ${name}`);
      throw missing(messageOf(error), error);
    }
    if (end.error !== null) throw missing(end.error);
    const image = await lookUp(docker, name);
    if (image === null) throw missing("the pull ended without it");
    return image;
  });
};

const hashOf = async (entries: readonly ArchiveEntry[], parts: readonly string[]): Promise<string> => {
  const hash = createHash("sha256");
  const add = (text: string): void => {
    hash.update(`${Buffer.byteLength(text)}:${text}`);
  };
  for (const part of parts) add(part);
  for (const entry of entries) {
    add(`${entry.type} ${entry.mode} ${entry.name}`);
    if (entry.type === "symlink") add(entry.linkname);
    if (entry.type !== "file") continue;
    if ("data" in entry) hash.update(entry.data);
    else for await (const chunk of createReadStream(entry.source)) hash.update(chunk as Buffer);
  }
  return hash.digest("hex").slice(0, 32);
};

/** What a build would send: the context without what .dockerignore names; Dockerfile and .dockerignore always go along. */
export const readContext = async (contextDir: string): Promise<ArchiveEntry[]> => {
  const text = await readFile(join(contextDir, ".dockerignore"), "utf8").catch((error: { code?: string }) => {
    if (error.code === "ENOENT") return "";
    throw new SparkError(`${join(contextDir, ".dockerignore")}: ${messageOf(error)}`, { code: "file-invalid", cause: error });
  });
  const ignored = createIgnore(text);
  const takesBack = /^\s*!/m.test(text);
  const needed = (name: string): boolean => name === "Dockerfile" || name === ".dockerignore";
  const entries = await walkHost(contextDir, {
    links: true,
    // An ignored folder is still walked when a later `!` may take something of it back.
    keep: (name, directory) => needed(name) || !ignored(name) || (directory && takesBack),
  });
  return entries.filter((entry) => needed(entry.name) || entry.type !== "directory" || !ignored(entry.name));
};

const buildFailure = (end: { log: string[]; error: string }, contextDir: string): SparkError => {
  const hint = /unknown instruction|dockerfile parse error/i.test(end.error)
    ? " If the Dockerfile has here-documents: they need Docker Engine 23, or a line `# syntax=docker/dockerfile:1` and its registry."
    : " Mend the Dockerfile; the end of the log:";
  return new SparkError(
    `building ${join(contextDir, "Dockerfile")} failed: ${end.error.trim()}.${hint}\n${end.log.slice(-shownLogLines).join("\n")}`,
    { code: "image-build" },
  );
};

const runBuild = async (
  docker: Docker,
  entries: readonly ArchiveEntry[],
  options: { tag: string; version: 1 | 2; signal: AbortSignal; onProgress: EnvironmentSpec["onProgress"] },
): Promise<ProgressEnd> => {
  try {
    const stream = await docker.buildImage(packEntries(entries), {
      t: options.tag,
      dockerfile: "Dockerfile",
      rm: true,
      // A failed classic build would leave its intermediate container behind.
      forcerm: true,
      labels: labels.ofImage(),
      abortSignal: options.signal,
      // A number: at the text "2" dockerode opens a session that is needed for nothing here and leaks when the request fails.
      version: options.version as never,
    });
    return await followProgress(stream as unknown as Readable, options.onProgress);
  } catch (error) {
    // Syntax errors of a Dockerfile come as HTTP 400 or 500 from the classic builder.
    if (statusOf(error) >= 400) return { log: [], error: messageOf(error) };
    throw error;
  }
};

const build = async (
  docker: Docker,
  tag: string,
  entries: readonly ArchiveEntry[],
  text: string,
  environment: EnvironmentSpec,
): Promise<void> => {
  await limited(environment, `building ${join(environment.contextDir, "Dockerfile")}`, async (signal) => {
    const reason = buildKitReason(text);
    const options = { tag, version: reason === null ? 1 : 2, signal, onProgress: environment.onProgress } as const;
    environment.onProgress?.(`building ${tag} (${reason === null ? "classic builder" : `BuildKit, for ${reason}`})`);
    let end = await runBuild(docker, entries, options);
    const plain = withoutSyntax(text);
    // `# syntax=` names an image that turns Dockerfiles into builds; offline the engine's own does nearly always.
    if (end.error !== null && plain !== null && /resolve|registry|lookup|dial tcp|pull|not found|frontend/i.test(end.error)) {
      environment.onProgress?.(`the image of "# syntax=" cannot be had (${end.error.trim()}); building with the engine's own syntax`);
      const replaced = entries.map(
        (entry): ArchiveEntry =>
          entry.name === "Dockerfile" ? { type: "file", name: entry.name, mode: entry.mode, data: Buffer.from(plain) } : entry,
      );
      end = await runBuild(docker, replaced, options);
    }
    if (end.error !== null) throw buildFailure({ log: end.log, error: end.error }, environment.contextDir);
  });
};

/**
 * Makes images ready: `dockerImage` wins (pulled when absent), else the Dockerfile is built under a tag made of its content, the
 * filtered context and the ids of its base images, and taken from there the next time. One build a tag at a time.
 */
export const createImageStore = (docker: Docker): { prepare(environment: EnvironmentSpec): Promise<ImageRef> } => {
  const running = new Map<string, Promise<void>>();
  return {
    async prepare(environment) {
      const { dockerImage, contextDir } = environment;
      if (dockerImage !== undefined)
        return (await lookUp(docker, dockerImage)) ?? (await pull(docker, dockerImage, environment, "the image"));
      if (!environment.hasDockerfile) {
        throw new SparkError(`${contextDir} has no Dockerfile. Add one, or set [environment].docker_image in task.toml.`, {
          code: "sandbox-unsupported",
        });
      }
      const entries = await readContext(contextDir);
      const text = await readFile(join(contextDir, "Dockerfile"), "utf8");
      const bases: string[] = [];
      for (const { image, line } of baseImages(text)) {
        const where = `${join(contextDir, "Dockerfile")}:${line}: the base image`;
        bases.push(((await lookUp(docker, image)) ?? (await pull(docker, image, environment, where))).id);
      }
      const tag = `spark-skills-env:${await hashOf(entries, [recipe, ...bases])}`;
      const cached = await lookUp(docker, tag);
      if (cached !== null) return cached;
      const mine = running.get(tag) ?? build(docker, tag, entries, text, environment).finally(() => running.delete(tag));
      running.set(tag, mine);
      await mine;
      const image = await lookUp(docker, tag);
      if (image === null) throw new SparkError(`building ${contextDir} ended without an image ${tag}.`, { code: "image-build" });
      return image;
    },
  };
};
