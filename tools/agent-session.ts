import type { StructuredToolInterface } from "@langchain/core/tools";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { SparkError } from "../state/errors.js";
import type { ShellAgentBudget } from "../state/shell-agent.js";
import type { ModelHandle, RunBudget } from "./capabilities.js";
import type { ShellSession } from "./shell.js";

/** The live handles of one conversation. They travel as an extra key of the inner graph's context, never in its state. */
export interface AgentSession {
  handle: ModelHandle;
  tools: StructuredToolInterface[];
  shell: ShellSession;
  budget: ShellAgentBudget;
  runBudget: RunBudget | undefined;
  /** Work so far in milliseconds; set to the checkpointed value by the first node that runs. */
  clock: WorkClock;
}

/** Counts the time in which this process works on an attempt; time while nobody was there does not count. */
export class WorkClock {
  #before = 0;
  #since: number | null = null;

  /** Goes on from the checkpointed time; only the first call has an effect. */
  start(beforeMs: number): void {
    if (this.#since !== null) return;
    this.#before = beforeMs;
    this.#since = performance.now();
  }

  elapsedMs(): number {
    return this.#before + (this.#since === null ? 0 : performance.now() - this.#since);
  }
}

export const SESSION_KEY = "agentSession";

/** The session of the running conversation. */
export function agentSessionOf(config: LangGraphRunnableConfig): AgentSession {
  const session = (config.context as Record<string, unknown> | undefined)?.[SESSION_KEY] as AgentSession | undefined;
  if (session === undefined)
    throw new SparkError(`the shell-agent graph was started without context.${SESSION_KEY}; call it through the explore node`, {
      code: "settings",
    });
  return session;
}
