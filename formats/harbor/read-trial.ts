import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { SparkError } from "../../state/errors.js";
import type { Usage } from "../../state/model.js";
import { absentAs } from "./absent-as.js";
import { scalarReward } from "./reward.js";
import { OWN_KEY } from "./trial-result.js";

/** A trial directory of Harbor's (any version) or ours, as far as we use it. Dates stand as written: old ones have no zone. */
export interface TrialReading {
  dir: string;
  trialName: string;
  taskName: string;
  /** Dataset, null when there is none. */
  source: string | null;
  agent: { name: string; version: string; modelName: string | null };
  /** False when the trial has no result.json: it runs, or was cut off. */
  finished: boolean;
  rewards: Record<string, number> | null;
  /** By the rule of reward.ts; null when unscored. */
  reward: number | null;
  exception: { type: string; message: string } | null;
  startedAt: string | null;
  finishedAt: string | null;
  durationMs: number | null;
  /** Null when the agent reported none. */
  usage: Usage | null;
  /** Our own extra keys, null in Harbor's directories. */
  own: Record<string, unknown> | null;
}

/** A job directory. Counts are those of result.json under either spelling, else of the trials found. */
export interface JobReading {
  dir: string;
  name: string;
  startedAt: string | null;
  /** Null while it runs. */
  finishedAt: string | null;
  totalTrials: number;
  completedTrials: number;
  erroredTrials: number;
  /** By trial name. */
  trials: TrialReading[];
}

/** Depth below a job in which trials are looked for: job names may contain slashes. */
const MAX_DEPTH = 5;

const date = z.string().nullish();
const amount = z.number().nullish();
const contextSchema = z
  .looseObject({ n_input_tokens: amount, n_cache_tokens: amount, n_output_tokens: amount, cost_usd: amount })
  .nullish();
const trialResultSchema = z.looseObject({
  trial_name: z.string(),
  task_name: z.string().nullish(),
  source: z.string().nullish(),
  agent_info: z
    .looseObject({
      name: z.string().nullish(),
      version: z.string().nullish(),
      model_info: z.looseObject({ name: z.string().nullish(), provider: z.string().nullish() }).nullish(),
    })
    .nullish(),
  agent_result: contextSchema,
  verifier_result: z.looseObject({ rewards: z.record(z.string(), z.unknown()).nullish() }).nullish(),
  exception_info: z.looseObject({ exception_type: z.string().nullish(), exception_message: z.string().nullish() }).nullish(),
  started_at: date,
  finished_at: date,
  step_results: z.array(z.looseObject({ agent_result: contextSchema })).nullish(),
  [OWN_KEY]: z.record(z.string(), z.unknown()).nullish(),
});
type TrialResultWire = z.infer<typeof trialResultSchema>;
const trialConfigSchema = z.looseObject({
  trial_name: z.string(),
  task: z.looseObject({ path: z.string().nullish(), name: z.string().nullish(), source: z.string().nullish() }).nullish(),
  agent: z.looseObject({ name: z.string().nullish(), model_name: z.string().nullish() }).nullish(),
});
const statsSchema = z.looseObject({ n_completed_trials: amount, n_errored_trials: amount, n_trials: amount, n_errors: amount });
const jobResultSchema = z.looseObject({
  n_total_trials: amount,
  started_at: date,
  finished_at: date,
  stats: statsSchema.nullish(),
  trial_results: z.array(z.unknown()).nullish(),
});

/** Reads a trial directory; one without result.json gives what config.json says. Throws SparkError `file-missing` or `file-invalid`. */
export async function readTrial(dir: string): Promise<TrialReading> {
  const absolute = resolve(dir);
  const result = await jsonOf(join(absolute, "result.json"));
  if (result !== null) {
    const parsed = trialResultSchema.safeParse(result);
    if (!parsed.success) throw invalid(join(absolute, "result.json"), "a trial", parsed.error);
    return fromResult(absolute, parsed.data);
  }
  const config = await jsonOf(join(absolute, "config.json"));
  if (config === null) throw new SparkError(`no trial in ${dir}: it has neither result.json nor config.json`, { code: "file-missing" });
  const parsed = trialConfigSchema.safeParse(config);
  if (!parsed.success) throw invalid(join(absolute, "config.json"), "a trial", parsed.error);
  return fromConfig(absolute, parsed.data);
}

/**
 * Reads a job directory: its result.json when there is one, and every trial below it, also of nested job names and of a trial that was
 * flattened into the job's own directory. Throws SparkError `file-missing` when there is no trial and no result, `file-invalid` for broken files.
 */
export async function readJob(dir: string): Promise<JobReading> {
  const absolute = resolve(dir);
  const trials = await trialsBelow(absolute, MAX_DEPTH);
  const document = await jsonOf(join(absolute, "result.json"));
  const parsed = jobResultSchema.safeParse(isTrial(document) || document === null ? {} : document);
  if (!parsed.success) throw invalid(join(absolute, "result.json"), "a job", parsed.error);
  const job = parsed.data;
  const known = new Set(trials.map(({ trialName }) => trialName));
  // Old jobs keep their trials in result.json while they run.
  for (const entry of job.trial_results ?? []) {
    const trial = trialResultSchema.safeParse(entry);
    if (trial.success && !known.has(trial.data.trial_name)) trials.push(fromResult(join(absolute, trial.data.trial_name), trial.data));
  }
  if (trials.length === 0 && document === null)
    throw new SparkError(`no job in ${dir}: it has no result.json and no trial below it`, { code: "file-missing" });
  trials.sort((a, b) => (a.trialName < b.trialName ? -1 : 1));
  const finished = trials.filter((trial) => trial.finished);
  return {
    dir: absolute,
    name: basename(absolute),
    startedAt: job.started_at ?? null,
    finishedAt: job.finished_at ?? null,
    totalTrials: job.n_total_trials ?? trials.length,
    completedTrials: job.stats?.n_completed_trials ?? job.stats?.n_trials ?? finished.length,
    erroredTrials: job.stats?.n_errored_trials ?? job.stats?.n_errors ?? finished.filter(({ exception }) => exception !== null).length,
    trials,
  };
}

async function trialsBelow(dir: string, depth: number): Promise<TrialReading[]> {
  if (isTrial(await jsonOf(join(dir, "result.json"))) || isTrial(await jsonOf(join(dir, "config.json")))) return [await readTrial(dir)];
  if (depth === 0) return [];
  const found: TrialReading[] = [];
  for (const entry of await readdir(dir, { withFileTypes: true }).catch(absentAs([])))
    if (entry.isDirectory()) found.push(...(await trialsBelow(join(dir, entry.name), depth - 1)));
  return found;
}

const isTrial = (document: unknown): boolean =>
  typeof document === "object" &&
  document !== null &&
  "trial_name" in document &&
  typeof document.trial_name === "string" &&
  document.trial_name !== "";

function fromResult(dir: string, wire: TrialResultWire): TrialReading {
  const rewards = numbersOf(wire.verifier_result?.rewards);
  const model = wire.agent_info?.model_info;
  return {
    dir,
    trialName: wire.trial_name,
    taskName: wire.task_name ?? wire.trial_name.replace(/__[^_]+$/, ""),
    source: wire.source ?? null,
    agent: {
      name: wire.agent_info?.name ?? "unknown",
      version: wire.agent_info?.version ?? "unknown",
      modelName: model?.name ? (model.provider ? `${model.provider}/${model.name}` : model.name) : null,
    },
    finished: true,
    rewards,
    reward: rewards && scalarReward(rewards),
    exception: wire.exception_info
      ? { type: wire.exception_info.exception_type ?? "Exception", message: wire.exception_info.exception_message ?? "" }
      : null,
    startedAt: wire.started_at ?? null,
    finishedAt: wire.finished_at ?? null,
    durationMs: durationOf(wire.started_at, wire.finished_at),
    usage: usageOf([wire.agent_result, ...(wire.agent_result ? [] : (wire.step_results ?? []).map((step) => step.agent_result))]),
    own: wire[OWN_KEY] ?? null,
  };
}

function fromConfig(dir: string, wire: z.infer<typeof trialConfigSchema>): TrialReading {
  const path = wire.task?.path
    ?.replace(/[\\/]+$/, "")
    .split(/[\\/]/)
    .at(-1);
  return {
    dir,
    trialName: wire.trial_name,
    taskName: wire.task?.name ?? path ?? wire.trial_name.replace(/__[^_]+$/, ""),
    source: wire.task?.source ?? null,
    agent: { name: wire.agent?.name ?? "unknown", version: "unknown", modelName: wire.agent?.model_name ?? null },
    finished: false,
    rewards: null,
    reward: null,
    exception: null,
    startedAt: null,
    finishedAt: null,
    durationMs: null,
    usage: null,
    own: null,
  };
}

/** The finite numbers of a rewards object; null without any. */
function numbersOf(rewards: Record<string, unknown> | null | undefined): Record<string, number> | null {
  const numbers = Object.entries(rewards ?? {}).filter(
    (entry): entry is [string, number] => typeof entry[1] === "number" && Number.isFinite(entry[1]),
  );
  return numbers.length === 0 ? null : Object.fromEntries(numbers);
}

function usageOf(contexts: readonly z.infer<typeof contextSchema>[]): Usage | null {
  const reported = contexts.filter(
    (context) => context && (context.n_input_tokens ?? context.n_output_tokens ?? context.cost_usd ?? null) !== null,
  );
  if (reported.length === 0) return null;
  const sum = (name: "n_input_tokens" | "n_cache_tokens" | "n_output_tokens"): number =>
    reported.reduce((total, context) => total + (context?.[name] ?? 0), 0);
  const costs = reported.map((context) => context?.cost_usd ?? null);
  return {
    inputTokens: sum("n_input_tokens"),
    cachedTokens: sum("n_cache_tokens"),
    outputTokens: sum("n_output_tokens"),
    costUsd: costs.includes(null) ? null : costs.reduce<number>((total, cost) => total + (cost ?? 0), 0),
  };
}

/** Both dates carry a zone or neither does, so the difference is true either way; null when one cannot be read. */
function durationOf(startedAt: string | null | undefined, finishedAt: string | null | undefined): number | null {
  if (!startedAt || !finishedAt) return null;
  const difference = Date.parse(finishedAt) - Date.parse(startedAt);
  return Number.isNaN(difference) ? null : difference;
}

/** A JSON file as Python writes it, NaN and Infinity read as null; null when there is no such file. */
async function jsonOf(path: string): Promise<unknown> {
  if (!(await stat(path).catch(absentAs(null)))?.isFile()) return null;
  const text = await readFile(path, "utf8");
  try {
    return JSON.parse(text);
  } catch {
    try {
      return JSON.parse(text.replace(/("(?:[^"\\]|\\.)*")|-?\bInfinity\b|\bNaN\b/g, (_, string: string | undefined) => string ?? "null"));
    } catch (error) {
      throw new SparkError(`${path} is not JSON: it may have been cut off; remove it or run the trial again`, {
        code: "file-invalid",
        cause: error,
      });
    }
  }
}

const invalid = (path: string, what: string, error: z.ZodError): SparkError => {
  const issue = error.issues[0]!;
  return new SparkError(`${path} is no result of ${what}: ${issue.path.join(".") || "document"}: ${issue.message}`, {
    code: "file-invalid",
    cause: error,
  });
};
