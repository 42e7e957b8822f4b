import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { type GenerationReport, generationReportSchema, type TaskReport } from "../formats/generation-report.js";
import { type RunConfig, readRunConfig } from "../formats/run-config.js";
import { threadIdOf, writeAtomically } from "../formats/run-directory.js";
import { lockRun } from "../formats/run-lock.js";
import { RunLog } from "../formats/trajectory/run-log.js";
import { costUsdOf, createCapabilities, specOf } from "../graphs/capabilities.js";
import { openCheckpointer } from "../graphs/checkpointer.js";
import { compileObserved } from "../graphs/observed.js";
import { createSkillGenerationGraph } from "../graphs/skill-generation.js";
import { SparkError } from "../state/errors.js";
import { type SkillGenerationState, solvedAttempt } from "../state/skill-generation.js";
import type { Env } from "./generation/plan.js";
import { generationReport, taskReport, usageOfTask } from "./generation/report.js";
import { REPORT_FILE } from "./generation/run.js";
import { EXIT_NO, type Output } from "./output.js";

export interface DistillFlags {
  outputDir: string;
  model?: string;
}

/** Makes the skill of a solved task again from what is stored; no teacher is asked. Exit 5 when no skill is published. */
export async function runDistill(target: string, flags: DistillFlags, env: Env, output: Output): Promise<number> {
  const taskDir = [resolve(target), resolve(flags.outputDir, target)].find((dir) => existsSync(join(dir, "trajectory.jsonl")));
  if (taskDir === undefined)
    throw new SparkError(`no task of a run at ${target}: give RUN/TASK, a folder with a trajectory.jsonl`, { code: "run-missing" });
  const runDir = dirname(taskDir);
  const config = await readRunConfig(runDir);
  const entry = config.tasks.find(({ task }) => task === basename(taskDir));
  if (entry === undefined) throw new SparkError(`${runDir}/config.json names no task ${basename(taskDir)}`, { code: "run-missing" });
  const lock = await lockRun(runDir);
  const checkpointer = await openCheckpointer(runDir, config.checkpoint);
  try {
    const runsDir = dirname(runDir);
    const capabilities = createCapabilities({ env, runsDir, models: config.models, prices: config.prices });
    const settings = { ...config.settings, ...(flags.model === undefined ? {} : { summaryModel: flags.model }) };
    // Asked for before anything is changed: without a key the run stays as it is.
    await capabilities.model("summary", settings);
    const spec = specOf("summary", settings, config.models, env);
    const price = costUsdOf(spec, env, config.prices);
    const log = new RunLog({
      runsDir,
      redact: capabilities.redact,
      costUsd: (model, tokens) => (model === spec.model ? price(tokens) : null),
    });
    const graph = compileObserved(createSkillGenerationGraph(capabilities), {
      name: "skill-generation",
      checkpointer: checkpointer.saver,
      log,
    });
    const address = { run: config.run, task: entry.task };
    const invocation = { configurable: { thread_id: threadIdOf(address) } } as LangGraphRunnableConfig;
    const state = ((await graph.getState(invocation)).values ?? {}) as Partial<SkillGenerationState>;
    if (solvedAttempt(state.attempts ?? []) === undefined)
      throw new SparkError(
        `${entry.task} has no verified success in this run, so there is nothing to distil; go on with --resume or a new run`,
        { code: "skill-missing" },
      );
    // As if verify had just ended: the graph's own edge leads to distill, with an empty slate for skill and gate.
    await graph.updateState(invocation, { skill: null, gateReport: null }, "verify");
    await graph.invoke(null, { ...invocation, context: settings } as never);
    const after = ((await graph.getState(invocation)).values ?? {}) as Partial<SkillGenerationState>;
    const report = taskReport(runDir, entry, after, await usageOfTask(runDir, entry.task), null);
    await rememberReport(runDir, config, report);
    output.data(output.json ? JSON.stringify(report) : (report.skill ?? `no skill: ${report.error?.message ?? ""}`));
    return report.skill === null ? EXIT_NO : 0;
  } finally {
    await checkpointer.close();
    await lock.release();
  }
}

/** The run's report tells of the skill that is there now; a run without one is still under way and makes it at its end. */
async function rememberReport(runDir: string, config: RunConfig, made: TaskReport): Promise<void> {
  const path = join(runDir, REPORT_FILE);
  const text = await readFile(path, "utf8").catch(() => null);
  if (text === null) return;
  const before: GenerationReport = generationReportSchema.parse(JSON.parse(text));
  const tasks = before.tasks.map((task) => (task.task === made.task ? made : task));
  await writeAtomically(path, `${JSON.stringify(generationReport(runDir, config, tasks, before.stoppedBy), null, 2)}\n`);
}
