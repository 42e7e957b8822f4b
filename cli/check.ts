import { basename, dirname, resolve } from "node:path";
import { readTask } from "../formats/harbor/read-task.js";
import type { CheckReport } from "../formats/skill/check-report.js";
import { runGate } from "../formats/skill/gate/gate.js";
import { readSkill } from "../formats/skill/read-skill.js";

export interface CheckOptions {
  /** Folder of a skill, or its SKILL.md. */
  skillDir: string;
  /** Task directory whose answers must not stand in the skill. */
  task?: string | undefined;
}

/**
 * `spark-skills check`: what the gate has against a skill. Exit code 5 when it does not pass. Throws SparkError `file-missing` or
 * `file-invalid` for a folder that holds no skill, `task-invalid` for a broken task.
 */
export async function runCheck({ skillDir, task }: CheckOptions): Promise<{ report: CheckReport; text: string; exitCode: 0 | 5 }> {
  const named = resolve(skillDir);
  const skill = await readSkill(named);
  const { passed, findings } = await runGate({ skill, ...(task === undefined ? {} : { task: await readTask(resolve(task)) }) });
  const report: CheckReport = { skill: basename(named) === "SKILL.md" ? dirname(named) : named, passed, findings };
  return { report, text: renderCheck(report, task === undefined), exitCode: passed ? 0 : 5 };
}

/** One line a finding, as compilers print them, then the verdict. */
function renderCheck({ skill, passed, findings }: CheckReport, withoutTask: boolean): string {
  const errors = findings.filter(({ severity }) => severity === "error").length;
  const counts = `${counted(errors, "error")}, ${counted(findings.length - errors, "warning")}`;
  return [
    ...findings.map(
      ({ file, line, severity, rule, message }) => `${file}${line === null ? "" : `:${line}`}: ${severity}: ${message} [${rule}]`,
    ),
    `${passed ? "passed" : "failed"}: ${skill} (${counts})${withoutTask ? "; answers were not checked: name the task with --task" : ""}`,
  ].join("\n");
}

const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? "" : "s"}`;
