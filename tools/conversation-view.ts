import { type BaseMessage, ToolMessage } from "@langchain/core/messages";

/** Tool answers at the end of the conversation that are never shortened. */
const KEPT_WHOLE = 4;
/** What is left of a shortened answer: its first characters hold the exit code. */
const SHORTENED_CHARACTERS = 240;

/**
 * What the model sees of a conversation: from the oldest on, tool answers are shortened until the whole fits into
 * `characters`. The messages themselves are not changed; the record keeps them.
 */
export function conversationView(messages: readonly BaseMessage[], characters: number): BaseMessage[] {
  const view = [...messages];
  let size = view.reduce(
    (sum, message) => sum + message.text.length + JSON.stringify((message as { tool_calls?: unknown }).tool_calls ?? "").length,
    0,
  );
  const answers = view.flatMap((message, index) => (ToolMessage.isInstance(message) ? [index] : []));
  for (const index of answers.slice(0, -KEPT_WHOLE)) {
    if (size <= characters) break;
    const message = view[index] as ToolMessage;
    if (message.text.length <= SHORTENED_CHARACTERS * 2) continue;
    const content = `${message.text.slice(0, SHORTENED_CHARACTERS)}\n[... ${message.text.length - SHORTENED_CHARACTERS} characters of this older output left out to save room; run the command again if you need them ...]`;
    size -= message.text.length - content.length;
    view[index] = new ToolMessage({
      content,
      tool_call_id: message.tool_call_id,
      ...(message.name === undefined ? {} : { name: message.name }),
    });
  }
  return view;
}
