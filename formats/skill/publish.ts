import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { messageOf, SparkError } from "../../state/errors.js";
import type { Finding, SkillDirectory } from "../../state/skill.js";
import { safeName, writeAtomically } from "../run-directory.js";
import { sameSkill } from "./read-skill.js";

/** Longest folder name that is made from a skill's name; a legal name has at most 64 characters. */
const MAX_NAME = 100;

/** Folder name of a skill: one path segment without dots, so that it meets neither a sidecar nor a hidden file. */
export const skillFolderName = (name: string): string => safeName(name).replaceAll(".", "-").slice(0, MAX_NAME);

/**
 * Puts a skill into the task's folder: `skills/NAME/` when it passed, `rejected/NAME/` when it did not, with `NAME.gate.json` and
 * `NAME.provenance.json` beside the folder. The folder appears whole or not at all, and last; doing it again writes the same. A refusal
 * of the same name stays under `rejected/` when a later version is published.
 *
 * @returns the folder's path relative to `taskDir`
 * @throws SparkError `disk`; `internal` for a file of the skill that leaves its folder
 */
export async function publishSkill(
  taskDir: string,
  skill: SkillDirectory,
  report: { passed: boolean; findings: Finding[] },
  provenance: object,
): Promise<string> {
  const name = skillFolderName(skill.directory);
  const path = `${report.passed ? "skills" : "rejected"}/${name}`;
  const target = join(taskDir, path);
  await writeAtomically(`${target}.provenance.json`, json(provenance));
  await writeAtomically(`${target}.gate.json`, json({ skill: name, passed: report.passed, findings: report.findings }));
  if (await sameSkill(target, skill)) return path;
  const parent = join(target, "..");
  try {
    for (const left of await readdir(parent))
      if (left.startsWith(`.${name}.`) && left.endsWith(".tmp")) await rm(join(parent, left), { recursive: true, force: true });
    const fresh = join(parent, `.${name}.${randomUUID().slice(0, 8)}.new.tmp`);
    await mkdir(fresh, { recursive: true });
    for (const [file, content] of Object.entries({ ...skill.files, "SKILL.md": skill.text })) {
      const inside = resolve(fresh, file);
      if (inside === fresh || relative(fresh, inside).startsWith(".."))
        throw new SparkError(`the skill's file ${file} leaves its folder`, { code: "internal" });
      await writeAtomically(inside, content);
    }
    await rename(target, join(parent, `.${name}.${randomUUID().slice(0, 8)}.old.tmp`)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    await rename(fresh, target);
    for (const left of await readdir(parent))
      if (left.startsWith(`.${name}.`) && left.endsWith(".tmp")) await rm(join(parent, left), { recursive: true, force: true });
  } catch (error) {
    if (SparkError.isInstance(error)) throw error;
    throw new SparkError(`cannot write ${target}: ${messageOf(error)}; free space or make the folder writable`, {
      code: "disk",
      cause: error,
    });
  }
  return path;
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
