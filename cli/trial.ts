import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { readTask } from "../formats/harbor/read-task.js";
import { makeRunDirectory, safeName } from "../formats/run-directory.js";
import { lockRun } from "../formats/run-lock.js";
import { trialReport } from "../formats/trial-report.js";
import { createCapabilities } from "../graphs/capabilities.js";
import { createShellAgentGraph } from "../graphs/shell-agent.js";
import { runTrial } from "../nodes/trial/run-trial.js";
import { errorKinds, SparkError } from "../state/errors.js";
import type { SkillGenerationContext } from "../state/skill-generation.js";
import type { ShellAgentRunnable } from "../tools/converse.js";
import { flushTraces } from "./generate.js";
import { type Env, newRunName, readModels } from "./generation/plan.js";
import { EXIT_CODES, type Output, reportError } from "./output.js";

export interface TrialFlags {
  path: string;
  agent: "oracle" | "nop" | "spark";
  model?: string;
  models?: string;
  skill?: string[];
  sandbox?: SkillGenerationContext["sandbox"];
  verifier?: SkillGenerationContext["verifier"];
  preflight: boolean;
  timeoutMultiplier?: number;
  maxSteps?: number;
  allowEnv?: string[];
  outputDir: string;
}

/** SIGTERM, by convention 128 + 15. */
const EXIT_TERMINATED = 143;

/**
 * One trial: its record on stdout. Exit 0 when it was scored, whatever the reward; 3 or 4 when provider or environment prevented it;
 * 130 or 143 after a signal.
 */
export async function runTrialCommand(flags: TrialFlags, env: Env, output: Output): Promise<number> {
  const task = await readTask(flags.path);
  if (task.unsupported.length > 0)
    throw new SparkError(
      `${task.directory} cannot be run yet: ${task.unsupported.map(({ key, reason, fix }) => `${key}: ${reason}; ${fix}`).join("; ")}`,
      { code: "task-unsupported" },
    );
  for (const dir of flags.skill ?? [])
    if (!existsSync(join(dir, "SKILL.md")))
      throw new SparkError(`--skill ${dir}: no SKILL.md is there; name the directory of a skill`, { code: "file-missing" });
  const models = flags.models === undefined ? [] : await readModels(flags.models);
  const runsDir = resolve(flags.outputDir);
  const capabilities = createCapabilities({ env, runsDir, models });
  const address = { run: `trial-${newRunName(new Date())}`, task: safeName(task.directory) };
  const settings: SkillGenerationContext = {
    agent: flags.agent,
    model: flags.model ?? env["SPARK_MODEL"] ?? "",
    skills: (flags.skill ?? []).map((dir) => resolve(dir)),
    sandbox: flags.sandbox,
    verifier: flags.verifier,
    preflight: flags.preflight,
    timeoutMultiplier: flags.timeoutMultiplier,
    maxSteps: flags.maxSteps,
    allowEnv: flags.allowEnv,
    leaseSec: 0,
  };
  if (flags.agent === "spark" && settings.model === "")
    throw new SparkError("no model: pass -m MODEL or set SPARK_MODEL", { code: "model-missing" });
  const abort = new AbortController();
  let stoppedBy: NodeJS.Signals | null = null;
  const stop = (name: NodeJS.Signals) => {
    stoppedBy = name;
    abort.abort(new SparkError(`stopped by ${name}`, { code: "cancelled" }));
  };
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  const runDir = join(runsDir, address.run);
  await makeRunDirectory(runDir);
  // `clean` spares what a living process uses.
  const lock = await lockRun(runDir);
  try {
    const record = await runTrial(capabilities, createShellAgentGraph().compile() as unknown as ShellAgentRunnable, {
      task: task.dir,
      address,
      settings,
      signal: abort.signal,
    });
    await flushTraces();
    const report = trialReport(task.directory, record, record.trialDir);
    output.data(
      output.json
        ? JSON.stringify(report)
        : `${report.status}  ${report.task}  agent ${report.agent}, reward ${report.reward ?? "-"}, ${report.backend}, verifier ${report.verifier}\n${report.dir}${report.error === null ? "" : `\n${report.error.code}: ${report.error.message}`}`,
    );
    if (record.reward !== null) return 0;
    const kind = errorKinds[record.error?.code as keyof typeof errorKinds];
    return kind === undefined ? EXIT_CODES.error : EXIT_CODES[kind];
  } catch (error) {
    if (stoppedBy === null) throw error;
    const code = reportError(new SparkError(`stopped by ${stoppedBy}; nothing was scored`, { code: "cancelled", cause: error }), output);
    return stoppedBy === "SIGTERM" ? EXIT_TERMINATED : code;
  } finally {
    await lock.release();
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}
