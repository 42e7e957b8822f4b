import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { readTask } from "../../formats/harbor/read-task.js";
import { runGate } from "../../formats/skill/gate/gate.js";
import { publishSkill } from "../../formats/skill/publish.js";
import { type AttemptRecord, commandsFileSchema } from "../../state/attempt.js";
import { SparkError } from "../../state/errors.js";
import { settingsOf } from "../../state/settings.js";
import type { SkillRecord } from "../../state/skill.js";
import { type SkillGenerationUpdate, skillGenerationSettingsSchema } from "../../state/skill-generation.js";
import type { Writes } from "../../state/writes.js";
import type { Capabilities } from "../../tools/capabilities.js";
import { runPlaceOf } from "../../tools/run-place.js";

export interface GateSlice {
  task: string;
  attempts: AttemptRecord[];
  skill: SkillRecord | null;
}

/** Checks the distilled skill and publishes it under skills/NAME, or keeps it under rejected/NAME with the findings. */
export const createGate =
  (capabilities: Pick<Capabilities, "runsDir" | "redact">) =>
  async (state: GateSlice, config: LangGraphRunnableConfig): Promise<Writes<SkillGenerationUpdate, "gateReport">> => {
    const settings = settingsOf(skillGenerationSettingsSchema, config);
    const { store, id, address } = runPlaceOf(config, state.task, capabilities);
    const record = state.skill;
    if (record === null || record.text === null || record.name === null)
      throw new SparkError("gate was reached without a distilled skill", { code: "internal" });
    const task = await readTask(state.task);
    const skill = { directory: record.name, text: await store.text(record.text), files: {} };
    const { passed, findings } = await runGate({ skill, task });
    const solved = state.attempts.find((attempt) => attempt.attempt === record.attempt && attempt.status !== "INFRA_ERROR");
    const commands = commandsFileSchema.parse(JSON.parse((await store.text(solved?.rollout.commands ?? null)) || "[]"));
    const provenance = {
      skill: record.name,
      run: address.run,
      task: task.directory,
      taskName: task.name,
      taskDigest: task.digest,
      attempt: record.attempt,
      reward: solved?.reward ?? null,
      backend: solved?.rollout.backend ?? null,
      verifier: solved?.rollout.verifier ?? null,
      verifierShownToTeacher: settings.showVerifier,
      teacher: settings.model,
      author: record.calls.at(-1)?.model ?? null,
      commands: commands.map(({ index, command, exitCode, output }) => ({ index, command, exitCode, output: output.path })),
    };
    const path = await publishSkill(store.dir, skill, { passed, findings }, provenance);
    return { gateReport: { id, skill: record.id, passed, findings: findings.slice(0, 200), path } };
  };
