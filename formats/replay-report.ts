import { z } from "zod";

const value = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/** What `spark-skills replay --json` prints. */
export const replayReportSchema = z.object({
  attempts: z.number().int().nonnegative().describe("Recorded attempts"),
  agrees: z.boolean().describe("Nothing is unexplained"),
  differences: z.array(
    z.object({
      where: z.string().describe("What differs, attempts counted from 0 as recorded: `attempt 7 pdi proxy_plan`"),
      recorded: value.describe("Null when the recording has no such thing"),
      ours: value.describe("Null when the replayed graph has no such thing"),
      because: z
        .string()
        .nullable()
        .describe("The section of spark.md that demands it and what shows that it applies here; null: unexplained"),
    }),
  ),
  unexplained: z.number().int().nonnegative().describe("Differences that nothing demands"),
});
export type ReplayReport = z.infer<typeof replayReportSchema>;
/** One difference between the recording and what the graph makes of it. */
export type ReplayDifference = ReplayReport["differences"][number];
