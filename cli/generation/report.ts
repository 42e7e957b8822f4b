import { join } from "node:path";
import type { GenerationReport, TaskReport } from "../../formats/generation-report.js";
import type { RunConfig } from "../../formats/run-config.js";
import { readLog } from "../../formats/trajectory/read-log.js";
import { LOG_FILE } from "../../formats/trajectory/run-log.js";
import { scoredAttempts } from "../../state/attempt.js";
import { SparkError } from "../../state/errors.js";
import { addUsage, noUsage, type Usage } from "../../state/model.js";
import { type SkillGenerationState, solvedAttempt } from "../../state/skill-generation.js";

/** Tokens and cost of a task by its log, superseded executions included. */
export async function usageOfTask(runDir: string, task: string): Promise<Usage> {
  try {
    return (await readLog(join(runDir, task, LOG_FILE))).usage;
  } catch (error) {
    // A task that has not begun has no log.
    if (SparkError.isInstance(error) && error.code === "file-missing") return noUsage;
    throw error;
  }
}

/** One task's object: what its checkpointed state says, beside what its log says it cost. */
export function taskReport(
  runDir: string,
  entry: RunConfig["tasks"][number],
  state: Partial<SkillGenerationState>,
  usage: Usage,
  failure: SparkError | null,
): TaskReport {
  const attempts = state.attempts ?? [];
  const scored = scoredAttempts(attempts);
  const last = attempts.at(-1);
  const endedByInfrastructure = last?.status === "INFRA_ERROR";
  const solved = solvedAttempt(attempts);
  const status =
    entry.skipped !== null ? "skipped" : solved ? "solved" : endedByInfrastructure || scored.length === 0 ? "unscored" : "unsolved";
  const gate = state.gateReport ?? null;
  const error =
    entry.skipped !== null
      ? { code: "task-unsupported", message: entry.skipped }
      : failure !== null
        ? { code: failure.code, message: failure.message }
        : endedByInfrastructure
          ? last.error
          : solved && !gate?.passed
            ? missingSkill(state)
            : null;
  return {
    task: entry.task,
    name: entry.name,
    status,
    attempts: scored.length,
    reward: scored.at(-1)?.reward ?? null,
    skill: gate?.passed && gate.path !== null ? join(runDir, entry.task, gate.path) : null,
    gate: gate === null ? null : { passed: gate.passed, findings: gate.findings },
    error,
    costUsd: usage.costUsd,
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
  };
}

const missingSkill = (state: Partial<SkillGenerationState>): TaskReport["error"] =>
  state.gateReport
    ? { code: "skill-missing", message: "the gate refused the distilled skill; it is kept under rejected/, the findings stand in gate" }
    : state.skill
      ? { code: "skill-missing", message: "no usable reply for a skill; the verified attempt is kept: run `spark-skills distill RUN/TASK`" }
      : null;

export function generationReport(
  runDir: string,
  config: RunConfig,
  tasks: TaskReport[],
  stoppedBy: GenerationReport["stoppedBy"],
): GenerationReport {
  const total = tasks.reduce(
    (sum, { costUsd, inputTokens, outputTokens }) => addUsage(sum, { costUsd, inputTokens, outputTokens, cachedTokens: 0 }),
    noUsage,
  );
  return {
    run: config.run,
    dir: runDir,
    tasks,
    costUsd: total.costUsd,
    inputTokens: total.inputTokens,
    outputTokens: total.outputTokens,
    stoppedBy,
  };
}
