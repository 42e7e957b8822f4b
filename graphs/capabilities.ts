import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";
import { allowedEnvironment } from "../formats/harbor/env-template.js";
import { createPreflightMemory } from "../formats/preflight-memory.js";
import { createRedactor } from "../formats/redact.js";
import { costOf } from "../metrics/cost.js";
import { priceOf } from "../metrics/price-table.js";
import { SparkError } from "../state/errors.js";
import type { ModelRole, ModelSpec, Price } from "../state/model.js";
import type { SkillGenerationSettings } from "../state/skill-generation.js";
import type { Capabilities, ModelHandle, PromptOverrides, RunBudget } from "../tools/capabilities.js";
import type { SandboxProvider } from "../tools/sandbox/sandbox.js";
import { selectSandbox } from "../tools/sandbox/select.js";
import { mendSandboxWorkers } from "./dev-server-workers.js";

export interface CapabilityOptions {
  /** Default `process.env`. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Default `runs` in the working directory. */
  runsDir?: string;
  /** Entries of `--models FILE`. */
  models?: readonly ModelSpec[];
  /** Prices by model id that win over the table. */
  prices?: Readonly<Record<string, Price>>;
  budget?: RunBudget;
  prompts?: PromptOverrides;
  /** A model of your own for every role instead of an OpenAI-compatible endpoint: any BaseChatModel. */
  model?: Capabilities["model"];
  /** Sandboxes of your own instead of Docker and the embedded one. */
  sandbox?: Capabilities["sandbox"];
}

/** The composition root: makes the live handles that nodes need from the environment. Loads Docker and model clients when they are first used. */
export function createCapabilities(options: CapabilityOptions = {}): Capabilities {
  const env = options.env ?? process.env;
  const models = options.models ?? [];
  const ownKeys = ["OPENAI_API_KEY", "LANGSMITH_API_KEY", "LANGCHAIN_API_KEY", ...models.flatMap(({ apiKeyEnv }) => apiKeyEnv ?? [])];
  const providers = lazyProviders(env);
  return {
    runsDir: options.runsDir ?? "runs",
    sandbox: options.sandbox ?? ((choice, task) => selectSandbox(choice, task, providers)),
    model:
      options.model ??
      ((role, settings, request) => openModel(specOf(role, settings, models, env), env, options.prices ?? {}, request?.maxOutputTokens)),
    hostEnvironment: (allow) => allowedEnvironment(env, allow, ownKeys),
    ownKeyNames: ownKeys,
    redact: createRedactor(env),
    preflights: createPreflightMemory(join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "spark-skills", "preflight")),
    feedback: (feedback) => sendFeedback(env, feedback),
    ...(options.budget ? { budget: options.budget } : {}),
    ...(options.prompts ? { prompts: options.prompts } : {}),
  };
}

/** One provider of each kind a process, made when it is first asked for. */
export function lazyProviders(env: Readonly<Record<string, string | undefined>>): {
  docker(): Promise<SandboxProvider>;
  virtual(): Promise<SandboxProvider>;
} {
  let docker: Promise<SandboxProvider> | undefined;
  let virtual: Promise<SandboxProvider> | undefined;
  return {
    docker: () => (docker ??= openDocker(env)),
    virtual: () => {
      mendSandboxWorkers();
      virtual ??= import("../tools/sandbox/virtual.js").then(({ createVirtualProvider }) => createVirtualProvider());
      return virtual;
    },
  };
}

/** The engine, after what other processes left past its hard end was removed: every command that uses Docker sweeps first. */
async function openDocker(env: Readonly<Record<string, string | undefined>>): Promise<SandboxProvider> {
  const { createDockerProvider } = await import("../tools/sandbox/docker.js");
  const provider = createDockerProvider({ env });
  if ((await provider.available()).ok) await provider.reap();
  return provider;
}

/** Which model plays a role: the setting, a name of the models file, else SPARK_MODEL. Throws SparkError `model-missing`. */
export function specOf(
  role: ModelRole,
  settings: Partial<SkillGenerationSettings>,
  models: readonly ModelSpec[],
  env: Readonly<Record<string, string | undefined>>,
): ModelSpec {
  const name = (role === "summary" ? settings.summaryModel : "") || settings.model || env["SPARK_MODEL"];
  if (!name) throw new SparkError(`no model for the ${role}: pass -m MODEL or set SPARK_MODEL`, { code: "model-missing" });
  return models.find((spec) => spec.name === name) ?? { name, model: name };
}

/** US dollars of a model's call under the user's prices, else the table's; null when unknown. */
export function costUsdOf(
  spec: ModelSpec,
  env: Readonly<Record<string, string | undefined>>,
  prices: Readonly<Record<string, Price>>,
): ModelHandle["costUsd"] {
  const baseUrl = spec.baseUrl ?? env["OPENAI_BASE_URL"];
  const price = spec.price ?? priceOf(spec.model, prices, { baseUrl });
  return (tokens) => costOf(tokens, price);
}

/** A header of the models file is literal or, for secrets, `${NAME}` of the environment. */
function resolvedHeaders(headers: Record<string, string>, env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => {
      const variable = /^\$\{(\w+)\}$/.exec(value)?.[1];
      const resolved = variable === undefined ? value : env[variable];
      if (resolved === undefined)
        throw new SparkError(`header ${name} asks for the variable ${variable}, which is not set; set it or correct --models`, {
          code: "settings",
        });
      return [name, resolved];
    }),
  );
}

/** Cost by the price table alone, for a log that knows only the model's id. */
export const tableCostUsd = (model: string, tokens: Parameters<ModelHandle["costUsd"]>[0]): number | null => costOf(tokens, priceOf(model));

/** Tries of the client after the first. `askModel` repeats the whole call, so the client's own 6 would make a dead endpoint cost some five minutes. */
const CLIENT_RETRIES = 2;

async function openModel(
  spec: ModelSpec,
  env: Readonly<Record<string, string | undefined>>,
  prices: Readonly<Record<string, Price>>,
  maxOutputTokens: number | undefined,
): Promise<ModelHandle> {
  const baseURL = spec.baseUrl ?? (env["OPENAI_BASE_URL"] || undefined);
  const keyName = spec.apiKeyEnv ?? "OPENAI_API_KEY";
  // Local servers want no key, but the client insists on one.
  const apiKey = env[keyName] || (baseURL === undefined ? undefined : "no-key-needed");
  if (apiKey === undefined)
    throw new SparkError(`no key for model ${spec.model}: set ${keyName}, or OPENAI_BASE_URL for a local server`, {
      code: "provider-credentials",
    });
  const { ChatOpenAI } = await import("@langchain/openai");
  const { temperature, reasoningEffort, maxOutputTokens: specLimit, headers, timeoutMs, maxRetries } = spec.options ?? {};
  const maxTokens =
    maxOutputTokens === undefined ? specLimit : specLimit === undefined ? maxOutputTokens : Math.min(specLimit, maxOutputTokens);
  const model = new ChatOpenAI({
    model: spec.model,
    apiKey,
    configuration: {
      ...(baseURL === undefined ? {} : { baseURL }),
      ...(headers === undefined ? {} : { fetch: fetchWithHeaders(resolvedHeaders(headers, env)) }),
    },
    ...(baseURL === undefined ? {} : { useResponsesApi: false }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(reasoningEffort === undefined ? {} : { reasoning: { effort: reasoningEffort } }),
    ...(maxTokens === undefined ? {} : { maxTokens }),
    ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
    maxRetries: maxRetries ?? CLIENT_RETRIES,
  });
  return { model: model as unknown as ModelHandle["model"], id: spec.model, costUsd: costUsdOf(spec, env, prices) };
}

/** Headers may be secret. The client's own `defaultHeaders` stand as they are in every trace of the model, a function does not. */
const fetchWithHeaders =
  (given: Record<string, string>): typeof fetch =>
  (input, init) => {
    const headers = new Headers(init?.headers);
    for (const [name, value] of Object.entries(given)) headers.set(name, value);
    return fetch(input, { ...init, headers });
  };

/** A refused connection alone is retried for 20 s by LangSmith's client, whatever its options say. */
const FEEDBACK_LIMIT_MS = 5000;

/**
 * Puts the verifier's reward on the attempt's LangSmith run, in the queue of the traces: no attempt waits for it, and what flushes the
 * traces flushes it. Best effort: tracing never decides about a run.
 */
async function sendFeedback(
  env: Readonly<Record<string, string | undefined>>,
  { runId, score, comment }: { runId: string; score: number; comment: string },
): Promise<void> {
  if ((env["LANGSMITH_TRACING"] ?? env["LANGCHAIN_TRACING_V2"]) !== "true") return;
  const [{ Client }, { consumeCallback }] = await Promise.all([import("langsmith"), import("@langchain/core/callbacks/promises")]);
  const client = new Client();
  const projectName = env["LANGSMITH_PROJECT"] ?? env["LANGCHAIN_PROJECT"] ?? "default";
  // A stable id: a repeated execution overwrites its feedback.
  const digest = createHash("sha256").update(`${runId}:verifier_reward`).digest("hex");
  const feedbackId = `${digest.slice(0, 8)}-${digest.slice(8, 12)}-4${digest.slice(13, 16)}-8${digest.slice(17, 20)}-${digest.slice(20, 32)}`;
  const send = async () => {
    const { id: sessionId } = await client.readProject({ projectName });
    await client.createFeedback({ runId, sessionId, key: "verifier_reward", score, comment, feedbackId });
  };
  const limit = () => new Promise<void>((done) => setTimeout(done, FEEDBACK_LIMIT_MS).unref());
  // A LangSmith that is down has nobody to tell it to.
  void consumeCallback(() => Promise.race([send().catch(() => {}), limit()]), false);
}
