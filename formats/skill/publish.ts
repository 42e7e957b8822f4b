import { join } from "node:path";
import type { Finding, SkillDirectory } from "../../state/skill.js";
import { safeName, writeAtomically } from "../run-directory.js";
import { writeSkill } from "./write-skill.js";

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
  await writeSkill(target, skill);
  return path;
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
