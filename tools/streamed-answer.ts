import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import { AIMessage, AIMessageChunk, type UsageMetadata } from "@langchain/core/messages";
import type { LLMResult } from "@langchain/core/outputs";

/**
 * Remembers why an answer ended. Under Studio and other streaming readers core 1.2.13 asks the provider for a stream, and the message
 * that `invoke` then returns has lost its finish reason; only the end hook still sees it.
 */
export class AnswerEnd extends BaseCallbackHandler {
  override readonly name = "spark-skills-answer-end";
  override awaitHandlers = true;
  finishReason: unknown;

  override handleLLMEnd(output: LLMResult): void {
    const generation = output.generations[0]?.[0];
    this.finishReason = generation?.generationInfo?.["finish_reason"] ?? this.finishReason;
  }
}

/**
 * A streamed answer as a plain one. Chunks are joined with a parser that completes broken JSON: a tool call that was cut in the middle
 * of its arguments would come out as a valid, shorter command. Such calls become invalid ones, as they are without streaming.
 * Throws when an OpenAI-compatible stream ended without a finish reason: the connection was cut.
 */
export function wholeAnswer(message: AIMessage, finishReason: unknown): AIMessage {
  if (!AIMessageChunk.isInstance(message)) return message;
  if (finishReason === undefined && message.response_metadata?.["model_provider"] === "openai")
    throw new Error("the stream ended before the answer was complete");
  const broken = new Map((message.tool_call_chunks ?? []).filter(({ args }) => !isJson(args ?? "")).map((chunk) => [chunk.id, chunk]));
  return new AIMessage({
    ...(message.id === undefined ? {} : { id: message.id }),
    content: message.content as never,
    additional_kwargs: message.additional_kwargs,
    response_metadata: message.response_metadata,
    usage_metadata: message.usage_metadata as UsageMetadata | undefined as never,
    tool_calls: (message.tool_calls ?? []).filter(({ id }) => !broken.has(id)),
    invalid_tool_calls: [
      ...(message.invalid_tool_calls ?? []).filter(({ id }) => !broken.has(id)),
      ...[...broken.values()].map(({ id, name, args }) => ({
        type: "invalid_tool_call" as const,
        id,
        name,
        args,
        error: "its arguments are not valid JSON",
      })),
    ],
  } as never);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text === "" ? "{}" : text);
    return true;
  } catch {
    return false;
  }
}
