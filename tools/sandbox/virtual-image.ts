import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import type { InMemoryFs } from "just-bash";
import { type DockerfileInstruction, environmentPairs, needsDocker, readDockerfile } from "../../formats/dockerfile.js";
import { createIgnore } from "../../formats/dockerignore.js";
import { SparkError } from "../../state/errors.js";
import type { EnvironmentSpec } from "./sandbox.js";
import { copyFromHost, copyTree, type FileTree, putFile, readTree } from "./virtual-files.js";

/** A simulated image: what a Dockerfile of FROM, WORKDIR, COPY, ENV and ARG leaves behind. */
export interface VirtualImage {
  id: string;
  name: string;
  workdir: string;
  env: Record<string, string>;
  fs: InMemoryFs;
  /** Fingerprints of `fs`, for telling what an agent changed. */
  tree: FileTree;
}

const FOLDERS = [
  "/root",
  "/home",
  "/etc",
  "/opt",
  "/srv",
  "/var/tmp",
  "/var/log",
  "/usr/local/bin",
  "/usr/local/lib",
  "/logs/agent",
  "/logs/verifier",
  "/logs/artifacts",
];
const BASE_ENV = { HOME: "/root", PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" };
const BASE_FILES = {
  "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
  "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
  "/etc/hostname": "sandbox\n",
  "/etc/os-release": 'PRETTY_NAME="spark-skills virtual sandbox (simulated)"\nID=virtual\n',
};

/** Refuses what only an engine can do. Returns the Dockerfile's text. */
export async function requireVirtual(environment: Pick<EnvironmentSpec, "contextDir" | "dockerImage" | "hasDockerfile">): Promise<string> {
  const path = join(environment.contextDir, "Dockerfile");
  if (environment.dockerImage !== undefined)
    throw new SparkError(
      `The virtual sandbox cannot run the prebuilt image ${JSON.stringify(environment.dockerImage)} (environment.docker_image in ${join(environment.contextDir, "..", "task.toml")}). Use Docker, or give the task a Dockerfile of FROM, WORKDIR, COPY, ENV and ARG instead.`,
      { code: "sandbox-unsupported" },
    );
  if (!environment.hasDockerfile)
    throw new SparkError(
      `The virtual sandbox needs a Dockerfile, and there is none: ${path}. Add one of FROM, WORKDIR, COPY, ENV and ARG, or use Docker.`,
      { code: "sandbox-unsupported" },
    );
  const text = await readFile(path, "utf8");
  const blocker = needsDocker(readDockerfile(text));
  if (blocker)
    throw new SparkError(
      `The virtual sandbox cannot carry out \`${blocker.text}\` (${path}:${blocker.line}): it knows FROM, WORKDIR, COPY, ENV and ARG only. Start Docker and use --sandbox docker for this task.`,
      { code: "sandbox-unsupported" },
    );
  return text;
}

export async function buildVirtualImage(environment: EnvironmentSpec, createFs: () => InMemoryFs): Promise<VirtualImage> {
  const text = await requireVirtual(environment);
  const file = join(environment.contextDir, "Dockerfile");
  const fs = createFs();
  for (const folder of FOLDERS) await fs.mkdir(folder, { recursive: true });
  await fs.mkdir("/tmp", { recursive: true });
  await fs.chmod("/tmp", 0o1777);
  for (const [path, content] of Object.entries(BASE_FILES)) await putFile(fs, path, Buffer.from(content), 0o644);
  const env: Record<string, string> = { ...BASE_ENV };
  let workdir = "/";
  let base = "";
  const ignored = await readIgnoreFile(environment.contextDir);
  for (const instruction of readDockerfile(text).instructions) {
    environment.signal?.throwIfAborted();
    if (instruction.keyword === "FROM") base = instruction.words[0] ?? "";
    else if (instruction.keyword === "ENV") for (const [name, value] of environmentPairs(instruction)) env[name] = value ?? "";
    else if (instruction.keyword === "WORKDIR") {
      workdir = posix.resolve(workdir, instruction.words.join(" "));
      await fs.mkdir(workdir, { recursive: true });
    } else if (instruction.keyword === "COPY") await copyInstruction(instruction, { ...environment, file, fs, workdir, ignored });
  }
  environment.onProgress?.(
    `virtual: ${base || "no base image"} is simulated with bash, the usual text tools and Python 3.13; nothing else of it is there`,
  );
  const tree = await readTree(fs);
  const digest = createHash("sha256")
    .update(JSON.stringify([[...tree].sort(), env, workdir]))
    .digest("hex");
  return { id: `virtual:${digest}`, name: `virtual ${base}`.trim(), workdir, env, fs, tree };
}

/** A new file system with the image's content. */
export async function instantiate(image: VirtualImage, createFs: () => InMemoryFs): Promise<InMemoryFs> {
  const fs = createFs();
  await copyTree(image.fs, fs);
  return fs;
}

interface CopyContext {
  contextDir: string;
  file: string;
  fs: InMemoryFs;
  workdir: string;
  ignored: (relative: string) => boolean;
}

/** COPY as the classic builder does it: a folder gives its content, a file goes into a target that ends with a slash or is a folder. */
async function copyInstruction(instruction: DockerfileInstruction, context: CopyContext): Promise<void> {
  const where = `${context.file}:${instruction.line}`;
  const target = instruction.words.at(-1);
  const patterns = instruction.words.slice(0, -1);
  if (target === undefined || patterns.length === 0)
    throw new SparkError(`COPY needs a source and a target (${where}).`, { code: "image-build" });
  const mode =
    typeof instruction.flags.chmod === "string" && /^[0-7]{3,4}$/.test(instruction.flags.chmod)
      ? Number.parseInt(instruction.flags.chmod, 8)
      : null;
  const sources = (await Promise.all(patterns.map((pattern) => matching(pattern, context)))).flatMap((found, index) => {
    if (found.length === 0)
      throw new SparkError(
        `COPY finds nothing for ${JSON.stringify(patterns[index])} in ${context.contextDir} (${where}); a .dockerignore may leave it out.`,
        { code: "image-build" },
      );
    return found;
  });
  const path = posix.resolve(context.workdir, target);
  const isFolder = (await context.fs.stat(path).catch(() => null))?.isDirectory === true;
  const intoFolder = /(^|\/)\.{0,2}$/.test(target) || sources.length > 1 || isFolder;
  for (const source of sources) {
    const host = join(context.contextDir, source);
    if ((await stat(host)).isDirectory()) {
      await copyFromHost(host, context.fs, path, {
        keepLinks: true,
        take: (inner) => !context.ignored(source === "" ? inner : `${source}/${inner}`),
      });
      if (mode !== null)
        for (const inner of context.fs.getAllPaths()) if (inner.startsWith(`${path}/`)) await context.fs.chmod(inner, mode);
    } else
      await putFile(
        context.fs,
        intoFolder ? posix.join(path, posix.basename(source)) : path,
        await readFile(host),
        mode ?? (await stat(host)).mode & 0o777,
      );
  }
}

/** Paths in the context that a source names, relative, without what .dockerignore leaves out. `..` and `/` stay inside, as in Docker. */
async function matching(pattern: string, context: CopyContext): Promise<string[]> {
  const inside = posix.resolve("/", pattern).slice(1);
  if (!/[*?[]/.test(inside)) {
    const found = await stat(join(context.contextDir, inside)).catch(() => null);
    return found && (inside === "" || found.isDirectory() || !context.ignored(inside)) ? [inside] : [];
  }
  const { readdir } = await import("node:fs/promises");
  let found = [""];
  for (const part of inside.split("/")) {
    const test = globExpression(part);
    const next: string[] = [];
    for (const folder of found)
      for (const name of await readdir(join(context.contextDir, folder)).catch(() => []))
        if (test.test(name)) next.push(folder === "" ? name : `${folder}/${name}`);
    found = next;
  }
  return found.filter((path) => !context.ignored(path)).sort();
}

const globExpression = (glob: string): RegExp =>
  new RegExp(
    `^${glob
      .replace(/[.+^${}()|\\]/g, "\\$&")
      .replace(/\*\*\/?/g, "\u0000")
      .replace(/\*/g, "[^/]*")
      .replace(/\?/g, "[^/]")
      .replace(/\[!/g, "[^")
      .replace(/\u0000/g, "(?:.*/)?")
      .replace(/\(\?:\.\*\/\)\?$/, ".*")}$`,
  );

/** The context's .dockerignore, if it has one. */
async function readIgnoreFile(contextDir: string): Promise<(relative: string) => boolean> {
  const text = await readFile(join(contextDir, ".dockerignore"), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
  return createIgnore(text);
}
