import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { TaskReport } from "../formats/generation-report.js";
import { CONFIG_FILE, type RunConfig, readRunConfig } from "../formats/run-config.js";
import { createCapabilities } from "../graphs/capabilities.js";
import { SparkError } from "../state/errors.js";
import type { SkillGenerationContext } from "../state/skill-generation.js";
import { demandPrices, describePlan, type Env, planRun, readBudgets } from "./generation/plan.js";
import { gridProgress, plainProgress } from "./generation/progress.js";
import { finishedReport, type RunObserver, resumeRun, startRun } from "./generation/run.js";
import type { Output } from "./output.js";

/** Flags of `generate` as commander parses them. */
export interface GenerateFlags {
  path?: string[];
  taskName?: string;
  excludeTaskName?: string;
  nTasks?: number;
  model?: string;
  summaryModel?: string;
  models?: string;
  nAttempts?: number;
  nConcurrent?: number;
  outputDir: string;
  runName?: string;
  pdi?: SkillGenerationContext["pdi"];
  pdiMethod?: SkillGenerationContext["pdiMethod"];
  sandbox?: SkillGenerationContext["sandbox"];
  verifier?: SkillGenerationContext["verifier"];
  preflight: boolean;
  timeoutMultiplier?: number;
  maxSteps?: number;
  budgets?: string;
  shuffle?: boolean;
  sharedResultDir?: string;
  maxCostUsd?: number;
  prices?: string;
  maxTokens?: number;
  showVerifier?: boolean;
  allowEnv?: string[];
  lease?: number;
  checkpoint?: string;
  resume?: string;
  dryRun?: boolean;
  outputFormat?: "text" | "json" | "stream-json";
}

/** Leaves out what was not given, so that defaults stand in one place: the settings schema. */
const given = <T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;

export async function runGenerate(flags: GenerateFlags, env: Env, output: Output): Promise<number> {
  const stream = flags.outputFormat === "stream-json";
  if (flags.resume !== undefined) return resume(flags, flags.resume, env, output);
  if (!flags.path?.length) throw new SparkError("name at least one task directory with -p, or a run with --resume", { code: "usage" });
  const settings = given({
    model: flags.model,
    summaryModel: flags.summaryModel,
    maxAttempts: flags.nAttempts,
    pdi: flags.pdi,
    pdiMethod: flags.pdiMethod,
    sandbox: flags.sandbox,
    verifier: flags.verifier,
    preflight: flags.preflight,
    timeoutMultiplier: flags.timeoutMultiplier,
    maxSteps: flags.maxSteps,
    showVerifier: flags.showVerifier,
    allowEnv: flags.allowEnv,
    leaseSec: flags.lease,
  }) as SkillGenerationContext;
  const notes: string[] = [];
  const config = await planRun(
    {
      paths: flags.path,
      include: flags.taskName,
      exclude: flags.excludeTaskName,
      limit: flags.nTasks,
      shuffle: flags.shuffle,
      runName: flags.runName,
      outDir: flags.outputDir,
      parallel: flags.nConcurrent ?? 1,
      settings,
      modelsFile: flags.models,
      pricesFile: flags.prices,
      budgetsFile: flags.budgets,
      maxCostUsd: flags.maxCostUsd,
      maxTokens: flags.maxTokens,
      sharedResultDir: flags.sharedResultDir,
      checkpoint: flags.checkpoint,
      onInvalid: (message) => void notes.push(`left out: ${message}`),
    },
    env,
  );
  if (flags.dryRun) return printPlan(config, resolve(flags.outputDir, config.run), env, output);
  for (const { task, skipped } of config.tasks) if (skipped !== null) notes.push(`${task}: skipped: ${skipped}`);
  await demandModels(config, env);
  return watched({ tasks: config.tasks.map(({ task }) => task), notes }, output, stream, (observer) =>
    startRun(flags.outputDir, config, { env, observer, checkpointUrl: flags.checkpoint }),
  );
}

/** What would run, as text or as an object with the keys of a report's tasks. */
function printPlan(config: RunConfig, dir: string, env: Env, output: Output): number {
  const { text, maxCostUsd } = describePlan(config, env);
  const tasks = config.tasks.map(({ task, name, skipped }) => ({
    task,
    name,
    status: skipped === null ? "planned" : "skipped",
    error: skipped === null ? null : { code: "task-unsupported", message: skipped },
  }));
  output.data(output.json ? JSON.stringify({ run: config.run, dir, dryRun: true, tasks, maxCostUsd }) : text);
  return 0;
}

/** Flags that a resume takes; a run's other settings are what it was begun with. */
const RESUMABLE = new Set([
  "resume",
  "outputDir",
  "maxCostUsd",
  "maxTokens",
  "budgets",
  "nConcurrent",
  "allowEnv",
  "lease",
  "checkpoint",
  "dryRun",
  "json",
  "outputFormat",
]);

async function resume(flags: GenerateFlags, name: string, env: Env, output: Output): Promise<number> {
  const ignored = Object.entries(flags).filter(
    ([flag, value]) => !RESUMABLE.has(flag) && value !== undefined && !(flag === "preflight" && value === true),
  );
  if (ignored.length > 0)
    throw new SparkError(
      `--resume goes on with the settings of the run, so ${ignored.map(([flag]) => `--${flag.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`).join(", ")} cannot be changed; begin a new run for that`,
      { code: "usage" },
    );
  const runDir = [resolve(name), resolve(flags.outputDir, name)].find((dir) => existsSync(join(dir, CONFIG_FILE)));
  if (runDir === undefined)
    throw new SparkError(
      `no run ${name}: neither ${resolve(name)} nor ${resolve(flags.outputDir, name)} holds a ${CONFIG_FILE}; \`spark-skills runs\` lists what there is`,
      { code: "run-missing" },
    );
  const { maxTaskCostUsd, maxTaskTokens } = flags.budgets === undefined ? {} : await readBudgets(flags.budgets);
  const changed = given({
    maxCostUsd: flags.maxCostUsd,
    maxTokens: flags.maxTokens,
    maxTaskCostUsd,
    maxTaskTokens,
    parallel: flags.nConcurrent,
  });
  const config = await readRunConfig(runDir);
  if (flags.allowEnv !== undefined) config.settings.allowEnv = flags.allowEnv;
  if (flags.lease !== undefined) config.settings.leaseSec = flags.lease;
  if (changed.maxCostUsd !== undefined || changed.maxTaskCostUsd !== undefined)
    demandPrices(config.settings, config.models, config.prices, env);
  if (flags.dryRun) return printPlan({ ...config, ...changed }, runDir, env, output);
  if ((await finishedReport(runDir)) === null) await demandModels(config, env);
  const tasks = config.tasks.map(({ task }) => task);
  return watched({ tasks, notes: [] }, output, flags.outputFormat === "stream-json", (observer) =>
    resumeRun(runDir, { ...changed, settings: config.settings }, { env, observer, checkpointUrl: flags.checkpoint }),
  );
}

/** Throws SparkError `provider-credentials` before a container is started for a model that nobody could ask. */
async function demandModels({ settings, models }: RunConfig, env: Env): Promise<void> {
  const capabilities = createCapabilities({ env, models });
  for (const role of ["teacher", "summary"] as const) await capabilities.model(role, settings);
}

/** Shows a run on the screen while it goes, then prints its report. The notes follow the first line, which names the run's folder. */
async function watched(
  { tasks, notes }: { tasks: string[]; notes: string[] },
  output: Output,
  stream: boolean,
  run: (observer: RunObserver) => ReturnType<typeof startRun>,
): Promise<number> {
  const isGrid = process.stderr.isTTY === true && !output.json && process.env["CI"] === undefined && process.env["TERM"] !== "dumb";
  const grid = isGrid ? await gridProgress(tasks, process.stderr) : null;
  const shown = grid?.observer ?? plainProgress(output.say);
  const say = (text: string) => {
    for (const line of [text, ...notes.splice(0)]) shown.say(line);
  };
  const base: RunObserver = { ...shown, say };
  const observer: RunObserver = stream ? { ...base, line: (task, line) => output.data(JSON.stringify({ task, ...line })) } : base;
  try {
    const { report, exitCode } = await run(observer);
    grid?.dispose();
    await flushTraces();
    output.data(output.json ? JSON.stringify(stream ? { type: "result", ...report } : report) : reportText(report.tasks, report));
    return exitCode;
  } finally {
    grid?.dispose();
  }
}

/** Milliseconds that traces may take after the work is done, and that the result has to be printed once they have not ended in time. */
const TRACES_MS = 5000;
const PRINTING_MS = 500;

/** LangSmith sends in the background; with its endpoint down its retries would hold the process for minutes. */
export async function flushTraces(): Promise<void> {
  const { awaitAllCallbacks } = await import("@langchain/core/callbacks/promises");
  const late = new Promise<boolean>((done) => setTimeout(done, TRACES_MS, true).unref());
  const isLate = await Promise.race([
    awaitAllCallbacks().then(
      () => false,
      () => false,
    ),
    late,
  ]);
  // A process that ends by itself does not wait for this timer.
  if (isLate) setTimeout(() => process.exit(), PRINTING_MS).unref();
}

const money = (costUsd: number | null): string => (costUsd === null ? "cost unknown" : `$${costUsd.toFixed(4)}`);

function reportText(
  tasks: TaskReport[],
  totals: { dir: string; costUsd: number | null; inputTokens: number; outputTokens: number },
): string {
  const rows = tasks.map(
    (task) =>
      `${task.status.padEnd(9)} ${task.task}  attempts ${task.attempts}, reward ${task.reward ?? "-"}, ${money(task.costUsd)}${task.skill === null ? "" : `\n          skill ${task.skill}`}${task.error === null ? "" : `\n          ${task.error.code}: ${task.error.message.slice(0, 500)}`}`,
  );
  return [...rows, `${totals.dir}  ${money(totals.costUsd)}, ${totals.inputTokens} input and ${totals.outputTokens} output tokens`].join(
    "\n",
  );
}
