import { z } from "zod";

export const pdiMethodSchema = z.enum(["token_overlap", "js_divergence", "js_divergence_release"]);
export type PdiMethod = z.infer<typeof pdiMethodSchema>;

export const pdiModeSchema = z.enum(["off", "observe", "on"]);
export type PdiMode = z.infer<typeof pdiModeSchema>;

/** The numbers of one observation, whole precision (spark.md section 3). */
export const pdiValuesSchema = z.object({
  step: z.number().int().describe("Number of memos replaced before this one; an older release starts at -1"),
  proxyExec: z.number().describe("How much of the memo's facts the attempt's commands show, 0 to 1"),
  proxyPlan: z.number().describe("How alike the new plan is to the one before, 0 to 1"),
  proxyOss: z.number().describe("How little facts and failing tests have moved, 0 to 1"),
  rawPdi: z.number().describe("exec - plan - oss, from the second observation on of their z scores"),
  weight: z.number().describe("min(1, step / 2)"),
  weightedPdi: z.number().describe("weight * raw"),
  triggered: z.boolean(),
  level: z.enum(["soft", "strong"]).nullable(),
});
export type PdiValues = z.infer<typeof pdiValuesSchema>;

/** One observation in a run: the values plus which attempt they belong to. */
export const pdiRecordSchema = pdiValuesSchema.extend({
  id: z.string().describe("Task id of the execution that computed it"),
  attempt: z.number().int().nonnegative().describe("Counts from 0, as on the wire"),
  method: pdiMethodSchema,
});
export type PdiRecord = z.infer<typeof pdiRecordSchema>;
