import { AIMessage, HumanMessage } from "@langchain/core/messages";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { addUsage } from "../../state/model.js";
import type { ShellAgentState, ShellAgentUpdate } from "../../state/shell-agent.js";
import { type AgentSession, agentSessionOf } from "../../tools/agent-session.js";
import { askModel, isContextOverflow, type ModelAnswer } from "../../tools/ask-model.js";
import { conversationView } from "../../tools/conversation-view.js";

/** Unusable replies in a row after which the attempt ends. */
const MAX_FORMAT_ERRORS = 3;
/** Below this share of the context budget an overflow ends the attempt. */
const SMALLEST_CONTEXT_SCALE = 0.1;

/**
 * One model call. Hard budgets are checked before it, so a stop reason always stands in the state; a reply that cannot be
 * used is answered with what was wrong, a bounded number of times.
 */
export const createCallModel =
  () =>
  async (state: ShellAgentState, config: LangGraphRunnableConfig): Promise<ShellAgentUpdate> => {
    const session = agentSessionOf(config);
    session.clock.start(state.activeMs);
    const stop = budgetStop(state, session);
    if (stop !== null) return stop;

    const remainingMs = session.budget.timeoutMs - session.clock.elapsedMs();
    const deadline = AbortSignal.timeout(Math.max(1, Math.ceil(remainingMs)));
    const signal = config.signal ? AbortSignal.any([config.signal, deadline]) : deadline;
    const bound = session.handle.model.bindTools?.(session.tools);
    try {
      const view = conversationView(state.messages, session.budget.contextCharacters * state.contextScale);
      const answer = await askModel(session.handle, view, {
        config: { ...config, signal },
        budget: session.runBudget,
        bound: bound as never,
      });
      return received(state, session, answer);
    } catch (error) {
      if (deadline.aborted && !config.signal?.aborted)
        return ended("time", "the time of the attempt was used up during a model call", session);
      if (!isContextOverflow(error)) throw error;
      const contextScale = state.contextScale / 2;
      if (contextScale < SMALLEST_CONTEXT_SCALE)
        return ended("context", "the conversation no longer fits into the model's context", session);
      return { contextScale, activeMs: session.clock.elapsedMs() };
    }
  };

const ended = (stop: NonNullable<ShellAgentState["stop"]>, stopDetail: string, session: AgentSession): ShellAgentUpdate => ({
  stop,
  stopDetail,
  activeMs: session.clock.elapsedMs(),
});

function budgetStop(state: ShellAgentState, session: AgentSession): ShellAgentUpdate | null {
  const { maxSteps, maxTokens, maxCostUsd, timeoutMs } = session.budget;
  const tokens = state.usage.inputTokens + state.usage.outputTokens;
  if (state.steps >= maxSteps) return ended("steps", `the limit of ${maxSteps} steps was reached`, session);
  if (tokens >= maxTokens) return ended("tokens", `${tokens} tokens were used, the limit is ${maxTokens}`, session);
  if (maxCostUsd !== null && (state.usage.costUsd ?? 0) >= maxCostUsd)
    return ended("cost", `$${state.usage.costUsd} was spent, the limit is $${maxCostUsd}`, session);
  if (session.clock.elapsedMs() >= timeoutMs) return ended("time", `the limit of ${Math.round(timeoutMs / 1000)} s was reached`, session);
  return null;
}

function received(state: ShellAgentState, session: AgentSession, answer: ModelAnswer): ShellAgentUpdate {
  const { message } = answer;
  const counted = { steps: state.steps + 1, usage: addUsage(state.usage, answer.usage), activeMs: session.clock.elapsedMs() };
  // A cut reply's last command may be half a command that still parses.
  const isUsable = !answer.cut && (message.invalid_tool_calls?.length ?? 0) === 0;
  if (isUsable && (message.tool_calls?.length ?? 0) > 0) return { ...counted, messages: [message], formatErrors: 0 };
  const problem = replyProblem(answer);
  if (problem === null) return { ...counted, messages: [message], formatErrors: 0, stop: "finished", stopDetail: "" };
  const formatErrors = state.formatErrors + 1;
  // The reply goes back as plain text: a broken tool call in the history is refused by most endpoints. Ids of our own, because the
  // stream mode `messages` gives all messages of one node run that have none the same id, and the reducer would keep only the last.
  const messages = [
    new AIMessage({ id: crypto.randomUUID(), content: message.text || "(no text)" }),
    new HumanMessage({ id: crypto.randomUUID(), content: problem }),
  ];
  if (formatErrors >= MAX_FORMAT_ERRORS)
    return {
      ...counted,
      messages,
      formatErrors,
      stop: "format",
      stopDetail: `${formatErrors} unusable replies in a row; the last: ${problem}`,
    };
  return { ...counted, messages, formatErrors };
}

function replyProblem({ message, cut }: ModelAnswer): string | null {
  const broken = message.invalid_tool_calls?.[0];
  if (broken !== undefined)
    return `Your tool call could not be read: ${(broken.error ?? "its arguments are not valid JSON").slice(0, 300)}. Call the tool again with valid JSON arguments.`;
  if (cut) return "Your reply was cut at the output limit. Go on with a shorter reply; write long files in several commands.";
  if (message.text.trim() === "") return "Your reply was empty. Call the tool, or answer in words when the task is done.";
  return null;
}
