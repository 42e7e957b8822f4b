import { z } from "zod";
import { findingSchema } from "../state/skill.js";

export const errorReportSchema = z.object({ code: z.string(), message: z.string() });

/** One task of a generation run: a promise to scripts (`generate --json`, report.json, `distill --json`). Paths are absolute. */
export const taskReportSchema = z.object({
  task: z.string().describe("Directory name"),
  name: z.string().describe("org/name of task.toml, else the directory name"),
  status: z.enum(["solved", "unsolved", "unscored", "skipped"]),
  attempts: z.number().int().nonnegative().describe("Scored attempts"),
  reward: z.number().nullable().describe("Reward of the last scored attempt"),
  skill: z.string().nullable().describe("Directory of the published skill"),
  gate: z.object({ passed: z.boolean(), findings: z.array(findingSchema) }).nullable(),
  error: errorReportSchema.nullable(),
  costUsd: z.number().nullable(),
  inputTokens: z.number(),
  outputTokens: z.number(),
});
export type TaskReport = z.infer<typeof taskReportSchema>;

/** What `generate --json` prints and `report.json` holds. */
export const generationReportSchema = z.object({
  run: z.string(),
  dir: z.string(),
  tasks: z.array(taskReportSchema),
  costUsd: z.number().nullable(),
  inputTokens: z.number(),
  outputTokens: z.number(),
  stoppedBy: z.enum(["cost", "tokens", "signal", "cancel"]).nullable(),
});
export type GenerationReport = z.infer<typeof generationReportSchema>;
