import { setTimeout as sleep } from "node:timers/promises";
import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { AIMessage, BaseMessage, UsageMetadata } from "@langchain/core/messages";
import { mergeConfigs, type Runnable, type RunnableConfig } from "@langchain/core/runnables";
import { messageOf, SparkError } from "../state/errors.js";
import type { Usage } from "../state/model.js";
import type { ModelHandle, RunBudget } from "./capabilities.js";
import { AnswerEnd, wholeAnswer } from "./streamed-answer.js";

/** Tries after the first for failures that ChatOpenAI does not retry itself (429 without Retry-After, a cut stream). */
const RETRIES = 3;
/** Default pause before the second try; each further one is twice as long. */
const FIRST_PAUSE_MS = 1000;
/** A provider's error text can be 245 kB (spark.md 6.2); a message needs its start. */
const ERROR_CHARACTERS = 600;

export interface ModelAnswer {
  message: AIMessage;
  usage: Usage;
  latencyMs: number;
  /** The provider cut the answer at its output limit. */
  cut: boolean;
}

export interface AskOptions {
  config?: RunnableConfig;
  budget?: RunBudget | undefined;
  /** Tools or output limits bound to the model; default the bare model. */
  bound?: Runnable<BaseMessage[], BaseMessage> | undefined;
  /** Milliseconds before the second try. Default 1,000. */
  firstPauseMs?: number;
}

/**
 * One answer of a model. Refuses at the run's caps, retries what is transient, counts what it cost, and turns whatever the
 * provider threw into a SparkError. An overflow of the context and an abort are thrown as they are: the caller knows what to do.
 */
export async function askModel(handle: ModelHandle, messages: BaseMessage[], options: AskOptions = {}): Promise<ModelAnswer> {
  const runnable = options.bound ?? (handle.model as BaseChatModel);
  for (let attempt = 0; ; attempt += 1) {
    options.budget?.check();
    const started = performance.now();
    const end = new AnswerEnd();
    try {
      const answer = (await runnable.invoke(messages, mergeConfigs(options.config ?? {}, { callbacks: [end] }))) as AIMessage;
      const usage = usageOf(answer, handle);
      // Counted before anything can be wrong with it: it was paid for.
      options.budget?.charge(usage);
      const message = wholeAnswer(answer, end.finishReason);
      return {
        message,
        usage,
        latencyMs: Math.round(performance.now() - started),
        cut: CUT_REASONS.has(String(finishReason(message) ?? end.finishReason)),
      };
    } catch (error) {
      if (SparkError.isInstance(error)) throw error;
      if (options.config?.signal?.aborted || isContextOverflow(error)) throw error;
      if (attempt >= RETRIES || !isTransient(error)) throw providerError(error, handle.id);
      await sleep(
        (options.firstPauseMs ?? FIRST_PAUSE_MS) * 2 ** attempt,
        undefined,
        options.config?.signal ? { signal: options.config.signal } : {},
      );
    }
  }
}

/** What the providers' clients call an answer that ended at the output limit. */
const CUT_REASONS: ReadonlySet<string> = new Set(["length", "max_tokens", "max_output_tokens", "MAX_TOKENS"]);

function finishReason({ response_metadata: metadata }: AIMessage): unknown {
  const incomplete = metadata?.["incomplete_details"] as { reason?: string } | undefined;
  return metadata?.["finish_reason"] ?? metadata?.["stop_reason"] ?? metadata?.["finishReason"] ?? incomplete?.reason;
}

function usageOf(message: AIMessage, handle: ModelHandle): Usage {
  const reported = message.usage_metadata as UsageMetadata | undefined;
  const tokens = {
    inputTokens: reported?.input_tokens ?? 0,
    cachedTokens: reported?.input_token_details?.cache_read ?? 0,
    outputTokens: reported?.output_tokens ?? 0,
  };
  return { ...tokens, costUsd: handle.costUsd(tokens) };
}

interface ProviderFailure {
  status?: number;
  code?: string;
  name?: string;
  lc_error_code?: string;
  rateLimitType?: string;
}

/** The provider says that the conversation does not fit. The conversation can be shortened, so this is no infrastructure failure. */
export function isContextOverflow(error: unknown): boolean {
  const failure = (error ?? {}) as ProviderFailure;
  return (
    failure.name === "ContextOverflowError" ||
    failure.code === "context_length_exceeded" ||
    (failure.status === 400 && /context.{0,20}(length|window)|maximum context|too many tokens/i.test(messageOf(error)))
  );
}

function isTransient(error: unknown): boolean {
  const failure = (error ?? {}) as ProviderFailure;
  if (failure.code === "insufficient_quota" || failure.lc_error_code === "MODEL_AUTHENTICATION") return false;
  if (failure.status === 429 || failure.rateLimitType === "capacity") return true;
  if (failure.status !== undefined && failure.status < 500) return false;
  return (
    failure.status !== undefined ||
    /connection|terminated|timeout|timed out|socket|fetch failed|premature|ECONN|aborted|unexpected end|stream/i.test(
      `${failure.name} ${messageOf(error)}`,
    )
  );
}

function providerError(error: unknown, model: string): SparkError {
  const failure = (error ?? {}) as ProviderFailure;
  const text = messageOf(error).replace(/\s+/g, " ").slice(0, ERROR_CHARACTERS);
  if (failure.status === 401 || failure.status === 403)
    return new SparkError(
      `the provider refused the credentials for model ${model}: ${text}; check OPENAI_API_KEY or the model's apiKeyEnv`,
      { code: "provider-credentials", cause: error },
    );
  if (failure.code === "insufficient_quota")
    return new SparkError(`the account's quota for model ${model} is used up: ${text}; add credit or use another key`, {
      code: "provider-rejected",
      cause: error,
    });
  if (failure.status !== undefined && failure.status >= 400 && failure.status < 500 && failure.status !== 429)
    return new SparkError(
      `the provider rejected a request to model ${model} (HTTP ${failure.status}): ${text}; check the model id and its options`,
      { code: "provider-rejected", cause: error },
    );
  return new SparkError(`model ${model} could not be reached: ${text}; check OPENAI_BASE_URL and the provider's status`, {
    code: "provider-unavailable",
    cause: error,
  });
}
