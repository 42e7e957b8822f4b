import { z } from "zod";

/** What `doctor --json` prints. */
export const doctorReportSchema = z.object({
  ok: z.boolean(),
  checks: z.array(z.object({ name: z.string(), ok: z.boolean(), message: z.string(), fix: z.string().nullable() })),
});
export type DoctorCheck = z.infer<typeof doctorReportSchema>["checks"][number];
