import { AIMessage, type BaseMessage } from "@langchain/core/messages";
import { createScriptedModel, type ScriptedMessage, type ScriptedModel } from "../../tools/scripted-model.js";
import { demoAttempts } from "./commands.js";
import { demoMemo, demoSkill } from "./texts.js";

/** The name under which the script stands in every record. */
export const DEMO_MODEL = "scripted-teacher";

/**
 * A model that plays teacher, reflection and distillation for the demo's one task. It holds no state: what it answers follows from the
 * conversation alone, so a repeated or resumed call gives the same.
 */
export const createDemoModel = (): ScriptedModel => createScriptedModel((messages) => replyTo(messages), { modelName: DEMO_MODEL });

function replyTo(messages: readonly BaseMessage[]): ScriptedMessage | string {
  const system = messages[0]?.text ?? "";
  const user = messages[1]?.text ?? "";
  if (system.startsWith("You keep the exploration memo")) return demoMemo(Number(/Its title says (\d+) failed/.exec(user)?.[1] ?? 1));
  if (system.startsWith("You write Agent Skills")) return demoSkill;
  const attempt = Number(/^This is attempt (\d+) of/m.exec(user)?.[1] ?? 1);
  const script = demoAttempts[Math.min(attempt, demoAttempts.length) - 1]!;
  const said = messages.filter((message) => AIMessage.isInstance(message)).length;
  return script.replies[said] ?? script.done;
}
