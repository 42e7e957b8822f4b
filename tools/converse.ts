import { type BaseMessage, HumanMessage, SystemMessage } from "@langchain/core/messages";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { toAtif } from "../formats/harbor/atif.js";
import type { TaskDirectory } from "../formats/run-directory.js";
import type { Rollout } from "../state/attempt.js";
import { cutText } from "../state/cut-text.js";
import { SparkError } from "../state/errors.js";
import type { ShellAgentBudget, ShellAgentState } from "../state/shell-agent.js";
import { type AgentSession, SESSION_KEY, WorkClock } from "./agent-session.js";
import type { ModelHandle, RunBudget } from "./capabilities.js";
import { commandsOf, commandText, transcriptOf, turnsOf } from "./conversation-record.js";
import type { Sandbox } from "./sandbox/sandbox.js";
import { createShellTool, type ShellSession } from "./shell.js";

/** The compiled shell-agent graph as a node calls it. */
export interface ShellAgentRunnable {
  invoke(
    input: { messages: BaseMessage[] },
    config: LangGraphRunnableConfig & { recursionLimit?: number; runId?: string; runName?: string },
  ): Promise<ShellAgentState>;
  getState(config: LangGraphRunnableConfig): Promise<{ createdAt?: string | undefined; config?: unknown }>;
}

export interface Conversation {
  agent: ShellAgentRunnable;
  handle: ModelHandle;
  sandbox: Sandbox;
  store: TaskDirectory;
  budget: ShellAgentBudget;
  runBudget: RunBudget | undefined;
  user: string | undefined;
  commandTimeoutMs: number;
  shownCharacters: number;
  system: string;
  task: string;
  /** From 0; names the LangSmith run. */
  attempt: number;
  /** Infrastructure failures of this attempt before. */
  retry: number;
  /** Characters of the commands' text that PDI and the memo see. */
  commandsCharacters: number;
  taskName: string;
  run: string;
}

/** More supersteps than one reply has tool calls: the graph's own limit must never end an attempt before ours. */
const SUPERSTEPS_A_STEP = 1000;

/** Whether a conversation stands in the checkpoints of this execution: it was begun before a crash. */
export async function isBegun(agent: ShellAgentRunnable, config: LangGraphRunnableConfig): Promise<boolean> {
  if (config.configurable?.["__pregel_checkpointer"] === undefined) return false;
  return (await agent.getState(config)).createdAt !== undefined;
}

/** What a conversation contributes to the rollout. */
export type ConversationResult = Pick<
  Rollout,
  "model" | "stop" | "stopDetail" | "steps" | "usage" | "commandCount" | "commands" | "commandText" | "output" | "trajectory" | "runId"
>;

/**
 * Lets the model work in the sandbox until it finishes or a budget ends it. After a crash the same call goes on at the step that
 * was running. Throws what broke the sandbox or the provider.
 */
export async function converse(conversation: Conversation, config: LangGraphRunnableConfig): Promise<ConversationResult> {
  const { agent, handle, sandbox, store, budget, attempt } = conversation;
  const clock = new WorkClock();
  const shell = await sandbox.openShell(conversation.user === undefined ? {} : { user: conversation.user });
  const session: ShellSession = {
    shell,
    sandbox,
    store,
    commandTimeoutMs: conversation.commandTimeoutMs,
    shownCharacters: conversation.shownCharacters,
    remainingMs: () => budget.timeoutMs - clock.elapsedMs(),
  };
  const context: AgentSession = {
    handle,
    tools: [createShellTool(session)],
    shell: session,
    budget,
    runBudget: conversation.runBudget,
    clock,
  };
  const runId = crypto.randomUUID();
  try {
    const final = await agent.invoke(
      { messages: [new SystemMessage(conversation.system), new HumanMessage(conversation.task)] },
      {
        ...config,
        context: { ...(config.context as object | undefined), [SESSION_KEY]: context },
        runId,
        runName: `attempt ${attempt}`,
        tags: [...((config.tags as string[] | undefined) ?? []), `attempt:${attempt}`, `task:${conversation.taskName}`],
        metadata: { ...config.metadata, attempt, retry: conversation.retry, task: conversation.taskName, run: conversation.run },
        recursionLimit: budget.maxSteps * SUPERSTEPS_A_STEP + 100,
      },
    );
    if (final.stop === null) throw new SparkError("the shell-agent graph ended without a stop reason", { code: "internal" });
    return { ...(await recordOf(conversation, final)), runId };
  } finally {
    await shell.close();
  }
}

async function recordOf(
  { store, handle, commandsCharacters }: Conversation,
  final: ShellAgentState,
): Promise<Omit<ConversationResult, "runId">> {
  const commands = commandsOf(final.messages);
  const turns = turnsOf(final.messages);
  return {
    model: handle.id,
    stop: final.stop!,
    stopDetail: final.stopDetail,
    steps: final.steps,
    usage: final.usage,
    commandCount: commands.length,
    commands: await store.put(JSON.stringify(commands), "json"),
    commandText: await store.put(cutText(commandText(commands), commandsCharacters, "end")),
    output: await store.put(transcriptOf(turns)),
    trajectory: await store.put(
      JSON.stringify(toAtif({ agent: { name: "spark", version: "0.1.0", modelName: handle.id }, turns, usage: final.usage }), null, 2),
      "json",
    ),
  };
}
