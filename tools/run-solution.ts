import { join } from "node:path";
import { resolveTemplates } from "../formats/harbor/env-template.js";
import { SparkError } from "../state/errors.js";
import type { ExecResult, Sandbox } from "./sandbox/sandbox.js";
import { asRoot, scaled, type TrialPlace, userOf } from "./trial-environment.js";

/** What Harbor's oracle agent does, and the command that did it. */
export const SOLUTION_COMMAND = "(/solution/solve.sh) > /logs/agent/oracle.txt 2>&1";

/**
 * Runs the task's own solution as Harbor's oracle does: upload to /solution, direct execution, output to /logs/agent/oracle.txt.
 * An exit code other than 0 is no failure of the trial. Source: harbor.md 6.1. Throws SparkError `task-invalid` without solution/solve.sh.
 */
export async function runSolution(place: TrialPlace, sandbox: Sandbox, timeoutMs: number): Promise<ExecResult> {
  const { task } = place;
  if (!task.hasSolution)
    throw new SparkError(
      `${task.directory}: solution/solve.sh is missing, so there is no oracle (${task.dir}); add it or use another agent`,
      { code: "task-invalid" },
    );
  await sandbox.copyIn(join(task.dir, "solution"), "/solution");
  await asRoot(sandbox, "chmod +x /solution/solve.sh");
  return sandbox.exec(SOLUTION_COMMAND, {
    env: {
      DEBIAN_FRONTEND: "noninteractive",
      ...resolveTemplates(task.config.solution.env, place.hostEnvironment, "solution.env", place.ownKeyNames),
    },
    timeoutMs,
    ...userOf(task.config.agent.user),
    ...(place.signal ? { signal: place.signal } : {}),
  });
}

/** Milliseconds an agent has: the task's limit, else the settings'. */
export const agentTimeoutMs = ({ task, settings }: Pick<TrialPlace, "task" | "settings">): number =>
  scaled(task.config.agent.timeoutSec ?? settings.attemptTimeoutSec, settings);
