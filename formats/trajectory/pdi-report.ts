import { z } from "zod";
import { pdiMethodSchema } from "../../state/pdi.js";
import { pdiFieldsSchema } from "./events.js";

/** Names that are compared; `step` is taken from the record, so it cannot differ. */
export const comparedPdiNames = [
  "proxy_exec",
  "proxy_plan",
  "proxy_oss",
  "raw_pdi",
  "weight",
  "weighted_pdi",
  "triggered",
  "level",
] as const;

const retrospectiveSchema = z.object({
  source: z.string(),
  task: z.string(),
  group: z.enum(["reflected", "at-once"]),
  phi_exec: z.number(),
  phi_plan: z.number(),
  phi_oss: z.number(),
  pdi: z.number(),
  attempts: z.number().int().describe("Scored attempts: the score follows their number closely"),
  direction: z.enum(["convergent", "divergent"]).nullable(),
  slope: z.number().nullable(),
  compression: z.number().nullable(),
});

/** What `spark-skills pdi --json` prints. Numbers are rounded to four decimals, as the release records them. */
export const pdiReportSchema = z.object({
  method: z.union([pdiMethodSchema, z.literal("recorded")]).describe("The method computed; recorded: each run's own, where they differ"),
  records: z.array(
    z.object({
      source: z.string().describe("Absolute path of the file"),
      task: z.string(),
      attempt: z.number().int().nonnegative().describe("Counts from 0"),
      method: pdiMethodSchema,
      computed: pdiFieldsSchema.describe("With the recorded step, where one is recorded"),
      recorded: pdiFieldsSchema.nullable(),
      differs: z.array(z.enum(comparedPdiNames)).describe("Names whose values differ in four decimals"),
    }),
  ),
  compared: z.number().int().nonnegative().describe("Records with a recorded value"),
  differing: z.number().int().nonnegative().describe("Records with at least one difference"),
  retrospective: z.array(retrospectiveSchema).optional().describe("A score a finished task, when asked for"),
});
export type PdiReport = z.infer<typeof pdiReportSchema>;
