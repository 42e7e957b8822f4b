import { z } from "zod";
import { type AttemptRecord, backendSchema, verifierModeSchema } from "../state/attempt.js";
import { errorReportSchema } from "./generation-report.js";

/** What `trial --json` prints: a promise to scripts. `dir` is absolute. */
export const trialReportSchema = z.object({
  task: z.string(),
  agent: z.string(),
  status: z.enum(["passed", "failed", "unscored"]),
  reward: z.number().nullable(),
  rewards: z.record(z.string(), z.number()).nullable(),
  error: errorReportSchema.nullable(),
  backend: backendSchema,
  verifier: verifierModeSchema,
  withheld: z.array(z.string()),
  tampered: z.array(z.string()),
  durationMs: z.number(),
  dir: z.string(),
});
export type TrialReport = z.infer<typeof trialReportSchema>;

export const trialReport = (task: string, record: AttemptRecord, dir: string): TrialReport => ({
  task,
  agent: record.rollout.agent,
  status: record.reward === null ? "unscored" : record.reward >= 1 ? "passed" : "failed",
  reward: record.reward,
  rewards: record.rewards,
  error: record.error,
  backend: record.rollout.backend,
  verifier: record.rollout.verifier,
  withheld: record.withheld,
  tampered: record.tampered,
  durationMs: record.durationMs,
  dir,
});
