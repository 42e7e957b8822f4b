import { AIMessage, type BaseMessage, ToolMessage } from "@langchain/core/messages";
import type { ToolCall } from "@langchain/core/messages/tool";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { ToolNode } from "@langchain/langgraph/prebuilt";
import type { ShellAgentState, ShellAgentUpdate } from "../../state/shell-agent.js";
import { agentSessionOf } from "../../tools/agent-session.js";

/** Tool calls of the last reply that have no answer yet, in the model's order. */
export function pendingToolCalls(messages: readonly BaseMessage[]): ToolCall[] {
  const at = messages.findLastIndex((message) => AIMessage.isInstance(message));
  const answered = new Set(messages.slice(at + 1).flatMap((message) => (ToolMessage.isInstance(message) ? [message.tool_call_id] : [])));
  return ((messages[at] as AIMessage | undefined)?.tool_calls ?? []).filter((call) => !answered.has(call.id ?? ""));
}

/**
 * Runs the next pending tool call. One call a superstep: after a crash at most the command that was running is repeated,
 * also when the model asked for several at once.
 */
export const createRunTools =
  () =>
  async (state: ShellAgentState, config: LangGraphRunnableConfig): Promise<ShellAgentUpdate> => {
    const session = agentSessionOf(config);
    session.clock.start(state.activeMs);
    const [call] = pendingToolCalls(state.messages);
    if (call === undefined) return {};
    const asked = new AIMessage({ content: "", tool_calls: [call] });
    const answers = (await new ToolNode(session.tools).invoke([asked], config)) as BaseMessage[];
    config.signal?.throwIfAborted();
    if (session.shell.failure) throw session.shell.failure;
    return { messages: answers, activeMs: session.clock.elapsedMs() };
  };
