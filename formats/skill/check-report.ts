import { z } from "zod";
import { findingSchema } from "../../state/skill.js";

/** What `spark-skills check --json` prints. */
export const checkReportSchema = z.object({
  skill: z.string().describe("Absolute path of the skill's folder"),
  passed: z.boolean().describe("No finding is an error"),
  findings: z.array(findingSchema).describe("Errors first, then by file and line"),
});
export type CheckReport = z.infer<typeof checkReportSchema>;
