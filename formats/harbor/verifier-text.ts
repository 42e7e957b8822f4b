import { readdir, readFile, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { cutText } from "../../state/cut-text.js";
import type { HarborTask } from "../../state/task.js";
import { tellingNumbers } from "../python-literals.js";
import { REDACTED_ANSWER, redactPython } from "../python-redaction.js";
import { absentAs } from "./absent-as.js";

/** Most characters of the whole text: half of an instruction's budget (spark.md section 2). */
export const VERIFIER_TEXT_CHARACTERS = 16_384;
/** A larger file is data in Python's clothes. */
const MAX_FILE_BYTES = 512 * 1024;
const MAX_NAMED_FILES = 100;

/**
 * The task's tests for a teacher who may see how it is judged (`--show-verifier`): every Python file under `tests/` with its answers
 * redacted, each under its name; one that does not parse is withheld; other files are only named. Empty without a `tests/` folder.
 * At most {@link VERIFIER_TEXT_CHARACTERS} characters, a cut marked.
 */
export async function verifierText(task: HarborTask): Promise<string> {
  const root = join(task.dir, "tests");
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(absentAs([]));
  const paths = entries.filter((entry) => !entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  paths.sort();
  const shown: string[] = [];
  const named: string[] = [];
  for (const path of paths) {
    const name = publicName(`tests/${relative(root, path).split(sep).join("/")}`);
    const size = (await stat(path).catch(absentAs(null)))?.size ?? 0;
    if (!path.endsWith(".py")) named.push(name);
    else if (size > MAX_FILE_BYTES) shown.push(withheld(name, `it is larger than ${MAX_FILE_BYTES / 1024} KiB`));
    else {
      const { text } = await redactPython(await readFile(path, "utf8"));
      shown.push(text === null ? withheld(name, "it could not be parsed") : `# ${name}\n${text.trim()}`);
    }
  }
  if (named.length > 0) shown.push(`# other files, contents not shown\n${nameList(named)}`);
  return cutText(shown.join("\n\n"), VERIFIER_TEXT_CHARACTERS, "start");
}

const withheld = (name: string, reason: string): string => `# ${name}\n# withheld: ${reason}`;

const nameList = (names: readonly string[]): string =>
  [...names.slice(0, MAX_NAMED_FILES), ...(names.length > MAX_NAMED_FILES ? [`and ${names.length - MAX_NAMED_FILES} more`] : [])].join(
    "\n",
  );

/** A file's name without numbers that tell an answer. */
function publicName(name: string): string {
  let clean = name;
  for (const { start, end } of tellingNumbers(name).reverse()) clean = clean.slice(0, start) + REDACTED_ANSWER + clean.slice(end);
  return clean;
}
