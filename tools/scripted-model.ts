import type { CallbackManagerForLLMRun } from "@langchain/core/callbacks/manager";
import type { BaseLanguageModelInput } from "@langchain/core/language_models/base";
import {
  BaseChatModel,
  type BaseChatModelCallOptions,
  type BindToolsInput,
  type LangSmithParams,
} from "@langchain/core/language_models/chat_models";
import { AIMessage, type AIMessageChunk, type BaseMessage, type UsageMetadata } from "@langchain/core/messages";
import type { ChatResult } from "@langchain/core/outputs";
import type { Runnable } from "@langchain/core/runnables";
import { SparkError } from "../state/errors.js";
import { noUsage, type Usage } from "../state/model.js";

/** One answer in parts; what is left out is empty. */
export interface ScriptedMessage {
  text?: string;
  /** Commands for the tool `shell`, one tool call each, before `toolCalls`. */
  commands?: readonly string[];
  toolCalls?: readonly { name: string; args: Record<string, unknown>; id?: string }[];
  /** Calls whose arguments could not be parsed, as a provider delivers them. */
  invalidToolCalls?: readonly { name?: string; args: string; error?: string }[];
  /** Default `tool_calls` or `stop`; `length` is an answer cut at the output limit. */
  finishReason?: string;
  usage?: Partial<Omit<Usage, "costUsd">>;
}

/** A text, an answer in parts, an error to throw, or a function of the conversation that gives one of these. */
export type ScriptedReply =
  | string
  | ScriptedMessage
  | Error
  | ((messages: readonly BaseMessage[], call: number, signal?: AbortSignal) => ScriptedReply | Promise<ScriptedReply>);

export interface ScriptedModelOptions {
  /** Default `scripted`. */
  modelName?: string;
  /** Usage of an answer that names none. Default: nothing was used. */
  usage?: Partial<Omit<Usage, "costUsd">>;
}

/** One call that arrived. */
export interface ScriptedCall {
  messages: BaseMessage[];
  /** Names of the tools that were bound. */
  tools: string[];
}

interface CallOptions extends BaseChatModelCallOptions {
  tools?: BindToolsInput[];
}

/**
 * A chat model that plays a script. Core's `fakeModel` is not enough: it names no model, so nothing can be priced or told apart in a log,
 * and it does not end when its signal aborts.
 */
export class ScriptedModel extends BaseChatModel<CallOptions> {
  readonly modelName: string;
  /** Every call, in order. */
  readonly calls: ScriptedCall[] = [];
  readonly #script: readonly ScriptedReply[] | ScriptedReply;
  readonly #usage: Partial<Omit<Usage, "costUsd">>;

  constructor(script: readonly ScriptedReply[] | ScriptedReply, options: ScriptedModelOptions = {}) {
    super({});
    this.modelName = options.modelName ?? "scripted";
    this.#usage = options.usage ?? {};
    this.#script = script;
  }

  /** Answers of a list that nobody has asked for yet; 0 when one reply answers everything. */
  get remaining(): number {
    return Array.isArray(this.#script) ? Math.max(0, this.#script.length - this.calls.length) : 0;
  }

  override _llmType(): string {
    return "scripted";
  }

  override getLsParams(options: this["ParsedCallOptions"]): LangSmithParams {
    return { ...super.getLsParams(options), ls_provider: "scripted", ls_model_name: this.modelName };
  }

  override bindTools(
    tools: BindToolsInput[],
    kwargs?: Partial<CallOptions>,
  ): Runnable<BaseLanguageModelInput, AIMessageChunk, CallOptions> {
    return this.withConfig({ tools, ...kwargs } as never) as never;
  }

  override async _generate(
    messages: BaseMessage[],
    options: this["ParsedCallOptions"],
    _runManager?: CallbackManagerForLLMRun,
  ): Promise<ChatResult> {
    const call = this.calls.length;
    this.calls.push({ messages: [...messages], tools: (options.tools ?? []).map(nameOfTool) });
    options.signal?.throwIfAborted();
    const reply = Array.isArray(this.#script) ? (this.#script as readonly ScriptedReply[])[call] : (this.#script as ScriptedReply);
    if (reply === undefined)
      // Not a provider's failure: those are retried and written down as replies, and a script that is too short would go unnoticed.
      throw new SparkError(
        `scripted model ${this.modelName}: call ${call + 1} was not expected, the script has ${(this.#script as readonly unknown[]).length} answers; it was asked: ${messages.at(-1)?.text.slice(0, 300) ?? ""}`,
        { code: "internal" },
      );
    const resolved = await untilAborted(resolveReply(reply, messages, call, options.signal), options.signal);
    if (resolved instanceof Error) throw resolved;
    const message = this.#message(typeof resolved === "string" ? { text: resolved } : resolved, call);
    return { generations: [{ text: message.text, message }] };
  }

  #message(reply: ScriptedMessage, call: number): AIMessage {
    const wanted = [...(reply.commands ?? []).map((command) => ({ name: "shell", args: { command } })), ...(reply.toolCalls ?? [])];
    const calls = wanted.map((toolCall, index) => ({ id: `call_${call}_${index}`, ...toolCall, type: "tool_call" as const }));
    const invalid = (reply.invalidToolCalls ?? []).map((broken, index) => ({
      id: `broken_${call}_${index}`,
      name: "shell",
      error: "Malformed args.",
      ...broken,
      type: "invalid_tool_call" as const,
    }));
    const { inputTokens, cachedTokens, outputTokens } = { ...noUsage, ...this.#usage, ...reply.usage };
    const usage: UsageMetadata = {
      input_tokens: inputTokens,
      output_tokens: outputTokens,
      total_tokens: inputTokens + outputTokens,
      input_token_details: { cache_read: cachedTokens },
    };
    return new AIMessage({
      content: reply.text ?? "",
      tool_calls: calls,
      invalid_tool_calls: invalid,
      response_metadata: {
        model_name: this.modelName,
        finish_reason: reply.finishReason ?? (calls.length + invalid.length > 0 ? "tool_calls" : "stop"),
      },
      // Core types this field as undefined unless the message structure names it.
      usage_metadata: usage as never,
    });
  }
}

/**
 * A model that gives `replies` in order and throws at a call beyond the last. A single reply instead of a list answers every call, most
 * useful as a function of the messages. Calls are recorded in `calls`.
 */
export const createScriptedModel = (replies: readonly ScriptedReply[] | ScriptedReply, options: ScriptedModelOptions = {}): ScriptedModel =>
  new ScriptedModel(replies, options);

async function resolveReply(
  reply: ScriptedReply,
  messages: readonly BaseMessage[],
  call: number,
  signal: AbortSignal | undefined,
): Promise<string | ScriptedMessage | Error> {
  return typeof reply === "function" ? resolveReply(await reply(messages, call, signal), messages, call, signal) : reply;
}

/** What the work gives, or the abort's reason as soon as there is one: a scripted hang ends like a real call. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

function nameOfTool(tool: BindToolsInput): string {
  const named = tool as { name?: string; function?: { name?: string } };
  return named.name ?? named.function?.name ?? "";
}
