import type { Dirent, Stats } from "node:fs";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, isAbsolute, join, relative, resolve, sep } from "node:path";
import { parse, TomlError } from "smol-toml";
import { messageOf, SparkError } from "../../state/errors.js";
import { type HarborTask, type TaskConfig, taskConfigSchema } from "../../state/task.js";
import { absentAs } from "./absent-as.js";
import { taskDigest } from "./digest.js";
import { stripCanary } from "./instruction.js";
import { taskTomlSchema, toTaskConfig } from "./task.js";
import { tomlComplaints } from "./toml-issue.js";
import { findUnsupported, taskMdLayout } from "./unsupported.js";

/** A directory that looks like a task and is none. */
export interface InvalidTask {
  dir: string;
  error: SparkError;
}

/**
 * Reads a Harbor task directory of any schema version. What we cannot run yet stands in `unsupported`, it is no error.
 * Throws SparkError `file-missing` (a file that a task must have) or `task-invalid` (with line and column for task.toml).
 * Source: specs/harbor.md 1 and 2.
 */
export async function readTask(dir: string): Promise<HarborTask> {
  const entry = await lookAt(dir);
  if (!entry?.isDirectory())
    throw new SparkError(`no task directory at ${dir}: name a directory that holds a task.toml`, { code: "file-missing" });
  const tomlPath = join(dir, "task.toml");
  const text = await textOf(tomlPath);
  if (text === null) {
    const body = await textOf(join(dir, "task.md"));
    if (body === null) throw missing(dir, "task.toml", "every task needs one");
    return { ...(await identity(dir, taskConfigSchema.parse({}))), instruction: body, raw: {}, unsupported: [taskMdLayout] };
  }
  const { config, raw } = parseTaskToml(text, tomlPath);
  await demandFiles(dir, config);
  const instruction = config.steps.length > 0 ? "" : stripCanary((await textOf(join(dir, "instruction.md"))) ?? "");
  const unsupported = findUnsupported(config, {
    hasCompose: await exists(join(dir, "environment", "docker-compose.yaml")),
    hasTrajectory: await exists(join(dir, "trajectory.json")),
  });
  return { ...(await identity(dir, config)), instruction, raw, unsupported };
}

/** What a task directory's `task.toml` says; `path` is for messages. Throws SparkError `task-invalid` with every fault, a line each. */
export function parseTaskToml(text: string, path: string): { config: TaskConfig; raw: Record<string, unknown> } {
  let raw: Record<string, unknown>;
  try {
    raw = parse(text, { integersAsBigInt: "asNeeded" });
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = messageOf(error).split("\n")[0]!.replace("Invalid TOML document: ", "");
    throw new SparkError(`task.toml:${error.line}:${error.column}: no valid TOML, ${what} (${path})`, {
      code: "task-invalid",
      cause: error,
    });
  }
  const checked = taskTomlSchema.safeParse(raw);
  if (!checked.success) {
    const complaints = tomlComplaints(text, raw, checked.error.issues);
    throw new SparkError(complaints.map((complaint) => `task.toml:${complaint} (${path})`).join("\n"), { code: "task-invalid" });
  }
  return { config: toTaskConfig(checked.data), raw };
}

/**
 * The tasks behind some paths: each is a task or a directory whose immediate children are tasks. A task named twice comes once, order is that of
 * the paths and, inside a directory, by name. Children that look like tasks and are none come back in `invalid`.
 * Throws SparkError when a path itself names a broken task, does not exist or has nothing that looks like a task.
 */
export async function listTasks(paths: readonly string[]): Promise<{ tasks: HarborTask[]; invalid: InvalidTask[] }> {
  const tasks = new Map<string, HarborTask>();
  const invalid: InvalidTask[] = [];
  for (const path of paths) {
    const entry = await lookAt(path);
    if (!entry) throw new SparkError(`no such task or directory: ${path}`, { code: "file-missing" });
    if (!entry.isDirectory()) throw new SparkError(`${path} is a file: name the task's directory`, { code: "file-missing" });
    if (await looksLikeTask(path)) {
      const task = await readTask(path);
      tasks.set(task.dir, task);
      continue;
    }
    let candidates = 0;
    for (const child of await folders(path)) {
      const dir = join(path, child.name);
      if (!(await looksLikeTask(dir))) continue;
      candidates++;
      try {
        const task = await readTask(dir);
        tasks.set(task.dir, task);
      } catch (error) {
        if (!SparkError.isInstance(error)) throw error;
        invalid.push({ dir, error });
      }
    }
    if (candidates === 0)
      throw new SparkError(`no task in ${path}: neither it nor a directory in it has a task.toml`, { code: "file-missing" });
  }
  return { tasks: [...tasks.values()], invalid };
}

async function identity(dir: string, config: TaskConfig): Promise<Omit<HarborTask, "instruction" | "raw" | "unsupported">> {
  const absolute = resolve(dir);
  const directory = basename(await realpath(absolute).then((real) => (basename(absolute) === "" ? real : absolute)));
  const [digest, hasSolution, hasDockerfile] = await Promise.all([
    taskDigest(absolute),
    exists(join(absolute, "solution", "solve.sh")),
    exists(join(absolute, "environment", "Dockerfile")),
  ]);
  return { dir: absolute, directory, name: config.task?.name ?? directory, digest, config, hasSolution, hasDockerfile };
}

async function demandFiles(dir: string, config: TaskConfig): Promise<void> {
  const has = (path: string) => exists(join(dir, path));
  if (!(await lookAt(join(dir, "environment")))?.isDirectory())
    throw missing(dir, "environment/", "it holds the Dockerfile, or may hold just a README when docker_image is set");
  const isSeparate = config.verifier.environmentMode === "separate" || config.verifier.environment !== undefined;
  const extension = config.environment.os === "windows" ? "bat" : "sh";
  const sharedTest = isSeparate || (await has(`tests/test.${extension}`));
  if (config.steps.length === 0) {
    if (!(await has("instruction.md"))) throw missing(dir, "instruction.md", "it says what the agent shall do");
    if (!sharedTest) throw missing(dir, `tests/test.${extension}`, "it writes the reward");
  }
  for (const step of config.steps) {
    const name = String(step.name);
    if (!(await has(`steps/${name}/instruction.md`))) throw missing(dir, `steps/${name}/instruction.md`, "each step needs one");
    const isStepSeparate = typeof step.verifier === "object" && step.verifier !== null && Object.hasOwn(step.verifier, "environment");
    if (!sharedTest && !isStepSeparate && !(await has(`steps/${name}/tests/test.${extension}`)))
      throw missing(dir, `steps/${name}/tests/test.${extension}`, "it writes the step's reward");
  }
  if (
    config.environment.dockerImage === undefined &&
    !(await has("environment/Dockerfile")) &&
    !(await has("environment/docker-compose.yaml"))
  )
    throw new SparkError(`task has no image: set environment.docker_image or add environment/Dockerfile (${join(dir, "task.toml")})`, {
      code: "task-invalid",
    });
  for (const folder of ["tests", "solution"]) await demandInside(dir, folder);
}

/** Harbor refuses a task whose tests or solution link to something outside of it; a copy of the task would miss it, or take what is not its. */
async function demandInside(dir: string, folder: string): Promise<void> {
  const root = await realpath(dir);
  for (const entry of await readdir(join(dir, folder), { withFileTypes: true, recursive: true }).catch(absentAs([]))) {
    if (!entry.isSymbolicLink()) continue;
    const path = join(entry.parentPath, entry.name);
    const inside = relative(root, await realpath(path).catch(absentAs(root)));
    if (isAbsolute(inside) || inside === ".." || inside.startsWith(`..${sep}`))
      throw new SparkError(`${path} links to a place outside of the task: replace the link by the file`, { code: "task-invalid" });
  }
}

const looksLikeTask = async (dir: string): Promise<boolean> => {
  if ((await exists(join(dir, "task.toml"))) || (await exists(join(dir, "task.md")))) return true;
  return (await exists(join(dir, "instruction.md"))) && ((await exists(join(dir, "tests"))) || (await exists(join(dir, "environment"))));
};

async function folders(dir: string): Promise<Dirent[]> {
  const entries = await readdir(dir, { withFileTypes: true });
  return entries
    .filter((entry) => (entry.isDirectory() || entry.isSymbolicLink()) && !entry.name.startsWith("."))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const missing = (dir: string, name: string, why: string): SparkError =>
  new SparkError(`${name} is missing in ${dir}: ${why}`, { code: "file-missing" });

const lookAt = (path: string): Promise<Stats | null> => stat(path).catch(absentAs(null));
const exists = async (path: string): Promise<boolean> => (await lookAt(path)) !== null;

async function textOf(path: string): Promise<string | null> {
  const bytes = await readFile(path).catch(absentAs(null));
  if (bytes === null) return null;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new SparkError(`${path} is not UTF-8: save it as UTF-8`, { code: "task-invalid", cause: error });
  }
}
