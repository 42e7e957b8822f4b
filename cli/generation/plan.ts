import { randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { listTasks } from "../../formats/harbor/read-task.js";
import { findSecrets } from "../../formats/redact.js";
import type { RunConfig } from "../../formats/run-config.js";
import { safeName } from "../../formats/run-directory.js";
import { costUsdOf, specOf } from "../../graphs/capabilities.js";
import { priceTable } from "../../metrics/price-table.js";
import { messageOf, SparkError } from "../../state/errors.js";
import { type ModelSpec, modelSpecSchema, type Price, priceSchema } from "../../state/model.js";
import { MAX_INFRASTRUCTURE_RETRIES, type SkillGenerationContext, skillGenerationSettingsSchema } from "../../state/skill-generation.js";
import type { HarborTask } from "../../state/task.js";

export type Env = Readonly<Record<string, string | undefined>>;

/** What the flags of `generate` come to. */
export interface GenerateRequest {
  paths: string[];
  include?: string | undefined;
  exclude?: string | undefined;
  limit?: number | undefined;
  shuffle?: boolean | undefined;
  runName?: string | undefined;
  outDir: string;
  parallel: number;
  settings: SkillGenerationContext;
  modelsFile?: string | undefined;
  pricesFile?: string | undefined;
  budgetsFile?: string | undefined;
  maxCostUsd?: number | undefined;
  maxTokens?: number | undefined;
  sharedResultDir?: string | undefined;
  checkpoint?: string | undefined;
  /** Told of every directory that was to be a task and cannot be read as one. */
  onInvalid?: ((message: string) => void) | undefined;
}

/** Keys of `--budgets FILE`: the character and token budgets of the settings, and caps for one task. */
const budgetsSchema = skillGenerationSettingsSchema
  .pick({
    instructionCharacters: true,
    memoCharacters: true,
    commandsCharacters: true,
    testSummaryCharacters: true,
    agentOutputCharacters: true,
    environmentCharacters: true,
    reflectOutputTokens: true,
    skillOutputTokens: true,
    maxSteps: true,
    maxAttemptTokens: true,
    maxAttemptCostUsd: true,
    attemptTimeoutSec: true,
    commandTimeoutSec: true,
    contextCharacters: true,
    shownCharacters: true,
  })
  .partial()
  .extend({ maxTaskCostUsd: z.number().positive().optional(), maxTaskTokens: z.number().positive().optional() })
  .strict();

/** Reads a YAML or JSON file against a schema. Throws SparkError `file-missing` or `file-invalid` with the place. */
async function readStructured<T extends z.ZodType>(path: string, schema: T, what: string): Promise<z.output<T>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new SparkError(`cannot read ${what} ${path}: ${messageOf(error)}; give the path of a YAML or JSON file`, {
      code: "file-missing",
      cause: error,
    });
  }
  try {
    return schema.parse(parse(text));
  } catch (error) {
    const why =
      error instanceof z.ZodError
        ? error.issues.map((issue) => `${issue.path.join(".") || "(root)"}: ${issue.message}`).join("; ")
        : messageOf(error);
    throw new SparkError(`${what} ${path}: ${why}`, { code: "file-invalid", cause: error });
  }
}

/** Files of the run itself: no task's folder may have their names. */
const RESERVED_NAMES = ["cancel", "checkpoints.sqlite", "config.json", "lock", "report.json"];

const globToRegExp = (glob: string): RegExp =>
  new RegExp(
    `^${glob
      .replace(/[.+^${}()|[\]\\]/g, "\\$&")
      .replace(/\*/g, ".*")
      .replace(/\?/g, ".")}$`,
  );

/** The tasks of a run by the user's filters, each with its folder's name; the second task of a name gets `-2`. */
async function chooseTasks(request: GenerateRequest): Promise<{ task: string; read: HarborTask }[]> {
  const { tasks, invalid } = await listTasks(request.paths);
  // A directory in which nothing is a valid task is the user's mistake; beside valid ones, a broken one is named and left out.
  if (tasks.length === 0 && invalid[0] !== undefined) throw invalid[0].error;
  for (const { error } of invalid) request.onInvalid?.(messageOf(error));
  const isWanted = ({ directory }: HarborTask) =>
    (request.include === undefined || globToRegExp(request.include).test(directory)) &&
    (request.exclude === undefined || !globToRegExp(request.exclude).test(directory));
  const wanted = tasks.filter(isWanted);
  if (wanted.length === 0)
    throw new SparkError(
      `no task is left after -t ${request.include ?? "*"} and -x ${request.exclude ?? "(none)"}; there are: ${tasks.map((t) => t.directory).join(", ")}`,
      { code: "usage" },
    );
  if (request.shuffle) wanted.sort(() => Math.random() - 0.5);
  const used = new Set<string>(RESERVED_NAMES);
  return wanted.slice(0, request.limit ?? wanted.length).map((read) => {
    const name = safeName(read.directory);
    let task = name;
    for (let copy = 2; used.has(task); copy += 1) task = `${name}-${copy}`;
    used.add(task);
    return { task, read };
  });
}

/** `2026-11-21_14-03-07_a1b2`: sorts by time, never twice. Holds no `--`. */
export const newRunName = (now: Date): string =>
  `${now.toISOString().slice(0, 19).replace("T", "_").replaceAll(":", "-")}_${randomBytes(2).toString("hex")}`;

/** Turns a request into what is written to config.json; starts nothing. Throws SparkError for every misuse. */
export async function planRun(request: GenerateRequest, env: Env): Promise<RunConfig> {
  const run = request.runName ?? newRunName(new Date());
  if (run !== safeName(run) || run.includes("--"))
    throw new SparkError(`--run-name ${run}: use letters, digits, dots, single hyphens and underscores`, { code: "usage" });
  const budgets = request.budgetsFile === undefined ? {} : await readBudgets(request.budgetsFile);
  const models = request.modelsFile === undefined ? [] : await readModels(request.modelsFile);
  const prices =
    request.pricesFile === undefined ? {} : await readStructured(request.pricesFile, z.record(z.string(), priceSchema), "--prices");
  const { maxTaskCostUsd, maxTaskTokens, ...limits } = budgets;
  const parsed = skillGenerationSettingsSchema.safeParse({ ...limits, ...request.settings });
  if (!parsed.success)
    throw new SparkError(parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`).join("; "), { code: "usage" });
  const settings = parsed.data;
  settings.model = specOf("teacher", settings, models, env).name;
  if (settings.summaryModel === "") settings.summaryModel = settings.model;
  const maxCostUsd = request.maxCostUsd ?? null;
  if (maxCostUsd !== null || maxTaskCostUsd !== undefined) demandPrices(settings, models, prices, env);
  const chosen = await chooseTasks(request);
  return {
    version: 1,
    run,
    startedAt: new Date().toISOString(),
    tasks: chosen.map(({ task, read }) => ({ task, dir: read.dir, name: read.name, digest: read.digest, skipped: unsupportedText(read) })),
    settings,
    models,
    prices,
    parallel: request.parallel,
    maxCostUsd,
    maxTokens: request.maxTokens ?? null,
    maxTaskCostUsd: maxTaskCostUsd ?? null,
    maxTaskTokens: maxTaskTokens ?? null,
    sharedResultDir: request.sharedResultDir === undefined ? null : resolve(request.sharedResultDir),
    checkpoint: request.checkpoint === undefined ? null : withoutPassword(request.checkpoint),
    priceTable: { ...priceTable },
  };
}

/** The password of a database URL is not written down; a resume reads it from PGPASSWORD or --checkpoint. */
function withoutPassword(url: string): string {
  if (!URL.canParse(url))
    throw new SparkError(`--checkpoint ${url}: expected a URL such as postgres://user@host:5432/database`, { code: "usage" });
  const parsed = new URL(url);
  parsed.password = "";
  return parsed.href;
}

/** Entries of a models file, a list or `models:` with a list. */
export async function readModels(path: string): Promise<ModelSpec[]> {
  // Not a union: its errors would name neither the entry nor the key.
  const listed = (value: unknown) => (Array.isArray(value) ? value : ((value as { models?: unknown } | null)?.models ?? value));
  const read = await readStructured(path, z.preprocess(listed, z.array(modelSpecSchema).min(1)), "--models");
  for (const { name, options } of read)
    for (const [header, value] of Object.entries(options?.headers ?? {}))
      if (findSecrets(value).length > 0)
        throw new SparkError(
          `--models ${path}: header ${header} of ${name} holds a secret; put it into a variable and write \${NAME} here`,
          { code: "file-invalid" },
        );
  return read;
}

/** Budgets of the settings, and the caps for one task. */
export const readBudgets = (path: string): Promise<z.output<typeof budgetsSchema>> => readStructured(path, budgetsSchema, "--budgets");

/** Throws SparkError `price-unknown` when a cap in dollars could not be kept. */
export function demandPrices(
  settings: RunConfig["settings"],
  models: readonly ModelSpec[],
  prices: Readonly<Record<string, Price>>,
  env: Env,
): void {
  for (const role of ["teacher", "summary"] as const) {
    const spec = specOf(role, settings, models, env);
    if (costUsdOf(spec, env, prices)({ inputTokens: 1, cachedTokens: 0, outputTokens: 1 }) === null)
      throw new SparkError(
        `the price of model ${spec.model} is unknown, so a cap in dollars cannot be kept; give its price with --prices FILE, or cap tokens with --max-tokens`,
        { code: "price-unknown" },
      );
  }
}

const unsupportedText = ({ unsupported }: HarborTask): string | null =>
  unsupported.length === 0 ? null : unsupported.map(({ key, reason, fix }) => `${key}: ${reason}; ${fix}`).join("; ");

/** Room for the fixed text of a prompt. */
const PROMPT_TOKENS = 8_000;

/** What a run would do, and an upper bound of its cost. */
export function describePlan(config: RunConfig, env: Env): { text: string; maxCostUsd: number | null; tasks: string[] } {
  const { settings } = config;
  const runnable = config.tasks.filter(({ skipped }) => skipped === null);
  const priceOfRole = (role: "teacher" | "summary") => costUsdOf(specOf(role, settings, config.models, env), env, config.prices);
  // The dearest split of an attempt's tokens: everything as input or everything as output.
  const dearest = (cost: ReturnType<typeof costUsdOf>, tokens: number) => {
    const all = [
      cost({ inputTokens: tokens, cachedTokens: 0, outputTokens: 0 }),
      cost({ inputTokens: 0, cachedTokens: 0, outputTokens: tokens }),
    ];
    return all.includes(null) ? null : Math.max(...(all as number[]));
  };
  const attempt = dearest(priceOfRole("teacher"), settings.maxAttemptTokens);
  // No token is shorter than a character, so the character budgets bound what is shown.
  const reflectTokens =
    settings.instructionCharacters +
    settings.memoCharacters +
    settings.commandsCharacters +
    settings.testSummaryCharacters +
    PROMPT_TOKENS +
    settings.reflectOutputTokens;
  const distillTokens =
    settings.instructionCharacters +
    settings.agentOutputCharacters +
    settings.memoCharacters +
    settings.environmentCharacters +
    PROMPT_TOKENS +
    2 * settings.skillOutputTokens;
  const replies = dearest(priceOfRole("summary"), reflectTokens * 2 * settings.maxAttempts + distillTokens * 6);
  const capped = (cost: number, cap: number | null) => (cap === null ? cost : Math.min(cost, cap));
  // Each attempt may be executed again after infrastructure failures.
  const executions = settings.maxAttempts * (1 + MAX_INFRASTRUCTURE_RETRIES);
  const perTask =
    attempt === null || replies === null
      ? null
      : capped(capped(attempt, settings.maxAttemptCostUsd) * executions + replies, config.maxTaskCostUsd);
  const maxCostUsd = perTask === null ? null : capped(perTask * runnable.length, config.maxCostUsd);
  const text = [
    `run ${config.run}: ${runnable.length} task(s), up to ${settings.maxAttempts} attempts each, ${config.parallel} at a time, teacher ${settings.model}, summary ${settings.summaryModel}`,
    ...config.tasks.map(({ task, dir, skipped }) => `  ${task}  ${dir}${skipped === null ? "" : `  skipped: ${skipped}`}`),
    maxCostUsd === null
      ? "upper bound of the cost: unknown (no price for a model; see --prices)"
      : `upper bound of the cost: $${maxCostUsd.toFixed(2)}`,
  ].join("\n");
  return { text, maxCostUsd, tasks: runnable.map(({ task }) => task) };
}
