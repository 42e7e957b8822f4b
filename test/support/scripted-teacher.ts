import { memo, skillText } from "./generation.js";
import {
  type EndpointOptions,
  isDistillation,
  isReflection,
  isTeacher,
  type RecordedRequest,
  type Reply,
  runs,
  stepOf,
  textOf,
} from "./model-endpoint.js";

export interface TeacherScript {
  /** Commands of the attempts after the first, a reply a command. The first attempt only looks around. */
  solve(conversation: string): readonly string[];
  /** Commands of the first attempt. */
  first?: readonly string[];
  /** Stands in place of the memo. */
  reflect?(request: RecordedRequest): Reply;
  /** Stands in place of the skill. */
  distill?(request: RecordedRequest): Reply;
  /** Milliseconds that every reply takes. */
  delayMs?: number;
}

export const conversationOf = (request: RecordedRequest): string => request.body.messages.map(textOf).join("\n");
export const isRetry = (request: RecordedRequest): boolean => conversationOf(request).includes("## What earlier attempts found");

/** Solves the task of `openPlace().task()`. */
export const sayReady = ["printf ready > answer.txt", "cat answer.txt"];

/**
 * A teacher that fails at first, learns from the memo and then solves the task; it also reflects and distils. It goes by the content of
 * a request alone, so a repeated request has the same answer.
 */
export function scriptedTeacher(script: TeacherScript): EndpointOptions["reply"] {
  const reply = (request: RecordedRequest): Reply => {
    if (isReflection(request)) return script.reflect?.(request) ?? { text: memo() };
    if (isDistillation(request)) return script.distill?.(request) ?? { text: skillText() };
    if (!isTeacher(request)) return { text: "ready" };
    const commands = isRetry(request) ? script.solve(conversationOf(request)) : (script.first ?? ["ls", "echo looked around"]);
    const command = commands[stepOf(request)];
    return command === undefined ? { text: "That is all I can do." } : runs(command);
  };
  return (request) => ({ ...reply(request), ...(script.delayMs === undefined ? {} : { delayMs: script.delayMs }) });
}
