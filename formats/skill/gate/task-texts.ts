import { createHash } from "node:crypto";
import { lstat, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { HarborTask } from "../../../state/task.js";

/** A text file of the task. */
export interface TaskText {
  /** Path relative to the task's folder. */
  file: string;
  lines: string[];
}

const MAX_FILES = 5000;
/** Data that an agent may see excuses what stands in it, so more of it is read, binary files too: text stands in them as it is. */
const HIDDEN = { maxFileBytes: 5_000_000, maxTotalBytes: 50_000_000, binary: false };
const VISIBLE = { maxFileBytes: 20_000_000, maxTotalBytes: 100_000_000, binary: true };

/** What the task keeps from an agent: tests, solution and the verifier's variables; text files of at most 5 MB, 50 MB together. */
export async function hiddenTexts(task: HarborTask): Promise<TaskText[]> {
  const variables = Object.entries({ ...task.config.verifier.env, ...task.config.solution.env }).map(
    ([name, value]) => `${name} = "${value}"`,
  );
  return [
    ...(await textsUnder(task.dir, "tests", HIDDEN)).texts,
    ...(await textsUnder(task.dir, "solution", HIDDEN)).texts,
    ...(variables.length > 0 ? [{ file: "task.toml", lines: variables }] : []),
  ];
}

/** What an agent may see: the instruction, the environment's files and their names, and what else it was shown. */
export async function visibleTexts(task: HarborTask, seen: string | undefined): Promise<TaskText[]> {
  const { texts, names } = await textsUnder(task.dir, "environment", VISIBLE);
  return [
    { file: "instruction.md", lines: task.instruction.split(/\r?\n/) },
    ...texts,
    { file: "environment", lines: names },
    ...(seen === undefined ? [] : [{ file: "what the agent was shown", lines: seen.split(/\r?\n/) }]),
  ];
}

async function textsUnder(root: string, folder: string, limits: typeof HIDDEN): Promise<{ texts: TaskText[]; names: string[] }> {
  const texts: TaskText[] = [];
  const names: string[] = [];
  const known = new Set<string>();
  let total = 0;
  const walk = async (path: string): Promise<void> => {
    const entries = await readdir(join(root, path), { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
      throw error;
    });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const inner = `${path}/${entry.name}`;
      if (names.length >= MAX_FILES) return;
      if (entry.isDirectory()) await walk(inner);
      // A link may lead out of the task; its target inside is read under its own name.
      if (!entry.isFile()) continue;
      names.push(inner);
      const { size } = await lstat(join(root, inner));
      if (size > limits.maxFileBytes || total + size > limits.maxTotalBytes) continue;
      const bytes = await readFile(join(root, inner));
      const binary = bytes.subarray(0, 8000).includes(0);
      if (binary && !limits.binary) continue;
      const digest = createHash("sha256").update(bytes).digest("hex");
      if (known.has(digest)) continue;
      known.add(digest);
      total += size;
      texts.push({ file: inner, lines: bytes.toString(binary ? "latin1" : "utf8").split(/\r?\n/) });
    }
  };
  await walk(folder);
  return { texts, names };
}
