import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import type { Serialized } from "@langchain/core/load/serializable";
import { type AIMessage, type BaseMessage, ToolMessage, type UsageMetadata } from "@langchain/core/messages";
import type { LLMResult } from "@langchain/core/outputs";
import type { ChainValues } from "@langchain/core/utils/types";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { z } from "zod";
import { type AttemptRecord, attemptRecordSchema } from "../../state/attempt.js";
import { upsert } from "../../state/channels.js";
import { pdiRecordSchema } from "../../state/pdi.js";
import { shellArtifactSchema } from "../../state/shell-agent.js";
import { gateReportSchema, skillRecordSchema } from "../../state/skill.js";
import { guidanceRecordSchema, memoRecordSchema, nextAttempt, retriesOfAttempt } from "../../state/skill-generation.js";
import { addressOf, type RunAddress, TaskDirectory } from "../run-directory.js";
import { type IdentifiedLine, LogFile } from "./log-file.js";
import { linesOfState, type LoggedState, summaryLine } from "./log-lines.js";

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

/** A run of the tracer's tree: a graph, a node, a model, a tool. */
interface Span {
  parent: string | undefined;
  root: string;
  node: string | null;
  ns: string;
  state: Record<string, unknown>;
  address: RunAddress | null;
  startedAt: number;
  metadata: Record<string, unknown>;
}

const many = <T extends z.ZodType>(schema: T) => z.union([z.array(schema), schema.transform((value) => [value])]);
const updateSchema = z.object({
  attempts: many(attemptRecordSchema).optional().catch(undefined),
  memos: many(memoRecordSchema).optional().catch(undefined),
  pdi: many(pdiRecordSchema).optional().catch(undefined),
  guidance: many(guidanceRecordSchema).optional().catch(undefined),
  skill: skillRecordSchema.nullable().optional().catch(undefined),
  gateReport: gateReportSchema.nullable().optional().catch(undefined),
});

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
  readonly #spans = new Map<string, Span>();
  readonly #files = new Map<string, LogFile>();
  readonly #ordinals = new Map<string, number>();
  /** Identities of an attempt's commands in order, by the attempt's checkpoint namespace. */
  readonly #commands = new Map<string, string[]>();
  readonly #tokens = new Map<string, { inputTokens: number; outputTokens: number }>();
  #failure: unknown;

  constructor(options: RunLogOptions) {
    super();
    this.#options = options;
  }

  /** One instance for parent and child: a copy would not know the runs that are open. */
  override copy(): this {
    return this;
  }

  /** Id of the outermost run that a run belongs to. */
  rootOf(runId: string): string | undefined {
    return this.#spans.get(runId)?.root;
  }

  // The type names the parameters in another order than the manager passes them (core 1.2.13), so they are taken as they come.
  override async handleChainStart(...parameters: unknown[]): Promise<void> {
    const [, inputs, runId, parentRunId, , metadata] = parameters as [Serialized, ChainValues, string, string?, string[]?, Record<string, unknown>?];
    this.#rethrow();
    if (this.#spans.has(runId)) return;
    const parent = parentRunId === undefined ? undefined : this.#spans.get(parentRunId);
    const root = parent?.root ?? runId;
    const ns = String(metadata?.["langgraph_checkpoint_ns"] ?? runId);
    const name = metadata?.["langgraph_node"];
    // A node's own run is the first of its checkpoint namespace; routers and channel writes inside share the namespace.
    const node = typeof name === "string" && name !== "__start__" && parent?.ns !== ns ? name : null;
    const state = typeof inputs === "object" && inputs !== null ? (inputs as Record<string, unknown>) : {};
    const address = addressFor(state, metadata, root) ?? parent?.address ?? null;
    const span: Span = { parent: parentRunId, root, node, ns, state, address, startedAt: Date.now(), metadata: metadata ?? {} };
    this.#spans.set(runId, span);
    if (node === "explore" && address !== null && Array.isArray(state["attempts"])) {
      const attempts = state["attempts"] as AttemptRecord[];
      await this.#append(address, [{ type: "attempt_start", id: `attempt_start:${span.ns}`, attempt: nextAttempt(attempts), retry: retriesOfAttempt(attempts) }]);
    }
  }

  override async handleChainEnd(outputs: ChainValues, runId: string): Promise<void> {
    this.#rethrow();
    const span = this.#close(runId);
    if (span === undefined || span.address === null) return;
    if (span.node !== null) await this.#logUpdate(span.address, span.state as LoggedState, outputs);
    else if (span.parent === undefined && Array.isArray(outputs?.["attempts"])) await this.#logSummary(span, outputs as LoggedState);
  }

  override handleChainError(_error: unknown, runId: string): void {
    this.#close(runId);
  }

  // A chat model's start is followed by its end under the same id; only who asked has to be remembered.
  override async handleChatModelStart(_model: Serialized, _messages: BaseMessage[][], runId: string, parentRunId?: string, _extra?: unknown, _tags?: string[], metadata?: Record<string, unknown>): Promise<void> {
    this.#rethrow();
    const parent = parentRunId === undefined ? undefined : this.#spans.get(parentRunId);
    if (parent === undefined || this.#spans.has(runId)) return;
    this.#spans.set(runId, { ...parent, parent: parentRunId, node: null, metadata: { ...parent.metadata, ...metadata } });
  }

  override async handleLLMEnd(output: LLMResult, runId: string): Promise<void> {
    this.#rethrow();
    const span = this.#close(runId);
    if (span === undefined || span.address === null) return;
    const message = (output.generations[0]?.[0] as { message?: AIMessage } | undefined)?.message;
    const usage = message?.usage_metadata as UsageMetadata | undefined;
    const tokens = { inputTokens: usage?.input_tokens ?? 0, cachedTokens: usage?.input_token_details?.cache_read ?? 0, outputTokens: usage?.output_tokens ?? 0 };
    const model = String(span.metadata["ls_model_name"] ?? message?.response_metadata?.["model_name"] ?? "");
    const total = this.#tokens.get(span.root) ?? { inputTokens: 0, outputTokens: 0 };
    this.#tokens.set(span.root, { inputTokens: total.inputTokens + tokens.inputTokens, outputTokens: total.outputTokens + tokens.outputTokens });
    const attempt = span.metadata["attempt"] ?? (Array.isArray(span.state["attempts"]) ? Math.max(0, nextAttempt(span.state["attempts"] as AttemptRecord[]) - 1) : null);
    await this.#append(span.address, [
      {
        type: "model_call",
        id: `model_call:${span.ns}:${this.#ordinal(`model:${span.ns}:${span.startedAt}`)}`,
        call: runId,
        node: String(span.metadata["langgraph_node"] ?? ""),
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
    this.#close(runId);
  }

  override async handleToolStart(_tool: Serialized, _input: string, runId: string, parentRunId?: string, _tags?: string[], metadata?: Record<string, unknown>): Promise<void> {
    const parent = parentRunId === undefined ? undefined : this.#spans.get(parentRunId);
    if (parent === undefined || this.#spans.has(runId)) return;
    this.#spans.set(runId, { ...parent, parent: parentRunId, node: null, metadata: { ...parent.metadata, ...metadata } });
  }

  override async handleToolEnd(output: unknown, runId: string): Promise<void> {
    const span = this.#close(runId);
    if (span === undefined || span.address === null || !ToolMessage.isInstance(output)) return;
    const artifact = shellArtifactSchema.safeParse(output.artifact);
    if (!artifact.success) return;
    const { command, exitCode, timedOut, durationMs, output: file } = artifact.data;
    const attempt = Number(span.metadata["attempt"] ?? 0);
    const log = this.#file(span.address);
    const outer = span.ns.split("|")[0] ?? span.ns;
    await this.#guard(async () => {
      await log.ready();
      const id = `command:${span.ns}:${this.#ordinal(`command:${span.ns}:${span.startedAt}`)}`;
      const index = this.#commandIndex(log, outer, id);
      await this.#append(span.address!, [
        {
          type: "command",
          id,
          attempt,
          retry: Number(span.metadata["retry"] ?? 0),
          index,
          command,
          exit_code: exitCode,
          timed_out: timedOut,
          duration_ms: durationMs,
          output_ref: { path: file.path, sha256: file.sha256, bytes: file.bytes },
        },
      ]);
    });
  }

  override handleToolError(_error: unknown, runId: string): void {
    this.#close(runId);
  }

  /** Appends what the checkpoint's records demand and the log lacks: after a crash the checkpoint is the truth. */
  async reconcile(address: RunAddress, state: LoggedState): Promise<void> {
    const log = this.#file(address);
    await log.ready();
    const lines = await linesOfState(state, this.#store(address));
    await this.#append(address, lines.filter((line) => line.id !== undefined && !log.ids.has(line.id)));
  }

  /** A line of the program itself, e.g. `run_stop`. */
  async write(address: RunAddress, line: IdentifiedLine): Promise<void> {
    await this.#append(address, [line]);
  }

  /** Place of a command in its attempt; a repeated execution keeps the place of the first. */
  #commandIndex(log: LogFile, outerNs: string, id: string): number {
    let ids = this.#commands.get(outerNs);
    if (ids === undefined) {
      ids = [...log.ids].filter((known) => known.startsWith(`command:${outerNs}`));
      this.#commands.set(outerNs, ids);
    }
    if (!ids.includes(id)) ids.push(id);
    return ids.indexOf(id);
  }

  async #logUpdate(address: RunAddress, state: LoggedState, outputs: unknown): Promise<void> {
    const parsed = updateSchema.safeParse(outputs);
    if (!parsed.success) return;
    const update = parsed.data as LoggedState;
    if (Object.values(update).every((value) => value === undefined)) return;
    const lines = await linesOfState({ ...update, ...(update.memos ? { memos: upsert(state.memos ?? [], update.memos) } : {}) }, this.#store(address));
    const fresh = update.memos ? lines.filter((line) => line.type !== "reflect_call" || update.memos!.some((memo) => line.id?.startsWith(`reflect_call:${memo.id}:`))) : lines;
    await this.#append(address, fresh);
  }

  async #logSummary(span: Span, state: LoggedState): Promise<void> {
    const tokens = this.#tokens.get(span.root) ?? { inputTokens: 0, outputTokens: 0 };
    await this.#append(span.address!, [summaryLine(span.address!.task, state, { seconds: (Date.now() - span.startedAt) / 1000, ...tokens }, this.#options.explorationConfig ?? {})]);
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

  #append(address: RunAddress, lines: readonly IdentifiedLine[]): Promise<void> {
    return this.#guard(async () => {
      await this.#file(address).append(lines);
      for (const line of lines) this.#options.onLine?.(line);
    });
  }

  async #guard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#failure ??= error;
      throw error;
    }
  }

  #rethrow(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #close(runId: string): Span | undefined {
    const span = this.#spans.get(runId);
    this.#spans.delete(runId);
    return span;
  }

  #ordinal(key: string): number {
    const next = this.#ordinals.get(key) ?? 0;
    this.#ordinals.set(key, next + 1);
    return next;
  }
}

function addressFor(state: Record<string, unknown>, metadata: Record<string, unknown> | undefined, root: string): RunAddress | null {
  const task = state["task"];
  if (typeof task !== "string" || task === "") return null;
  return addressOf(String(metadata?.["thread_id"] ?? root), task);
}

/** The outermost run's id of a running node, which names the run's folder when there is no checkpointer. */
export function rootRunIdOf(config: LangGraphRunnableConfig): string {
  const manager = config.callbacks as { handlers?: BaseCallbackHandler[]; getParentRunId?(): string | undefined } | undefined;
  const parent = manager?.getParentRunId?.();
  const log = manager?.handlers?.find((handler): handler is RunLog => handler.name === RUN_LOG_NAME);
  return (parent === undefined ? undefined : (log?.rootOf(parent) ?? parent)) ?? "adhoc";
}
