import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { renderPrompt } from "../../prompts/skill-generation/prompts.js";
import { SparkError } from "../../state/errors.js";
import type { PdiRecord } from "../../state/pdi.js";
import { settingsOf } from "../../state/settings.js";
import { type SkillGenerationUpdate, skillGenerationSettingsSchema } from "../../state/skill-generation.js";
import type { Writes } from "../../state/writes.js";
import type { Capabilities } from "../../tools/capabilities.js";

/** Turns a triggered observation into what the teacher is told before its next attempt; stamped with the attempt it follows. */
export const createIntervene =
  (capabilities: Pick<Capabilities, "prompts">) =>
  async (state: { pdi: PdiRecord[] }, config: LangGraphRunnableConfig): Promise<Writes<SkillGenerationUpdate, "guidance">> => {
    const settings = settingsOf(skillGenerationSettingsSchema, config);
    const observation = state.pdi.at(-1);
    if (observation === undefined || observation.level === null)
      throw new SparkError("intervene was reached without a triggered observation", { code: "internal" });
    const prompts = { settings, overrides: capabilities.prompts as never };
    const text = renderPrompt(observation.level === "strong" ? "strongIntervention" : "softIntervention", {}, prompts);
    return {
      guidance: {
        id: config.executionInfo?.taskId ?? crypto.randomUUID(),
        afterAttempt: observation.attempt,
        level: observation.level,
        text,
      },
    };
  };
