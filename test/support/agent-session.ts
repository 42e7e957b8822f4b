import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HumanMessage, SystemMessage } from "@langchain/core/messages";
import { TaskDirectory } from "../../formats/run-directory.js";
import { createShellAgentGraph } from "../../graphs/shell-agent.js";
import type { ShellAgentBudget, ShellAgentState } from "../../state/shell-agent.js";
import { type AgentSession, SESSION_KEY, WorkClock } from "../../tools/agent-session.js";
import type { RunBudget } from "../../tools/capabilities.js";
import type { Sandbox, Shell } from "../../tools/sandbox/sandbox.js";
import { createScriptedProvider, type ScriptedOptions } from "../../tools/sandbox/scripted.js";
import { createScriptedModel, type ScriptedModel, type ScriptedReply } from "../../tools/scripted-model.js";
import { createShellTool, type ShellSession } from "../../tools/shell.js";

export const amplyBudget: ShellAgentBudget = {
  maxSteps: 50,
  maxTokens: 1_000_000,
  maxCostUsd: null,
  timeoutMs: 600_000,
  contextCharacters: 400_000,
};

/** A clock that a test moves. */
export class SteppedClock extends WorkClock {
  ms = 0;
  #base: number | null = null;
  override start(beforeMs: number): void {
    this.#base ??= beforeMs;
  }
  override elapsedMs(): number {
    return (this.#base ?? 0) + this.ms;
  }
}

export interface ConversationSetup {
  replies: readonly ScriptedReply[] | ScriptedReply;
  sandbox?: ScriptedOptions;
  budget?: Partial<ShellAgentBudget>;
  runBudget?: RunBudget;
  clock?: WorkClock;
  costUsd?: AgentSession["handle"]["costUsd"];
  shownCharacters?: number;
  /** Stands in place of the scripted sandbox's shell. */
  shell?: Partial<Shell>;
}

/** Everything live of one conversation with a scripted model and a scripted sandbox. */
export async function openConversation(setup: ConversationSetup) {
  const dir = await mkdtemp(join(tmpdir(), "spark-agent-"));
  const provider = createScriptedProvider(setup.sandbox ?? {});
  const sandbox: Sandbox = await provider.create({
    name: "box",
    image: { id: "i", name: "i", workdir: "/app", user: "" },
    run: "r",
    env: {},
    network: "none",
    leaseMs: 0,
  });
  const store = new TaskDirectory(dir, { run: "r", task: "t" });
  const model: ScriptedModel = createScriptedModel(setup.replies, { usage: { inputTokens: 100, outputTokens: 10 } });
  const budget = { ...amplyBudget, ...setup.budget };
  const clock = setup.clock ?? new WorkClock();
  const shell: ShellSession = {
    shell: { ...(await sandbox.openShell()), ...setup.shell },
    sandbox,
    store,
    commandTimeoutMs: 60_000,
    shownCharacters: setup.shownCharacters ?? 8000,
    remainingMs: () => budget.timeoutMs - clock.elapsedMs(),
  };
  const session: AgentSession = {
    handle: { model: model as never, id: "scripted", costUsd: setup.costUsd ?? (() => null) },
    tools: [createShellTool(shell)],
    shell,
    budget,
    runBudget: setup.runBudget,
    clock,
  };
  const run = (options: { signal?: AbortSignal } = {}): Promise<ShellAgentState> =>
    createShellAgentGraph()
      .compile()
      .invoke({ messages: [new SystemMessage("You solve a task."), new HumanMessage("Do it.")] }, {
        context: { [SESSION_KEY]: session },
        recursionLimit: 1000,
        ...options,
      } as never) as Promise<ShellAgentState>;
  return { dir, provider, sandbox, store, model, session, run, remove: () => rm(dir, { recursive: true, force: true }) };
}
