import { existsSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { readRunConfig } from "../formats/run-config.js";
import { threadIdOf } from "../formats/run-directory.js";
import { lockRun } from "../formats/run-lock.js";
import { RunLog } from "../formats/trajectory/run-log.js";
import { createCapabilities } from "../graphs/capabilities.js";
import { openCheckpointer } from "../graphs/checkpointer.js";
import { compileObserved } from "../graphs/observed.js";
import { createSkillGenerationGraph } from "../graphs/skill-generation.js";
import { SparkError } from "../state/errors.js";
import { type SkillGenerationState, solvedAttempt } from "../state/skill-generation.js";
import type { Env } from "./generation/plan.js";
import { taskReport, usageOfTask } from "./generation/report.js";
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
    const log = new RunLog({ runsDir, redact: capabilities.redact });
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
    await graph.invoke(null, {
      ...invocation,
      context: { ...config.settings, ...(flags.model === undefined ? {} : { summaryModel: flags.model }) },
    } as never);
    const after = ((await graph.getState(invocation)).values ?? {}) as Partial<SkillGenerationState>;
    const report = taskReport(runDir, entry, after, await usageOfTask(runDir, entry.task), null);
    output.data(output.json ? JSON.stringify(report) : (report.skill ?? `no skill: ${report.error?.message ?? ""}`));
    return report.skill === null ? EXIT_NO : 0;
  } finally {
    await checkpointer.close();
    await lock.release();
  }
}
