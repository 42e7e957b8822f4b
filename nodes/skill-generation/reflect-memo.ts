import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { readTask } from "../../formats/harbor/read-task.js";
import { checkMemo } from "../../formats/memo.js";
import { renderPrompt } from "../../prompts/skill-generation/prompts.js";
import { type AttemptRecord, scoredAttempts } from "../../state/attempt.js";
import { cutText } from "../../state/cut-text.js";
import { SparkError } from "../../state/errors.js";
import { settingsOf } from "../../state/settings.js";
import type { ModelCall } from "../../state/skill.js";
import { currentMemo, type MemoRecord, type SkillGenerationUpdate, skillGenerationSettingsSchema } from "../../state/skill-generation.js";
import type { Writes } from "../../state/writes.js";
import { askText } from "../../tools/ask-text.js";
import type { Capabilities } from "../../tools/capabilities.js";
import { runPlaceOf } from "../../tools/run-place.js";

/** Replies that are asked for: the first, and one more when it is refused. */
const REPLIES = 2;

export interface ReflectMemoSlice {
  task: string;
  attempts: AttemptRecord[];
  memos: MemoRecord[];
}

/**
 * Rewrites the memo after a failed attempt. A reply that is error text, lacks a section or is too large never replaces a good memo
 * (spark.md 6.2): it is asked for once more with the reason, then the old memo stays and the record says so.
 */
export const createReflectMemo =
  (capabilities: Capabilities) =>
  async (state: ReflectMemoSlice, config: LangGraphRunnableConfig): Promise<Writes<SkillGenerationUpdate, "memos">> => {
    const settings = settingsOf(skillGenerationSettingsSchema, config);
    const { store, id } = runPlaceOf(config, state.task, capabilities);
    const failed = scoredAttempts(state.attempts);
    const last = failed.at(-1);
    if (last === undefined) throw new SparkError("reflect-memo was reached without a failed attempt", { code: "internal" });
    const task = await readTask(state.task);
    const before = currentMemo(state.memos)?.memo ?? null;
    const handle = await capabilities.model("summary", settings, { maxOutputTokens: settings.reflectOutputTokens });
    const prompts = { settings, overrides: capabilities.prompts as never };
    const input = {
      task: task.directory,
      instruction: cutText(task.instruction, settings.instructionCharacters, "start"),
      memo: await store.text(before),
      status: last.status,
      reward: last.reward ?? 0,
      attempt: last.attempt + 1,
      failedAttempts: failed.length,
      passed: last.passed,
      total: last.total,
      commands: await store.text(last.rollout.commandText),
      testSummary: await store.text(last.testSummary),
      stop: last.rollout.stopDetail,
    };
    const calls: ModelCall[] = [];
    const problems: string[] = [];
    for (let reply = 0; reply < REPLIES; reply += 1) {
      const system = renderPrompt("reflectSystem", {}, prompts);
      const user = renderPrompt("reflectUser", { ...input, refused: problems.at(-1) ?? "" }, prompts);
      const answer = await askText({ handle, store, budget: capabilities.budget, system, user }, config);
      const problem = answer.problem ?? checkMemo(answer.text, { maxCharacters: settings.memoCharacters }).join("; ");
      calls.push({ ...answer.call, refused: problem || null });
      if (problem === "")
        return { memos: { id, attempt: last.attempt, accepted: true, memo: await store.put(answer.text.trim(), "md"), problems, calls } };
      problems.push(problem);
    }
    return { memos: { id, attempt: last.attempt, accepted: false, memo: before, problems, calls } };
  };
