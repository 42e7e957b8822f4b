import { AIMessage, type BaseMessage, HumanMessage, SystemMessage, ToolMessage, type UsageMetadata } from "@langchain/core/messages";
import type { ConversationTurn } from "../formats/harbor/atif.js";
import type { CommandRecord } from "../state/attempt.js";
import { shellArtifactSchema } from "../state/shell-agent.js";

/** Every command that ran, from the tool messages' artifacts; a repeated one after a crash stands once. */
export function commandsOf(messages: readonly BaseMessage[]): CommandRecord[] {
  const artifacts = messages.flatMap((message) => {
    const parsed = ToolMessage.isInstance(message) ? shellArtifactSchema.safeParse(message.artifact) : undefined;
    return parsed?.success ? [parsed.data] : [];
  });
  return artifacts.map((artifact, index) => ({ index, ...artifact }));
}

/** The commands as text, as PDI and the memo see them. */
export const commandText = (commands: readonly Pick<CommandRecord, "command">[]): string =>
  commands.map(({ command }) => command).join("\n");

export function turnsOf(messages: readonly BaseMessage[]): ConversationTurn[] {
  const turns: ConversationTurn[] = [];
  for (const message of messages) {
    if (ToolMessage.isInstance(message)) {
      turns.at(-1)?.observations.push({ callId: message.tool_call_id, content: message.text });
      continue;
    }
    const source = SystemMessage.isInstance(message) ? "system" : HumanMessage.isInstance(message) ? "user" : "agent";
    const usage = AIMessage.isInstance(message) ? (message.usage_metadata as UsageMetadata | undefined) : undefined;
    turns.push({
      source,
      message: message.text,
      toolCalls: AIMessage.isInstance(message)
        ? (message.tool_calls ?? []).map((call) => ({
            id: call.id ?? "",
            name: call.name,
            arguments: call.args as Record<string, unknown>,
          }))
        : [],
      observations: [],
      ...(usage === undefined
        ? {}
        : {
            metrics: {
              promptTokens: usage.input_tokens,
              completionTokens: usage.output_tokens,
              cachedTokens: usage.input_token_details?.cache_read ?? 0,
            },
          }),
    });
  }
  return turns;
}

/** What the agent said and did, readable, whole. */
export const transcriptOf = (turns: readonly ConversationTurn[]): string =>
  turns
    .filter((turn) => turn.source === "agent")
    .map((turn) =>
      [
        turn.message.trim(),
        ...turn.toolCalls.map((call) => {
          const answer = turn.observations.find((o) => o.callId === call.id)?.content ?? "";
          return `$ ${typeof call.arguments["command"] === "string" ? call.arguments["command"] : JSON.stringify(call.arguments)}\n${answer}`;
        }),
      ]
        .filter((part) => part !== "")
        .join("\n\n"),
    )
    .join("\n\n");
