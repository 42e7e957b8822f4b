import { resolve } from "node:path";
import { CallbackManager } from "@langchain/core/callbacks/manager";
import type { BaseCheckpointSaver, LangGraphRunnableConfig } from "@langchain/langgraph";
import { RUN_LOG_NAME, RunLog, type RunLogOptions, rootRunIdOf } from "../formats/trajectory/run-log.js";

/** A task of 100 attempts needs some 500 supersteps; LangGraph's default of 25 would end it. */
const RECURSION_LIMIT = 1000;

interface Compilable<C> {
  compile(options: { name: string; checkpointer?: BaseCheckpointSaver }): C;
}
interface Configurable {
  withConfig(config: Record<string, unknown>): unknown;
}

/**
 * Compiles the outermost graph with its name, durability `sync`, a recursion limit that fits, and the run log that observes it.
 * Without a checkpointer the server (or the caller) brings one.
 */
export function compileObserved<C extends Configurable>(
  builder: Compilable<C>,
  options: { name: string; checkpointer?: BaseCheckpointSaver; log: RunLog },
): C {
  const { name, checkpointer, log } = options;
  return builder
    .compile({ name, ...(checkpointer ? { checkpointer } : {}) })
    .withConfig({ callbacks: [log], durability: "sync", recursionLimit: RECURSION_LIMIT }) as C;
}

type NodeFunction<S, U> = (state: S, config: LangGraphRunnableConfig) => Promise<U>;

/**
 * Gives a compiled graph, or a single node of ours inside somebody's own graph, the run log: the same lines as in our graphs, recognised
 * by the shape of what is returned. A node function stays a node function.
 */
export function withRunLog<S, U>(node: NodeFunction<S, U>, options: RunLogOptions): NodeFunction<S, U>;
export function withRunLog<G extends Configurable>(graph: G, options: RunLogOptions): G;
export function withRunLog(target: Configurable | NodeFunction<unknown, unknown>, options: RunLogOptions): unknown {
  const log = new RunLog(options);
  if (typeof target !== "function") return target.withConfig({ callbacks: [log] });
  return async (state: unknown, config: LangGraphRunnableConfig) => {
    const manager = config.callbacks as CallbackManager | undefined;
    // A log around the graph sees the node already.
    if (
      manager?.handlers.some(
        (handler) => handler.name === RUN_LOG_NAME && resolve((handler as RunLog).runsDir) === resolve(options.runsDir),
      )
    )
      return target(state, config);
    const runId = manager?.getParentRunId() ?? crypto.randomUUID();
    await log.openChain(runId, undefined, state, config.metadata, rootRunIdOf(config));
    // A graph without handlers has no manager, and without one what runs inside would not know its parent.
    const callbacks = (manager ?? new CallbackManager(runId)).copy([log], true);
    const observed = { ...config, callbacks } as LangGraphRunnableConfig;
    const update = await target(state, observed).catch((error: unknown) => {
      log.handleChainError(error, runId);
      throw error;
    });
    await log.handleChainEnd(update as never, runId);
    return update;
  };
}
