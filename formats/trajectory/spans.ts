import { addressOf, type RunAddress } from "../run-directory.js";

/** A run of the tracer's tree that is open: a graph, a node, a model call, a tool call. */
export interface Span {
  runId: string;
  parent: Span | undefined;
  /** Id of the outermost run. */
  root: string;
  /** Name of the node whose own run this is; null for everything inside it and for graphs. */
  node: string | null;
  /** Checkpoint namespace: the same for the failed and the resumed execution of a step. */
  ns: string;
  /** The first run of the namespace: what is counted within an execution is counted here. */
  execution: Span;
  state: Record<string, unknown>;
  metadata: Record<string, unknown>;
  address: RunAddress | null;
  startedAt: number;
  /** Records that nodes inside this run were given or have returned: handing them on is no news. */
  seen: Set<string>;
  /** Nodes ran directly inside: this is a graph. */
  hasNodes: boolean;
  /** A graph inside has written the closing line. */
  summarised: boolean;
  counts: Map<string, number>;
  /** Identities of the commands of the conversation that this run is. */
  commands: string[] | null;
}

/** Runs that some log already watches: two logs on one path write a fact once. */
const watched = new Map<string, object>();

/** The runs that are open, as the hooks of a callback handler report them. */
export class Spans {
  readonly #open = new Map<string, Span>();
  readonly #key: string;

  /** `key`: where the log writes; two logs with the same key share their runs. */
  constructor(key: string) {
    this.#key = key;
  }

  get(runId: string | undefined): Span | undefined {
    return runId === undefined ? undefined : this.#open.get(runId);
  }

  /** Opens the run of a graph, a node or a step inside one; undefined when it is open already, here or in another log of the same place. */
  openChain(
    runId: string,
    parentRunId: string | undefined,
    inputs: unknown,
    metadata: Record<string, unknown> = {},
    outermost?: string,
  ): Span | undefined {
    const parent = this.get(parentRunId);
    const ns = String(metadata.langgraph_checkpoint_ns ?? runId);
    const name = metadata.langgraph_node;
    // A node's own run is the first of its checkpoint namespace; routers and channel writes inside share the namespace.
    const node = typeof name === "string" && name !== "__start__" && parent?.ns !== ns ? name : null;
    const state = typeof inputs === "object" && inputs !== null ? (inputs as Record<string, unknown>) : {};
    const root = parent?.root ?? outermost ?? runId;
    const span = this.#add({
      runId,
      parent,
      root,
      node,
      ns,
      state,
      metadata,
      address: addressFor(state, metadata, root) ?? parent?.address ?? null,
    });
    if (span !== undefined && node !== null && parent !== undefined) parent.hasNodes = true;
    return span;
  }

  /** Opens a model's or a tool's call inside a run that is open. */
  openCall(runId: string, parentRunId: string | undefined, metadata: Record<string, unknown> = {}): void {
    const parent = this.get(parentRunId);
    if (parent !== undefined) this.#add({ ...parent, runId, parent, node: null, metadata: { ...parent.metadata, ...metadata } });
  }

  close(runId: string): Span | undefined {
    const span = this.#open.get(runId);
    this.#open.delete(runId);
    if (span !== undefined) watched.delete(`${this.#key}\0${runId}`);
    return span;
  }

  #add(given: Pick<Span, "runId" | "parent" | "root" | "node" | "ns" | "state" | "metadata" | "address">): Span | undefined {
    const { runId, parent, root, node, ns, state, metadata, address } = given;
    const claim = `${this.#key}\0${runId}`;
    if (watched.has(claim)) return undefined;
    watched.set(claim, this);
    const own = { runId, parent, root, node, ns, state, metadata, address };
    const span: Span = {
      ...own,
      execution: undefined as never,
      startedAt: Date.now(),
      seen: new Set(),
      hasNodes: false,
      summarised: false,
      counts: new Map(),
      commands: null,
    };
    span.execution = parent?.ns === ns ? parent.execution : span;
    this.#open.set(runId, span);
    return span;
  }
}

/** The folder of a run whose state names the task; null when it does not. */
export function addressFor(state: Record<string, unknown>, metadata: Record<string, unknown> | undefined, root: string): RunAddress | null {
  const task = state.task;
  if (typeof task !== "string" || task === "") return null;
  return addressOf(String(metadata?.thread_id ?? root), task);
}

/** The runs around a run, from the inside out. */
export function* outside(span: Span): Generator<Span> {
  for (let at = span.parent; at !== undefined; at = at.parent) yield at;
}

/** Counts from 0 within an execution. */
export function ordinal(span: Span, what: string): number {
  const { counts } = span.execution;
  const next = counts.get(what) ?? 0;
  counts.set(what, next + 1);
  return next;
}

/** The outermost run that belongs to the same attempt: the conversation. */
export function conversationOf(span: Span): Span {
  let at = span;
  while (at.parent !== undefined && at.parent.metadata.attempt !== undefined) at = at.parent;
  return at;
}
