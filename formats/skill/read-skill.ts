import { lstat, readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { messageOf, SparkError } from "../../state/errors.js";
import type { SkillDirectory } from "../../state/skill.js";

const MAX_FILES = 1000;
const MAX_FILE_BYTES = 10_000_000;
const MAX_TOTAL_BYTES = 50_000_000;
/** What version control and editors leave is no part of a skill. */
const NOT_THE_SKILL = new Set([".git", ".DS_Store"]);

/**
 * Reads a skill directory, or the directory of a SKILL.md that is named itself. Links inside the directory are followed; at most 1,000
 * files, 10 MB each, 50 MB together.
 *
 * @throws SparkError `file-missing` without a directory or SKILL.md; `file-invalid` for a link that leads out, a size above the limits, or
 * a SKILL.md that is not UTF-8
 */
export async function readSkill(path: string): Promise<SkillDirectory> {
  const named = resolve(path);
  const entry = await stat(named).catch((error: unknown) => {
    throw new SparkError(`${named} cannot be read: ${messageOf(error)}; give the folder of a skill`, {
      code: "file-missing",
      cause: error,
    });
  });
  if (!entry.isDirectory() && basename(named) !== "SKILL.md")
    throw new SparkError(`${named} is not a folder; give the folder that holds SKILL.md`, { code: "file-invalid" });
  const dir = entry.isDirectory() ? named : dirname(named);
  const files: Record<string, Uint8Array> = {};
  let total = 0;
  for (const file of await filesOf(dir, await realpath(dir))) {
    const { size } = await stat(join(dir, file));
    total += size;
    if (size > MAX_FILE_BYTES || total > MAX_TOTAL_BYTES)
      throw new SparkError(
        `${join(dir, file)}: a skill's files may have ${MAX_FILE_BYTES} bytes each and ${MAX_TOTAL_BYTES} together, this one has ${size}; take large data out of the skill`,
        { code: "file-invalid" },
      );
    files[file] = await readFile(join(dir, file));
  }
  const { "SKILL.md": main, ...others } = files;
  if (main === undefined) {
    const found = Object.keys(others).slice(0, 5).join(", ") || "nothing";
    throw new SparkError(`${dir} holds no SKILL.md (found: ${found}); give the folder of one skill`, { code: "file-missing" });
  }
  return { directory: basename(dir), text: utf8(main, join(dir, "SKILL.md")), files: others };
}

/** Whether a directory holds exactly this skill; false when there is none or it cannot be read as one. */
export async function sameSkill(dir: string, skill: SkillDirectory): Promise<boolean> {
  try {
    const present = await readSkill(dir);
    const names = Object.keys(present.files);
    return (
      present.text === skill.text &&
      names.length === Object.keys(skill.files).length &&
      names.every((name) => Buffer.from(present.files[name] ?? []).equals(skill.files[name] ?? Buffer.of(0)) && name in skill.files)
    );
  } catch (error) {
    if (SparkError.isInstance(error)) return false;
    throw error;
  }
}

const utf8 = (bytes: Uint8Array, path: string): string => {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    throw new SparkError(`${path} is not UTF-8 text; save it as UTF-8`, { code: "file-invalid", cause: error });
  }
};

async function filesOf(root: string, realRoot: string): Promise<string[]> {
  const found: string[] = [];
  const walk = async (dir: string, depth: number): Promise<void> => {
    for (const name of (await readdir(dir)).sort()) {
      if (NOT_THE_SKILL.has(name)) continue;
      const path = join(dir, name);
      if ((await lstat(path)).isSymbolicLink()) await insideOf(path, realRoot);
      const entry = await stat(path);
      if (entry.isDirectory()) {
        // A link to a folder above itself would never end.
        if (depth >= 10) throw new SparkError(`${path}: folders of a skill may be 10 deep; make it flatter`, { code: "file-invalid" });
        await walk(path, depth + 1);
      } else if (entry.isFile()) found.push(relative(root, path).split(sep).join("/"));
      if (found.length > MAX_FILES)
        throw new SparkError(`${root} holds more than ${MAX_FILES} files; give the folder of one skill`, { code: "file-invalid" });
    }
  };
  await walk(root, 0);
  return found;
}

async function insideOf(link: string, realRoot: string): Promise<void> {
  const target = await realpath(link).catch(() => null);
  if (target === null || !`${target}${sep}`.startsWith(`${realRoot}${sep}`))
    throw new SparkError(
      `${link} is a link ${target === null ? "to nothing" : `that leads out of the skill, to ${target}`}; put the file itself there`,
      { code: "file-invalid" },
    );
}
