import { randomUUID } from "node:crypto";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { messageOf, SparkError } from "../../state/errors.js";
import type { SkillDirectory } from "../../state/skill.js";
import { writeAtomically } from "../run-directory.js";
import { sameSkill } from "./read-skill.js";

/**
 * Writes a skill as the folder `dir`. It appears whole or not at all: it is made beside its place and moved there. A folder that already
 * holds exactly this skill is left alone; another version is replaced as a whole, and what a killed writer left is removed.
 *
 * @throws SparkError `disk`; `internal` for a file of the skill that leaves its folder
 */
export async function writeSkill(dir: string, skill: SkillDirectory): Promise<void> {
  if (await sameSkill(dir, skill)) return;
  const parent = dirname(dir);
  const temporary = (kind: "new" | "old"): string => join(parent, `.${basename(dir)}.${randomUUID().slice(0, 8)}.${kind}.tmp`);
  try {
    await mkdir(parent, { recursive: true });
    await removeLeftovers(parent, basename(dir));
    const fresh = temporary("new");
    await mkdir(fresh);
    for (const [file, content] of Object.entries({ ...skill.files, "SKILL.md": skill.text })) {
      const inside = resolve(fresh, file);
      if (inside === fresh || relative(fresh, inside).startsWith(".."))
        throw new SparkError(`the skill's file ${file} leaves its folder`, { code: "internal" });
      await writeAtomically(inside, content);
    }
    await rename(dir, temporary("old")).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
    });
    await rename(fresh, dir);
    await removeLeftovers(parent, basename(dir));
  } catch (error) {
    if (SparkError.isInstance(error)) throw error;
    throw new SparkError(`cannot write ${dir}: ${messageOf(error)}; free space or make the folder writable`, {
      code: "disk",
      cause: error,
    });
  }
}

async function removeLeftovers(parent: string, name: string): Promise<void> {
  for (const left of await readdir(parent))
    if (left.startsWith(`.${name}.`) && left.endsWith(".tmp")) await rm(join(parent, left), { recursive: true, force: true });
}
