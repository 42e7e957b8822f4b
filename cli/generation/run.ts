import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isGraphDrained } from "@langchain/langgraph";
import pLimit from "p-limit";
import { type GenerationReport, generationReportSchema, type TaskReport } from "../../formats/generation-report.js";
import { readTask } from "../../formats/harbor/read-task.js";
import { CANCEL_FILE, type RunConfig, readRunConfig, writeRunConfig } from "../../formats/run-config.js";
import { makeRunDirectory, threadIdOf, writeAtomically } from "../../formats/run-directory.js";
import { lockRun } from "../../formats/run-lock.js";
import type { IdentifiedLine } from "../../formats/trajectory/log-file.js";
import { RunLog } from "../../formats/trajectory/run-log.js";
import { costUsdOf, createCapabilities, lazyProviders, specOf } from "../../graphs/capabilities.js";
import { openCheckpointer } from "../../graphs/checkpointer.js";
import { compileObserved } from "../../graphs/observed.js";
import { createSkillGenerationGraph } from "../../graphs/skill-generation.js";
import { stopsTheRun } from "../../nodes/trial/explore.js";
import { type ErrorKind, errorKinds, messageOf, SparkError } from "../../state/errors.js";
import { addUsage, noUsage } from "../../state/model.js";
import type { SkillGenerationState } from "../../state/skill-generation.js";
import type { Capabilities } from "../../tools/capabilities.js";
import { createRunBudget } from "../../tools/run-budget.js";
import { EXIT_CODES } from "../output.js";
import { watchInterrupts } from "./interrupts.js";
import type { Env } from "./plan.js";
import { generationReport, taskReport, usageOfTask } from "./report.js";

export const REPORT_FILE = "report.json";

/** Why a task is skipped under --shared-result-dir. */
const ALREADY_SOLVED = "already-solved";

export interface RunObserver {
  /** A line that was just written to a task's log. */
  line(task: string, line: IdentifiedLine): void;
  /** Something for a person. */
  say(text: string): void;
  /** A task's place in the run changed. */
  task(task: string, state: "started" | "finished", report?: TaskReport): void;
}

export interface RunOutcome {
  report: GenerationReport;
  exitCode: number;
}

export interface RunOptions {
  env: Env;
  observer: RunObserver;
  /** Postgres with its password, which config.json does not hold. */
  checkpointUrl?: string | undefined;
  /** Other live handles than the environment's, for the demo and for tests. */
  capabilities?: Partial<Capabilities>;
  /** Another saver than the one that the configuration names. */
  checkpointer?: typeof openCheckpointer;
}

/** Begins a run in a new folder. Throws SparkError `run-exists` when the name is taken. */
export async function startRun(outDir: string, config: RunConfig, options: RunOptions): Promise<RunOutcome> {
  const runDir = resolve(outDir, config.run);
  if (existsSync(runDir))
    throw new SparkError(`${runDir} exists already; resume it with --resume ${config.run}, or choose another --run-name`, {
      code: "run-exists",
    });
  await makeRunDirectory(runDir);
  await writeRunConfig(runDir, config);
  try {
    return await driveRun(runDir, config, options);
  } catch (error) {
    // Nothing has begun: the name stays free for the same command.
    if (SparkError.isInstance(error) && error.code === "checkpointer-missing") await rm(runDir, { recursive: true, force: true });
    throw error;
  }
}

/** Goes on with a run; one that is finished is not touched and gives the same report. `changed` overrides caps and parallelism from now on. */
export async function resumeRun(
  runDir: string,
  changed: Partial<Pick<RunConfig, "maxCostUsd" | "maxTokens" | "maxTaskCostUsd" | "maxTaskTokens" | "parallel" | "settings">>,
  options: RunOptions,
): Promise<RunOutcome> {
  const config = { ...(await readRunConfig(runDir)), ...changed };
  const finished = await finishedReport(runDir);
  if (finished !== null) {
    options.observer.say(`run: ${runDir}`);
    return { report: finished, exitCode: exitCodeOf(finished, 130) };
  }
  await rm(join(runDir, CANCEL_FILE), { force: true });
  if (Object.keys(changed).length > 0) await writeRunConfig(runDir, config);
  return driveRun(runDir, config, options);
}

/** Whether an error broke a task off on its way: a resume goes on there. Every other one ended the task and stands in its records. */
function isBrokenOff(error: TaskReport["error"]): boolean {
  if (error === null || !(error.code in errorKinds) || error.code === "task-unsupported" || error.code === "skill-missing") return false;
  const kind = errorKinds[error.code as keyof typeof errorKinds];
  return stopsTheRun(error.code) || (kind !== "provider" && kind !== "environment");
}

/** The report of a run in which nothing is left to do. */
export async function finishedReport(runDir: string): Promise<GenerationReport | null> {
  const text = await readFile(join(runDir, REPORT_FILE), "utf8").catch(() => null);
  if (text === null) return null;
  const parsed = generationReportSchema.safeParse(JSON.parse(text));
  if (!parsed.success || parsed.data.stoppedBy !== null || parsed.data.tasks.some(({ error }) => isBrokenOff(error))) return null;
  return parsed.data;
}

async function driveRun(
  runDir: string,
  config: RunConfig,
  { env, observer, checkpointUrl, capabilities: given, checkpointer: open = openCheckpointer }: RunOptions,
): Promise<RunOutcome> {
  observer.say(`run: ${runDir}`);
  const lock = await lockRun(runDir);
  const runsDir = resolve(runDir, "..");
  const providers = lazyProviders(env);
  const interrupts = watchInterrupts(runDir, {
    stopping: (how) =>
      observer.say(
        `stopping (${how}): waiting for the running step, at most 5 s; press Ctrl-C again to stop at once and remove this run's containers`,
      ),
    force: (code) => void forceStop(config.run, providers).finally(() => process.exit(code)),
  });
  try {
    const checkpointer = await open(runDir, checkpointUrl ?? config.checkpoint);
    try {
      const spent = (await Promise.all(config.tasks.map(({ task }) => usageOfTask(runDir, task)))).reduce(addUsage, noUsage);
      const runBudget = createRunBudget({ maxCostUsd: config.maxCostUsd, maxTokens: config.maxTokens }, spent);
      const priced = new Map(
        (["teacher", "summary"] as const).map((role) => [
          specOf(role, config.settings, config.models, env).model,
          costUsdOf(specOf(role, config.settings, config.models, env), env, config.prices),
        ]),
      );
      const limit = pLimit(config.parallel);
      const budgets = new Map<string, ReturnType<typeof createRunBudget>>();
      const settled = await Promise.allSettled(
        config.tasks.map((entry) =>
          limit(async () => {
            const log = new RunLog({
              runsDir,
              redact: createCapabilities({ env, models: config.models }).redact,
              costUsd: (model, tokens) => priced.get(model)?.(tokens) ?? null,
              explorationConfig: {
                model: config.settings.model,
                agent: config.settings.agent,
                summary_model: config.settings.summaryModel,
                max_retries: config.settings.maxAttempts,
                pdi: config.settings.pdi,
              },
              onLine: (line) => observer.line(entry.task, line),
            });
            const budget = createRunBudget(
              { maxCostUsd: config.maxTaskCostUsd, maxTokens: config.maxTaskTokens },
              await usageOfTask(runDir, entry.task),
              runBudget,
            );
            budgets.set(entry.task, budget);
            const capabilities = {
              ...createCapabilities({ env, runsDir, models: config.models, prices: config.prices, budget }),
              ...sandboxOf(providers),
              ...given,
            };
            const graph = compileObserved(createSkillGenerationGraph(capabilities), {
              name: "skill-generation",
              checkpointer: checkpointer.saver,
              log,
            });
            return driveTask({ runDir, config, entry, graph, log, interrupts, observer, budget });
          }),
        ),
      );
      // Only now: the saver stays open while a task still works.
      const broken = settled.find((result) => result.status === "rejected");
      if (broken !== undefined) throw failureOf(broken.reason, runDir);
      const reports = settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
      const capped = reports.find(({ error }) => error?.code === "budget-reached");
      const stoppedBy = interrupts.stoppedBy() ?? (capped === undefined ? null : (budgets.get(capped.task)?.reached() ?? "cost"));
      const report = generationReport(runDir, config, reports, stoppedBy);
      await writeAtomically(join(runDir, REPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
      if (stoppedBy !== null)
        observer.say(
          `stopped by ${stoppedBy}; resume with: spark-skills generate --resume ${runDir}${config.settings.leaseSec > 0 && config.settings.sandbox !== "virtual" ? ` (an attempt's Docker container is kept for ${config.settings.leaseSec} s)` : ""}`,
        );
      return { report, exitCode: exitCodeOf(report, interrupts.exitCode()) };
    } finally {
      await checkpointer.close();
    }
  } finally {
    interrupts.dispose();
    await lock.release();
  }
}

const sandboxOf = (providers: ReturnType<typeof lazyProviders>): Pick<Capabilities, "sandbox"> => ({
  sandbox: async (choice, task) => (await import("../../tools/sandbox/select.js")).selectSandbox(choice, task, providers),
});

interface TaskDrive {
  runDir: string;
  config: RunConfig;
  entry: RunConfig["tasks"][number];
  graph: ReturnType<ReturnType<typeof createSkillGenerationGraph>["compile"]>;
  log: RunLog;
  interrupts: ReturnType<typeof watchInterrupts>;
  observer: RunObserver;
  /** The task's own, with the run's as its parent. */
  budget: ReturnType<typeof createRunBudget>;
}

/** What a failure means for the task that it broke off. The saver knows a full disk by its own code. */
function failureOf(error: unknown, runDir: string): SparkError {
  if (SparkError.isInstance(error)) return error;
  const isDisk = /^(SQLITE_(FULL|IOERR|READONLY|CANTOPEN)|ENOSPC|EDQUOT|EROFS)/.test((error as { code?: string } | null)?.code ?? "");
  return isDisk
    ? new SparkError(`cannot write ${runDir}: ${messageOf(error)}; free space or make the folder writable, then resume the run`, {
        code: "disk",
        cause: error,
      })
    : new SparkError(messageOf(error), { code: "internal", cause: error });
}

async function driveTask({ runDir, config, entry, graph, log, interrupts, observer, budget }: TaskDrive): Promise<TaskReport> {
  const address = { run: config.run, task: entry.task };
  const invocation = { configurable: { thread_id: threadIdOf(address) } };
  const before = await graph.getState(invocation);
  const state = (before.values ?? {}) as Partial<SkillGenerationState>;
  const report = async (values: Partial<SkillGenerationState>, failure: SparkError | null) =>
    taskReport(runDir, entry, values, await usageOfTask(runDir, entry.task), failure);
  const begun = before.createdAt !== undefined;
  if (entry.skipped !== null) return report(state, null);
  if (begun && before.next.length === 0) {
    await log.reconcile(address, state, { finished: true });
    return report(state, null);
  }
  const solver = await solvedElsewhere(config, entry);
  if (solver !== null) return { ...(await report({}, null)), status: "skipped", error: { code: ALREADY_SOLVED, message: solver } };
  if (interrupts.stoppedBy() !== null) return report(state, null);
  if (budget.reached() !== null)
    return report(state, new SparkError(`the cap on ${budget.reached()} is reached; resume with a higher one`, { code: "budget-reached" }));
  let failure: SparkError | null = null;
  try {
    if (begun) {
      const { digest } = await readTask(entry.dir);
      if (digest !== entry.digest)
        return report(
          state,
          new SparkError(
            `${entry.dir} has changed since this run began; rewards of two versions are never mixed: restore it or begin a new run`,
            { code: "task-invalid" },
          ),
        );
      await log.reconcile(address, state);
    }
    observer.task(entry.task, "started");
    await graph.invoke(begun ? null : { task: entry.dir }, {
      ...invocation,
      context: config.settings,
      signal: interrupts.signal,
      control: interrupts.control(),
      runName: `skill-generation ${entry.task}`,
      tags: [`run:${config.run}`, `task:${entry.task}`],
      metadata: { run: config.run, task: entry.task },
    } as never);
  } catch (error) {
    if (SparkError.isInstance(error) || (!isGraphDrained(error) && !interrupts.signal.aborted)) failure = failureOf(error, runDir);
  }
  const stopped = interrupts.stoppedBy();
  if (stopped !== null || failure?.code === "budget-reached")
    await log.write(address, { type: "run_stop", id: `run_stop:${Date.now()}`, reason: stopped ?? budget.reached() ?? "cost" });
  const values = ((await graph.getState(invocation)).values ?? {}) as Partial<SkillGenerationState>;
  const finished = await report(values, stopped === null ? failure : null);
  await rememberSolved(config, entry, finished);
  observer.task(entry.task, "finished", finished);
  return finished;
}

/** `--shared-result-dir`: a task that another model has solved is skipped. */
async function solvedElsewhere(config: RunConfig, { task }: RunConfig["tasks"][number]): Promise<string | null> {
  if (config.sharedResultDir === null) return null;
  const text = await readFile(join(config.sharedResultDir, `${task}.json`), "utf8").catch(() => null);
  if (text === null) return null;
  const { run, model } = JSON.parse(text) as { run: string; model: string };
  return run === config.run ? null : `already solved by ${model} in run ${run} (${config.sharedResultDir})`;
}

async function rememberSolved(config: RunConfig, { task }: RunConfig["tasks"][number], report: TaskReport): Promise<void> {
  if (config.sharedResultDir === null || report.status !== "solved") return;
  await writeAtomically(
    join(config.sharedResultDir, `${task}.json`),
    `${JSON.stringify({ task, run: config.run, model: config.settings.model, skill: report.skill }, null, 2)}\n`,
  );
}

/** Second Ctrl-C: nothing of this run stays. Where no engine answers there is nothing to remove. */
async function forceStop(run: string, providers: ReturnType<typeof lazyProviders>): Promise<void> {
  await providers
    .docker()
    .then((docker) => docker.removeRun(run))
    .catch(messageOf);
}

/**
 * design.md section 7: a signal, a reached budget, then 0 whenever something was scored, then what prevented it, else 1. A full disk has
 * stopped the run like a budget, so it comes before what was scored.
 */
export function exitCodeOf(report: GenerationReport, signalCode: 130 | 143): number {
  if (report.stoppedBy === "signal") return signalCode;
  if (report.stoppedBy === "cancel") return 130;
  if (report.stoppedBy !== null) return EXIT_CODES.budget;
  if (report.tasks.some(({ error }) => error?.code === "disk")) return EXIT_CODES.environment;
  if (report.tasks.some(({ attempts }) => attempts > 0)) return 0;
  const kinds = report.tasks.flatMap(({ error }) =>
    error && error.code in errorKinds ? [errorKinds[error.code as keyof typeof errorKinds] as ErrorKind] : [],
  );
  if (kinds.includes("usage") && report.tasks.every(({ status }) => status !== "skipped")) return EXIT_CODES.usage;
  if (kinds.includes("provider")) return EXIT_CODES.provider;
  if (kinds.includes("environment")) return EXIT_CODES.environment;
  if (report.tasks.length > 0 && report.tasks.every(({ status }) => status === "skipped"))
    return report.tasks.some(({ error }) => error?.code === ALREADY_SOLVED) ? 0 : EXIT_CODES.usage;
  return EXIT_CODES.error;
}
