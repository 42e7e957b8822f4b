import { withLangGraph } from "@langchain/langgraph/zod";
import { z } from "zod";
import { artifactRefSchema } from "./artifact.js";
import { type AttemptRecord, attemptRecordSchema, isSolved, rolloutSchema, scoredAttempts } from "./attempt.js";
import { field, upsertById } from "./channels.js";
import { pdiMethodSchema, pdiModeSchema, pdiRecordSchema } from "./pdi.js";
import { gateReportSchema, modelCallSchema, skillRecordSchema } from "./skill.js";

/** One reflection: the memo that is in force after it, and how it came about. */
export const memoRecordSchema = z.object({
  id: z.string().describe("Task id of the execution that reflected"),
  attempt: z.number().int().nonnegative().describe("The failed attempt it reflects on, counts from 0"),
  accepted: z.boolean().describe("False when every reply was refused and the memo before it stays in force"),
  memo: artifactRefSchema.nullable().describe("The memo in force afterwards, null while there is none"),
  problems: z.array(z.string()).describe("Why replies were refused"),
  calls: z.array(modelCallSchema),
});
export type MemoRecord = z.infer<typeof memoRecordSchema>;

/** One intervention; it is for the attempt after `afterAttempt` and ignored later. */
export const guidanceRecordSchema = z.object({
  id: z.string(),
  afterAttempt: z.number().int().nonnegative(),
  level: z.enum(["soft", "strong"]),
  text: z.string().max(8000).describe("What the teacher is told; names no metric and no value"),
});
export type GuidanceRecord = z.infer<typeof guidanceRecordSchema>;

/** Infrastructure failures in a row that are retried before the task ends as unscored (spark.md section 2). */
export const MAX_INFRASTRUCTURE_RETRIES = 2;

/** Names of the prompts that a user can replace, by the factory or by a settings field of the same name with the suffix `Prompt`. */
export const promptNames = [
  "exploreSystem",
  "exploreTask",
  "retryInjection",
  "softIntervention",
  "strongIntervention",
  "reflectSystem",
  "reflectUser",
  "distillSystem",
  "distillUser",
] as const;
export type PromptName = (typeof promptNames)[number];

const promptField = (node: string, what: string) =>
  withLangGraph(z.string().default("").describe(`${what}. A mustache template over the prompt's input; empty: the built-in text`), {
    jsonSchemaExtra: { langgraph_type: "prompt", langgraph_nodes: [node] },
  });

const count = (init: number, what: string) => z.number().int().positive().default(init).describe(what);

/** Everything a trial can be told: serialisable, the context schema of its graphs, saved in config.json. */
export const trialSettingsSchema = z.object({
  agent: z
    .enum(["spark", "oracle", "nop"])
    .default("spark")
    .describe("Who works on the task: our agent, the task's own solution, or nobody"),
  model: z.string().default("").describe("Teacher model, the id as the endpoint wants it; empty: SPARK_MODEL"),
  sandbox: z
    .enum(["auto", "docker", "virtual"])
    .default("auto")
    .describe("auto takes Docker when it answers, else the embedded sandbox where the task allows it"),
  verifier: z.enum(["auto", "fresh", "shared"]).default("auto").describe("Where the tests run; auto lets the task's own oracle decide"),
  preflight: z.boolean().default(true).describe("Run the oracle once before any model is paid for"),
  timeoutMultiplier: z.number().positive().default(1).describe("Scales every limit of the task"),
  maxSteps: count(100, "Model calls of an attempt"),
  maxAttemptTokens: count(2_000_000, "Input plus output tokens of an attempt"),
  maxAttemptCostUsd: z.number().positive().nullable().default(null).describe("US dollars of an attempt; null: no limit"),
  attemptTimeoutSec: z.number().positive().default(1800).describe("Seconds of work of an attempt when the task names no agent timeout"),
  commandTimeoutSec: z.number().positive().default(180).describe("Seconds of one command when the model asks for no limit of its own"),
  contextCharacters: count(400_000, "Characters of the conversation that a model sees before old tool outputs are shortened"),
  shownCharacters: count(8_000, "Characters of one command's output that the model sees"),
  leaseSec: z.number().nonnegative().default(600).describe("Seconds an attempt's container outlives this process"),
  allowEnv: z.array(z.string()).default([]).describe("Names of variables that the task's env templates may read"),
  skills: z.array(z.string()).default([]).describe("Skill directories given to the agent"),
  showVerifier: z
    .boolean()
    .default(false)
    .describe("Show the verifier to the teacher with its expected values removed; recorded in the skill's provenance"),
  exploreSystemPrompt: promptField("explore", "System message of the teacher"),
  exploreTaskPrompt: promptField("explore", "First user message of an attempt"),
});
export type TrialSettings = z.output<typeof trialSettingsSchema>;

/** Settings of a skill-generation run: the form in Studio, the flags of `generate`, the content of config.json. Characters are budgets for what a model is shown. */
export const skillGenerationSettingsSchema = trialSettingsSchema.extend({
  summaryModel: z.string().default("").describe("Model that reflects and distils; empty: the teacher"),
  maxAttempts: count(3, "Scored attempts of a task; infrastructure failures cost none"),
  pdi: pdiModeSchema.default("on").describe("off: not computed; observe: computed and logged; on: also steers the teacher"),
  pdiMethod: pdiMethodSchema.default("token_overlap"),
  instructionCharacters: count(32_768, "Budget of the instruction"),
  memoCharacters: count(12_000, "Budget of the memo; a longer one is refused"),
  commandsCharacters: count(16_000, "Budget of the attempt's commands"),
  testSummaryCharacters: count(16_384, "Budget of the test summary"),
  agentOutputCharacters: count(32_000, "Budget of the agent's output for the skill"),
  environmentCharacters: count(12_000, "Budget of the environment's description"),
  reflectOutputTokens: count(16_384, "Output limit of a reflection"),
  skillOutputTokens: count(32_768, "Output limit of a distillation"),
  retryInjectionPrompt: promptField("explore", "What is added to the instruction from the second attempt on"),
  softInterventionPrompt: promptField("intervene", "Soft intervention"),
  strongInterventionPrompt: promptField("intervene", "Strong intervention"),
  reflectSystemPrompt: promptField("reflect-memo", "System message of the reflection"),
  reflectUserPrompt: promptField("reflect-memo", "User message of the reflection"),
  distillSystemPrompt: promptField("distill", "System message of the distillation"),
  distillUserPrompt: promptField("distill", "User message of the distillation"),
});
export type SkillGenerationSettings = z.output<typeof skillGenerationSettingsSchema>;
/** What a caller may pass as `context`: every field optional. */
export type SkillGenerationContext = z.input<typeof skillGenerationSettingsSchema>;

/** What a caller passes to `invoke`. */
export const skillGenerationInput = z.object({
  task: z.string().min(1).describe("Path of a Harbor task directory"),
});

/** The channels. Each has one writer: rollout explore, attempts verify, memos reflect-memo, pdi pdi-check, guidance intervene, skill distill, gateReport gate. */
export const skillGenerationState = z.object({
  task: field(z.string(), () => ""),
  rollout: field(rolloutSchema.nullable(), () => null),
  attempts: upsertById(attemptRecordSchema),
  memos: upsertById(memoRecordSchema),
  pdi: upsertById(pdiRecordSchema),
  guidance: upsertById(guidanceRecordSchema),
  skill: field(skillRecordSchema.nullable(), () => null),
  gateReport: field(gateReportSchema.nullable(), () => null),
});
export type SkillGenerationState = z.output<typeof skillGenerationState>;

/** What nodes may write; each node's return type picks its one channel (see writes.ts). */
export interface SkillGenerationUpdate {
  rollout: SkillGenerationState["rollout"];
  attempts: AttemptRecord;
  memos: MemoRecord;
  pdi: z.output<typeof pdiRecordSchema>;
  guidance: GuidanceRecord;
  skill: SkillGenerationState["skill"];
  gateReport: SkillGenerationState["gateReport"];
}

/** Number of the attempt that runs next or now, from 0. */
export const nextAttempt = (attempts: readonly AttemptRecord[]): number => scoredAttempts(attempts).length;

/** Infrastructure failures since the last scored attempt; a container that was lost while nobody was there does not count. */
export function infrastructureFailuresInARow(attempts: readonly AttemptRecord[]): number {
  let failures = 0;
  for (const record of attempts.toReversed()) {
    if (record.status !== "INFRA_ERROR") break;
    if (record.error?.code !== "sandbox-lost") failures += 1;
  }
  return failures;
}

/** Every infrastructure record since the last scored attempt, lost containers included: names retry folders. */
export function retriesOfAttempt(attempts: readonly AttemptRecord[]): number {
  const scored = nextAttempt(attempts);
  return attempts.filter((record) => record.status === "INFRA_ERROR" && record.attempt === scored).length;
}

/** The memo in force. */
export const currentMemo = (memos: readonly MemoRecord[]): MemoRecord | undefined => memos.at(-1);

/** The scored attempt that solved the task, if one did. */
export const solvedAttempt = (attempts: readonly AttemptRecord[]): AttemptRecord | undefined => attempts.find(isSolved);
