import type { Finding, SkillDirectory } from "../../../state/skill.js";
import type { HarborTask } from "../../../state/task.js";
import { answers } from "./answers.js";
import { codeFences } from "./code-fences.js";
import { errorText } from "./error-text.js";
import { links } from "./links.js";
import { secrets } from "./secrets.js";
import { size } from "./size.js";
import { specification } from "./specification.js";
import { type GateRule, gateSubject } from "./subject.js";
import { truncated } from "./truncated.js";

const rules: GateRule[] = [errorText, specification, codeFences, truncated, links, size, secrets];

/**
 * Checks a skill before it is published: Agent Skills specification, code fences, links, size, secrets, error text, cut files and, with a
 * task, answers that only its verifier or solution could have given. It passes when no finding is an error.
 *
 * @param input.seen what else an agent may see beside the instruction and the environment's files; never the verifier, also where it was shown: the gate looks for what leaked
 * @returns findings, errors first, then by file and line; at most one of each sentence
 */
export async function runGate({
  skill,
  task,
  seen,
}: {
  skill: SkillDirectory;
  task?: HarborTask | undefined;
  seen?: string | undefined;
}): Promise<{ passed: boolean; findings: Finding[] }> {
  const subject = gateSubject(skill);
  const found: Finding[] = [];
  for (const rule of rules) found.push(...(await rule(subject)));
  if (task !== undefined) found.push(...(await answers(subject, task, seen)));
  const unique = new Map(found.map((finding) => [JSON.stringify(finding), finding]));
  const findings = [...unique.values()].sort(
    (a, b) =>
      Number(a.severity === "warning") - Number(b.severity === "warning") ||
      (a.file < b.file ? -1 : a.file > b.file ? 1 : (a.line ?? 0) - (b.line ?? 0)),
  );
  return { passed: findings.every(({ severity }) => severity !== "error"), findings };
}
