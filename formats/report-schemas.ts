import { z } from "zod";
import { doctorReportSchema } from "./doctor-report.js";
import { errorReportSchema, generationReportSchema, taskReportSchema } from "./generation-report.js";
import { replayReportSchema } from "./replay-report.js";
import { checkReportSchema } from "./skill/check-report.js";
import { pdiReportSchema } from "./trajectory/pdi-report.js";
import { trialReportSchema } from "./trial-report.js";

/** What scripts read, by the name of its JSON Schema file (`spark-skills/schemas/<name>.schema.json`). */
export const reportSchemas: Record<string, z.ZodType> = {
  trial: trialReportSchema,
  pdi: pdiReportSchema,
  replay: replayReportSchema,
  check: checkReportSchema,
  generate: generationReportSchema,
  distill: taskReportSchema,
  doctor: doctorReportSchema,
  error: z.object({ error: errorReportSchema }),
};
