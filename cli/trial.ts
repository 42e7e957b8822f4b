import { resolve } from "node:path";
import { readTask } from "../formats/harbor/read-task.js";
import { safeName } from "../formats/run-directory.js";
import { trialReport } from "../formats/trial-report.js";
import { createCapabilities } from "../graphs/capabilities.js";
import { createShellAgentGraph } from "../graphs/shell-agent.js";
import { runTrial } from "../nodes/trial/run-trial.js";
import { errorKinds, SparkError } from "../state/errors.js";
import type { SkillGenerationContext } from "../state/skill-generation.js";
import type { ShellAgentRunnable } from "../tools/converse.js";
import { flushTraces } from "./generate.js";
import { type Env, newRunName, readModels } from "./generation/plan.js";
import { EXIT_CODES, type Output } from "./output.js";

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

/** One trial: its record on stdout. Exit 0 when it was scored, whatever the reward; 3 or 4 when provider or environment prevented it. */
export async function runTrialCommand(flags: TrialFlags, env: Env, output: Output): Promise<number> {
  const task = await readTask(flags.path);
  if (task.unsupported.length > 0)
    throw new SparkError(
      `${task.directory} cannot be run yet: ${task.unsupported.map(({ key, reason, fix }) => `${key}: ${reason}; ${fix}`).join("; ")}`,
      { code: "task-unsupported" },
    );
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
  const stop = () => abort.abort(new SparkError("cancelled", { code: "cancelled" }));
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
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
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}
