import { HumanMessage, SystemMessage } from "@langchain/core/messages";
import type { RunnableConfig } from "@langchain/core/runnables";
import type { TaskDirectory } from "../formats/run-directory.js";
import { SparkError } from "../state/errors.js";
import type { ModelCall } from "../state/skill.js";
import { askModel } from "./ask-model.js";
import type { ModelHandle, RunBudget } from "./capabilities.js";

/** Characters of a failed call's error that stand as its response in the record. */
const ERROR_CHARACTERS = 2000;

export interface TextReply {
  text: string;
  /** Why nothing usable came: the output limit, or the provider's failure; null when a reply came. */
  problem: string | null;
  call: ModelCall;
}

/**
 * One system and one user message in, text out, everything kept by reference. A provider's failure is a reply with a problem: whoever
 * reflects or distils keeps what it has. An abort and a reached cap are thrown.
 */
export async function askText(
  ask: { handle: ModelHandle; store: TaskDirectory; budget: RunBudget | undefined; system: string; user: string },
  config: RunnableConfig,
): Promise<TextReply> {
  const { handle, store, system, user } = ask;
  const started = performance.now();
  const base = { model: handle.id, systemPrompt: await store.put(system), userPrompt: await store.put(user), refused: null };
  try {
    const answer = await askModel(handle, [new SystemMessage(system), new HumanMessage(user)], { config, budget: ask.budget });
    const text = answer.message.text;
    const problem = answer.cut ? "it was cut at the output limit" : text.trim() === "" ? "it was empty" : null;
    const { inputTokens, outputTokens } = answer.usage;
    return { text, problem, call: { ...base, response: await store.put(text), inputTokens, outputTokens, latencyMs: answer.latencyMs } };
  } catch (error) {
    if (config.signal?.aborted || !SparkError.isInstance(error) || error.kind !== "provider") throw error;
    const response = await store.put(error.message.slice(0, ERROR_CHARACTERS));
    return {
      text: "",
      problem: error.message,
      call: { ...base, response, inputTokens: 0, outputTokens: 0, latencyMs: Math.round(performance.now() - started) },
    };
  }
}
