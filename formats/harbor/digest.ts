import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { absentAs } from "./absent-as.js";
import { type IgnoreRules, ignoreRules } from "./ignore-rules.js";

const SINGLE_FILES = ["task.toml", "instruction.md", "README.md", "trajectory.json"];
const FOLDERS = ["environment", "tests", "solution", "steps"];
/** What counts when the task has no .gitignore (Harbor's packager). */
const DEFAULT_IGNORES = "__pycache__/\n*.pyc\n.DS_Store\n*.swp\n*.swo\n*~\n";

/**
 * Hex SHA-256 over lines `<path>\0<hex digest of the file>\n` in the order of the paths' code points: the digest of Harbor's lock file without `sha256:`.
 * Links to files count as the file, links to folders are not entered. Source: specs/harbor.md 10.6.
 */
export async function taskDigest(dir: string): Promise<string> {
  const ignored = ignoreRules((await readFile(join(dir, ".gitignore"), "utf8").catch(absentAs(null))) ?? DEFAULT_IGNORES);
  const paths = await taskFiles(dir, ignored);
  const outer = createHash("sha256");
  for (const path of paths) outer.update(`${path}\0${await fileDigest(join(dir, path))}\n`);
  return outer.digest("hex");
}

async function taskFiles(dir: string, ignored: IgnoreRules): Promise<string[]> {
  const found: string[] = [];
  const isFile = async (path: string) => (await stat(join(dir, path)).catch(absentAs(null)))?.isFile() === true;
  const visit = async (folder: string): Promise<void> => {
    for (const entry of await readdir(join(dir, folder), { withFileTypes: true }).catch(absentAs([]))) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) await visit(path);
      else if (await isFile(path)) found.push(path);
    }
  };
  for (const name of SINGLE_FILES) if (await isFile(name)) found.push(name);
  for (const folder of FOLDERS) await visit(folder);
  return found.filter((path) => !ignored(path)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

async function fileDigest(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}
