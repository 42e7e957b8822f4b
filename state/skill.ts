import { z } from "zod";
import { artifactRefSchema } from "./artifact.js";

/** Frontmatter of a SKILL.md, Agent Skills specification. */
export const skillMetadataSchema = z.object({
  name: z
    .string()
    .min(1)
    .max(64)
    .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "lower-case letters, digits and single hyphens"),
  description: z.string().min(1).max(1024),
  license: z.string().optional(),
  compatibility: z.string().max(500).optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  "allowed-tools": z.union([z.string(), z.array(z.string())]).optional(),
});
export type SkillMetadata = z.infer<typeof skillMetadataSchema>;

/** A skill directory in memory: SKILL.md plus whatever stands beside it. */
export interface SkillDirectory {
  /** The directory's name. */
  directory: string;
  /** Whole text of SKILL.md. */
  text: string;
  /** Other files by path relative to the directory. */
  files: Record<string, Uint8Array>;
}

export const findingSchema = z.object({
  rule: z.string().describe("Short name of the rule, kebab-case"),
  severity: z.enum(["error", "warning"]),
  file: z.string().describe("Path relative to the skill's directory"),
  line: z.number().int().positive().nullable().describe("Counts from 1"),
  message: z.string(),
});
export type Finding = z.infer<typeof findingSchema>;

export const gateReportSchema = z.object({
  id: z.string().describe("Task id of the execution that checked"),
  skill: z.string().describe("Id of the skill record that was checked"),
  passed: z.boolean(),
  findings: z.array(findingSchema).max(200),
  path: z
    .string()
    .nullable()
    .describe("The skill's folder relative to the task's folder: skills/NAME when published, rejected/NAME when refused"),
});
export type GateReport = z.infer<typeof gateReportSchema>;

/** One model reply on the way to a skill or memo, by reference. */
export const modelCallSchema = z.object({
  model: z.string(),
  systemPrompt: artifactRefSchema,
  userPrompt: artifactRefSchema,
  response: artifactRefSchema,
  inputTokens: z.number().nonnegative(),
  outputTokens: z.number().nonnegative(),
  latencyMs: z.number().nonnegative(),
  refused: z.string().nullable().describe("Why the reply was not used; null when it was"),
});
export type ModelCall = z.infer<typeof modelCallSchema>;

/** A distilled skill, or the fact that none could be made (`text` null). */
export const skillRecordSchema = z.object({
  id: z.string().describe("Task id of the execution that distilled"),
  attempt: z.number().int().nonnegative().describe("The attempt it was distilled from"),
  round: z.number().int().nonnegative().describe("0 for the first distillation, 1 after the gate's findings"),
  name: z.string().nullable(),
  text: artifactRefSchema.nullable().describe("SKILL.md"),
  calls: z.array(modelCallSchema),
});
export type SkillRecord = z.infer<typeof skillRecordSchema>;
