import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { environmentText } from "../../formats/harbor/environment-text.js";
import { readTask } from "../../formats/harbor/read-task.js";
import type { TaskDirectory } from "../../formats/run-directory.js";
import { parseSkillReply } from "../../formats/skill/reply.js";
import { executionChain } from "../../prompts/skill-generation/execution-chain.js";
import { renderPrompt } from "../../prompts/skill-generation/prompts.js";
import { type AttemptRecord, commandsFileSchema, scoredAttempts } from "../../state/attempt.js";
import { cutText } from "../../state/cut-text.js";
import { SparkError } from "../../state/errors.js";
import type { ProducedFile } from "../../state/produced-file.js";
import { settingsOf } from "../../state/settings.js";
import type { GateReport, ModelCall, SkillRecord } from "../../state/skill.js";
import {
  currentMemo,
  type MemoRecord,
  type SkillGenerationSettings,
  type SkillGenerationUpdate,
  skillGenerationSettingsSchema,
  solvedAttempt,
} from "../../state/skill-generation.js";
import type { HarborTask } from "../../state/task.js";
import type { Writes } from "../../state/writes.js";
import { askText } from "../../tools/ask-text.js";
import type { Capabilities } from "../../tools/capabilities.js";
import { runPlaceOf } from "../../tools/run-place.js";

/** Replies that are asked for: an empty, cut or error reply is asked for again, at most twice. */
const REPLIES = 3;
/** Share of the evidence budget that goes to the raw tail. */
const TAIL_CHARACTERS = 4000;

export interface DistillSlice {
  task: string;
  attempts: AttemptRecord[];
  memos: MemoRecord[];
  skill: SkillRecord | null;
  gateReport: GateReport | null;
}

/**
 * Writes a SKILL.md from the evidence of the first verified success. After a refusal by the gate it is called once more with the
 * findings. When no reply is usable the record has no text: the verified attempt stays as evidence and can be distilled later.
 */
export const createDistill =
  (capabilities: Capabilities) =>
  async (state: DistillSlice, config: LangGraphRunnableConfig): Promise<Writes<SkillGenerationUpdate, "skill">> => {
    const settings = settingsOf(skillGenerationSettingsSchema, config);
    const { store, id } = runPlaceOf(config, state.task, capabilities);
    const solved = solvedAttempt(state.attempts);
    if (solved === undefined) throw new SparkError("distill was reached without a verified success", { code: "internal" });
    const task = await readTask(state.task);
    const handle = await capabilities.model("summary", settings, { maxOutputTokens: settings.skillOutputTokens });
    const prompts = { settings, overrides: capabilities.prompts as never };
    const evidence = await evidenceOf(state, solved, task, settings, store);
    const findings = (state.gateReport?.findings ?? []).filter((finding) => finding.severity === "error");
    const round = state.skill === null || findings.length === 0 ? 0 : state.skill.round + 1;
    const calls: ModelCall[] = [];
    let refused = "";
    for (let reply = 0; reply < REPLIES; reply += 1) {
      const system = renderPrompt("distillSystem", {}, prompts);
      const before = round === 0 ? "" : `\n\nThe version before:\n\n${await store.text(state.skill?.text ?? null)}`;
      const listed =
        round === 0
          ? ""
          : findings
              .map((finding) => `- ${finding.rule}${finding.line === null ? "" : ` (line ${finding.line})`}: ${finding.message}`)
              .join("\n") + before;
      const user = renderPrompt("distillUser", { ...evidence, findings: listed, refused }, prompts);
      const answer = await askText({ handle, store, budget: capabilities.budget, system, user }, config);
      const parsed = answer.problem === null ? parseSkillReply(answer.text) : { problem: answer.problem };
      refused = "problem" in parsed ? parsed.problem : "";
      calls.push({ ...answer.call, refused: refused || null });
      if (!("problem" in parsed))
        return { skill: { id, attempt: solved.attempt, round, name: parsed.name, text: await store.put(parsed.text, "md"), calls } };
    }
    return { skill: { id, attempt: solved.attempt, round, name: null, text: null, calls } };
  };

/** The six evidence blocks of spark.md section 2, each within its budget. */
async function evidenceOf(
  state: DistillSlice,
  solved: AttemptRecord,
  task: HarborTask,
  settings: SkillGenerationSettings,
  store: TaskDirectory,
) {
  const commands = commandsFileSchema.parse(JSON.parse((await store.text(solved.rollout.commands)) || "[]"));
  const executed = await Promise.all(
    commands.map(async (record) => ({ command: record.command, exitCode: record.exitCode, output: await store.text(record.output) })),
  );
  const produced = JSON.parse((await store.text(solved.rollout.produced)) || "[]") as ProducedFile[];
  const failures = scoredAttempts(state.attempts).filter((record) => record !== solved);
  const ends = failures.map(
    (record) =>
      `- attempt ${record.attempt + 1}: ${record.status}, reward ${record.reward}, ${record.passed} of ${record.total} tests${record.rollout.stopDetail === "" ? "" : `, ${record.rollout.stopDetail}`}`,
  );
  const memo = await store.text(currentMemo(state.memos)?.memo ?? null);
  return {
    task: task.directory,
    instruction: cutText(task.instruction, settings.instructionCharacters, "start"),
    executionChain: executionChain(executed, produced, settings.agentOutputCharacters),
    verification: `The task's verifier gave reward ${solved.reward}; ${solved.passed} of ${solved.total} checks passed.`,
    lessons: cutText(
      [memo, ends.length === 0 ? "" : `How the failed attempts ended:\n${ends.join("\n")}`].filter((part) => part !== "").join("\n\n"),
      settings.memoCharacters,
      "end",
    ),
    environment: cutText(await environmentText(task), settings.environmentCharacters, "start"),
    rawTail: cutText(await store.text(solved.rollout.output), TAIL_CHARACTERS, "end"),
  };
}
