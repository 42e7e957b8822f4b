import { resolve } from "node:path";
import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import type { Serialized } from "@langchain/core/load/serializable";
import { type AIMessage, type BaseMessage, ToolMessage, type UsageMetadata } from "@langchain/core/messages";
import type { LLMResult } from "@langchain/core/outputs";
import type { ChainValues } from "@langchain/core/utils/types";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { AttemptRecord } from "../../state/attempt.js";
import { upsert } from "../../state/channels.js";
import { shellArtifactSchema } from "../../state/shell-agent.js";
import { nextAttempt, retriesOfAttempt } from "../../state/skill-generation.js";
import { type RunAddress, TaskDirectory } from "../run-directory.js";
import { type IdentifiedLine, LogFile } from "./log-file.js";
import { type LoggedState, linesOfState, summaryLine } from "./log-lines.js";
import { keysOf, merged, recordsOf, unseen } from "./logged-records.js";
import { readLog } from "./read-log.js";
import { addressFor, conversationOf, ordinal, outside, type Span, Spans } from "./spans.js";
import { writeAttemptsFile } from "./write-attempts.js";

export const RUN_LOG_NAME = "spark-skills-run-log";
export const LOG_FILE = "trajectory.jsonl";

export interface RunLogOptions {
  runsDir: string;
  redact?: (text: string) => string;
  /** US dollars of a call, null when the price is unknown. */
  costUsd?: (model: string, tokens: { inputTokens: number; cachedTokens: number; outputTokens: number }) => number | null;
  /** Stands in the closing line. */
  explorationConfig?: Record<string, unknown>;
  /** Called with every line after it was written; for a screen. */
  onLine?: (line: IdentifiedLine) => void;
}

/**
 * Writes `<runsDir>/<run>/<task>/trajectory.jsonl` from outside: a callback handler that sees what nodes return, which commands ran and
 * what models cost. It recognises our records by their shape, so nodes log alike in our graphs, in Studio and in somebody else's graph.
 * A write that fails stops the run: exceptions in tool hooks would only become tool messages, so the first one is kept and thrown again
 * by the next chain or model hook (engineering/langgraph.md 1.5).
 */
export class RunLog extends BaseCallbackHandler {
  override readonly name = RUN_LOG_NAME;
  override awaitHandlers = true;
  override raiseError = true;
  readonly #options: RunLogOptions;
  readonly #spans: Spans;
  readonly #files = new Map<string, LogFile>();
  /** First failure by the outermost run that it has to stop. */
  readonly #failures = new Map<string, unknown>();

  constructor(options: RunLogOptions) {
    super();
    this.#options = options;
    this.#spans = new Spans(resolve(options.runsDir));
  }

  /** One instance for parent and child: a copy would not know the runs that are open. */
  override copy(): this {
    return this;
  }

  get runsDir(): string {
    return this.#options.runsDir;
  }

  /** Id of the outermost run that a run belongs to. */
  rootOf(runId: string): string | undefined {
    return this.#spans.get(runId)?.root;
  }

  // The type names the parameters in another order than the manager passes them (core 1.2.13), so they are taken as they come.
  override async handleChainStart(...parameters: unknown[]): Promise<void> {
    const [, inputs, runId, parentRunId, , metadata] = parameters as [
      Serialized,
      ChainValues,
      string,
      string?,
      string[]?,
      Record<string, unknown>?,
    ];
    this.#rethrow(this.#spans.get(parentRunId)?.root);
    await this.openChain(runId, parentRunId, inputs, metadata);
  }

  /** {@link handleChainStart} for a node whose graph this log does not see; `outermost` names the run's folder where there is no thread. */
  async openChain(
    runId: string,
    parentRunId: string | undefined,
    inputs: unknown,
    metadata: Record<string, unknown> | undefined,
    outermost?: string,
  ): Promise<void> {
    const span = this.#spans.openChain(runId, parentRunId, inputs, metadata, outermost);
    if (span === undefined || span.node === null) return;
    for (const around of outside(span)) for (const key of keysOf(span.state as LoggedState)) around.seen.add(key);
    if (span.node !== "explore" || span.address === null || !Array.isArray(span.state.attempts)) return;
    const attempts = span.state.attempts as AttemptRecord[];
    await this.#append(span, span.address, [
      { type: "attempt_start", id: `attempt_start:${span.ns}`, attempt: nextAttempt(attempts), retry: retriesOfAttempt(attempts) },
    ]);
  }

  override async handleChainEnd(outputs: ChainValues, runId: string): Promise<void> {
    const span = this.#spans.close(runId);
    if (span === undefined) return;
    try {
      this.#rethrow(span.root);
      if (span.node !== null) await this.#logUpdate(span, outputs);
      if (span.hasNodes) await this.#logSummary(span, outputs);
    } finally {
      if (span.parent === undefined) this.#failures.delete(span.root);
    }
  }

  override handleChainError(_error: unknown, runId: string): void {
    const span = this.#spans.close(runId);
    if (span !== undefined && span.parent === undefined) this.#failures.delete(span.root);
  }

  // A chat model's start is followed by its end under the same id; only who asked has to be remembered.
  override async handleChatModelStart(
    _model: Serialized,
    _messages: BaseMessage[][],
    runId: string,
    parentRunId?: string,
    _extra?: unknown,
    _tags?: string[],
    metadata?: Record<string, unknown>,
  ): Promise<void> {
    this.#rethrow(this.#spans.get(parentRunId)?.root);
    this.#spans.openCall(runId, parentRunId, metadata);
  }

  override async handleLLMEnd(output: LLMResult, runId: string): Promise<void> {
    const span = this.#spans.close(runId);
    if (span === undefined || span.address === null) return;
    this.#rethrow(span.root);
    const message = (output.generations[0]?.[0] as { message?: AIMessage } | undefined)?.message;
    const usage = message?.usage_metadata as UsageMetadata | undefined;
    const tokens = {
      inputTokens: usage?.input_tokens ?? 0,
      cachedTokens: usage?.input_token_details?.cache_read ?? 0,
      outputTokens: usage?.output_tokens ?? 0,
    };
    const model = String(span.metadata.ls_model_name ?? message?.response_metadata?.model_name ?? "");
    const attempt =
      span.metadata.attempt ??
      (Array.isArray(span.state.attempts) ? Math.max(0, nextAttempt(span.state.attempts as AttemptRecord[]) - 1) : null);
    await this.#append(span, span.address, [
      {
        type: "model_call",
        id: `model_call:${span.ns}:${ordinal(span, "model_call")}`,
        call: runId,
        node: String(span.metadata.langgraph_node ?? ""),
        attempt,
        model,
        input_tokens: tokens.inputTokens,
        cached_tokens: tokens.cachedTokens,
        output_tokens: tokens.outputTokens,
        cost_usd: this.#options.costUsd?.(model, tokens) ?? null,
      },
    ]);
  }

  override handleLLMError(_error: unknown, runId: string): void {
    this.#spans.close(runId);
  }

  override async handleToolStart(
    _tool: Serialized,
    _input: string,
    runId: string,
    parentRunId?: string,
    _tags?: string[],
    metadata?: Record<string, unknown>,
  ): Promise<void> {
    this.#spans.openCall(runId, parentRunId, metadata);
  }

  override async handleToolEnd(output: unknown, runId: string): Promise<void> {
    const span = this.#spans.close(runId);
    if (span === undefined || span.address === null || !ToolMessage.isInstance(output)) return;
    const artifact = shellArtifactSchema.safeParse(output.artifact);
    if (!artifact.success) return;
    const { command, exitCode, timedOut, durationMs, output: file } = artifact.data;
    const id = `command:${span.ns}:${ordinal(span, "command")}`;
    const index = await this.#guard(span.root, span.address, (log) => commandIndex(log, conversationOf(span), id));
    await this.#append(span, span.address, [
      {
        type: "command",
        id,
        attempt: Number(span.metadata.attempt ?? 0),
        retry: Number(span.metadata.retry ?? 0),
        index,
        command,
        exit_code: exitCode,
        timed_out: timedOut,
        duration_ms: durationMs,
        output_ref: { path: file.path, sha256: file.sha256, bytes: file.bytes },
      },
    ]);
  }

  override handleToolError(_error: unknown, runId: string): void {
    this.#spans.close(runId);
  }

  /** Appends what the checkpoint's records demand and the log lacks: after a crash the checkpoint is the truth. `finished` demands the closing line too. */
  async reconcile(address: RunAddress, state: LoggedState, options: { finished?: boolean } = {}): Promise<void> {
    const log = this.#file(address);
    await log.ready();
    const lines = await linesOfState(state, this.#store(address));
    if (options.finished === true) lines.push(await this.#summaryOf(address, state, 0));
    await this.#append(
      null,
      address,
      lines.filter((line) => line.id !== undefined && !log.ids.has(line.id)),
    );
    await this.#writeAttempts(null, address, state);
  }

  /** A line of the program itself, e.g. `run_stop`. */
  async write(address: RunAddress, line: IdentifiedLine): Promise<void> {
    await this.#append(null, address, [line]);
  }

  /** Writes the records that a node returned and that are its own: what a graph inside has written, or what it was given, is not. */
  async #logUpdate(span: Span, outputs: unknown): Promise<void> {
    if (span.address === null) return;
    const update = unseen(recordsOf(outputs), span.seen);
    const keys = keysOf(update);
    if (keys.length === 0) return;
    for (const around of outside(span)) for (const key of keys) around.seen.add(key);
    const before = (span.state as LoggedState).memos ?? [];
    const lines = await linesOfState(
      { ...update, ...(update.memos ? { memos: upsert(before, update.memos) } : {}) },
      this.#store(span.address),
    );
    const fresh = update.memos
      ? lines.filter(
          (line) => line.type !== "reflect_call" || update.memos!.some((memo) => line.id?.startsWith(`reflect_call:${memo.id}:`)),
        )
      : lines;
    await this.#append(span, span.address, fresh);
    await this.#writeAttempts(span.root, span.address, merged(span.state as LoggedState, update));
  }

  /** The overview beside the log. */
  async #writeAttempts(root: string | null, address: RunAddress, state: LoggedState): Promise<void> {
    await this.#guard(root, address, () =>
      writeAttemptsFile(this.#store(address), address.task, state, this.#options.explorationConfig ?? {}),
    );
  }

  /** The closing line, when the run was a graph that ends with attempts and no graph inside it has written one. */
  async #logSummary(span: Span, outputs: ChainValues | undefined): Promise<void> {
    const address = addressFor(outputs ?? {}, span.metadata, span.root);
    if (span.summarised || address === null || !Array.isArray(outputs?.attempts)) return;
    for (const around of outside(span)) around.summarised = true;
    await this.#append(span, address, [await this.#summaryOf(address, outputs as LoggedState, (Date.now() - span.startedAt) / 1000)]);
  }

  /** Tokens and time of all processes that worked on the task, as the log has them. */
  async #summaryOf(address: RunAddress, state: LoggedState, seconds: number): Promise<IdentifiedLine> {
    const log = this.#file(address);
    await log.ready();
    const { lines, usage } = await readLog(log.path);
    const since = lines[0]?.ts ?? null;
    const elapsed = Math.max(seconds, since === null ? 0 : Date.now() / 1000 - since);
    return summaryLine(
      address.task,
      state,
      { seconds: elapsed, inputTokens: usage.inputTokens, outputTokens: usage.outputTokens },
      this.#options.explorationConfig ?? {},
    );
  }

  #store(address: RunAddress): TaskDirectory {
    return new TaskDirectory(this.#options.runsDir, address, this.#options.redact ? { redact: this.#options.redact } : {});
  }

  #file(address: RunAddress): LogFile {
    const path = this.#store(address).path(LOG_FILE);
    const known = this.#files.get(path);
    if (known !== undefined) return known;
    const file = new LogFile(path, this.#options.redact ?? ((text) => text));
    this.#files.set(path, file);
    return file;
  }

  async #append(span: Span | null, address: RunAddress, lines: readonly IdentifiedLine[]): Promise<void> {
    await this.#guard(span?.root ?? null, address, (log) => log.append(lines));
    for (const line of lines) this.#options.onLine?.(line);
  }

  /** Remembers the first failure of a run. The file is opened anew by the next one that writes, which cuts off a half line. */
  async #guard<T>(root: string | null, address: RunAddress, work: (log: LogFile) => Promise<T>): Promise<T> {
    const log = this.#file(address);
    try {
      return await work(log);
    } catch (error) {
      if (root !== null && !this.#failures.has(root)) this.#failures.set(root, error);
      if (this.#files.get(log.path) === log) this.#files.delete(log.path);
      throw error;
    }
  }

  #rethrow(root: string | undefined): void {
    if (root !== undefined && this.#failures.has(root)) throw this.#failures.get(root);
  }
}

/** Place of a command in its conversation; a repeated execution keeps the place of the first. */
async function commandIndex(log: LogFile, conversation: Span, id: string): Promise<number> {
  await log.ready();
  conversation.commands ??= [...log.ids].filter(
    (known) => known.startsWith(`command:${conversation.ns}|`) || known.startsWith(`command:${conversation.ns}:`),
  );
  if (!conversation.commands.includes(id)) conversation.commands.push(id);
  return conversation.commands.indexOf(id);
}

/** Graph runs without a thread and without a log at their root have a name all the same: their control object lives as long as they do. */
const unnamed = new WeakMap<object, string>();

/** The outermost run's id of a running node, which names the run's folder when there is no checkpointer. */
export function rootRunIdOf(config: LangGraphRunnableConfig): string {
  const manager = config.callbacks as { handlers?: BaseCallbackHandler[]; getParentRunId?(): string | undefined } | undefined;
  const parent = manager?.getParentRunId?.();
  const log = manager?.handlers?.find((handler): handler is RunLog => handler.name === RUN_LOG_NAME);
  const root = parent === undefined ? undefined : log?.rootOf(parent);
  if (root !== undefined) return root;
  const { control } = config as { control?: object };
  if (control === undefined) return parent ?? "adhoc";
  const known = unnamed.get(control) ?? crypto.randomUUID();
  unnamed.set(control, known);
  return known;
}
