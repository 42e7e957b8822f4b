import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { TaskDirectory } from "../../formats/run-directory.js";
import { observePdi, type PdiTexts, trajectoryVocabulary } from "../../metrics/pdi.js";
import type { AttemptRecord } from "../../state/attempt.js";
import type { PdiRecord } from "../../state/pdi.js";
import { settingsOf } from "../../state/settings.js";
import { type MemoRecord, type SkillGenerationUpdate, skillGenerationSettingsSchema } from "../../state/skill-generation.js";
import type { Writes } from "../../state/writes.js";
import type { Capabilities } from "../../tools/capabilities.js";
import { runPlaceOf } from "../../tools/run-place.js";

export interface PdiCheckSlice {
  task: string;
  attempts: AttemptRecord[];
  memos: MemoRecord[];
  pdi: PdiRecord[];
}

/**
 * Does the new memo follow what was executed, or repeat the old plan? One observation a replaced memo; a reflection that failed left the
 * memo as it was and says nothing about the plan, so it is not observed (spark.md 6.2: error text looked like a recovery).
 */
export const createPdiCheck =
  (capabilities: Pick<Capabilities, "runsDir" | "redact">) =>
  async (state: PdiCheckSlice, config: LangGraphRunnableConfig): Promise<Writes<SkillGenerationUpdate, "pdi">> => {
    const settings = settingsOf(skillGenerationSettingsSchema, config);
    const memo = state.memos.at(-1);
    if (settings.pdi === "off" || memo === undefined || !memo.accepted) return {};
    const { store, id } = runPlaceOf(config, state.task, capabilities);
    const observations = await Promise.all(state.memos.filter((record) => record.accepted).map((record) => textsOf(record, state, store)));
    const values = observePdi(state.pdi, {
      ...observations.at(-1)!,
      method: settings.pdiMethod,
      vocabulary: trajectoryVocabulary(observations),
    });
    return { pdi: { ...values, id, attempt: memo.attempt, method: settings.pdiMethod } };
  };

/** The texts of one reflection: the memos on both sides, the attempt's commands, the failed tests of it and of the attempt just before. */
async function textsOf(memo: MemoRecord, { attempts, memos }: PdiCheckSlice, store: TaskDirectory): Promise<PdiTexts> {
  const scored = attempts.filter((record) => record.status !== "INFRA_ERROR");
  const at = scored.findIndex((record) => record.attempt === memo.attempt);
  const before = memos[memos.indexOf(memo) - 1]?.memo ?? null;
  return {
    memoBefore: await store.text(before),
    memoAfter: await store.text(memo.memo),
    commands: await store.text(scored[at]?.rollout.commandText ?? null),
    failedTests: scored[at]?.failedTests ?? [],
    previousFailedTests: scored[at - 1]?.failedTests ?? [],
  };
}
