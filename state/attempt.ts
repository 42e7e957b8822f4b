import { z } from "zod";
import { artifactRefSchema } from "./artifact.js";
import { usageSchema } from "./model.js";

/** `PASS` reward >= 1, `PARTIAL` between 0 and 1, `FAIL` 0 or less, `ERROR` the agent's run ended in an exception, `INFRA_ERROR` engine, image or provider broke. */
export const attemptStatusSchema = z.enum(["PASS", "PARTIAL", "FAIL", "ERROR", "INFRA_ERROR"]);
export type AttemptStatus = z.infer<typeof attemptStatusSchema>;

/** Why the agent stopped working on an attempt. */
export const stopReasonSchema = z.enum(["finished", "steps", "tokens", "cost", "time", "context", "format", "error"]);

export const verifierModeSchema = z.enum(["fresh", "shared"]);
export type VerifierMode = z.infer<typeof verifierModeSchema>;

export const backendSchema = z.enum(["docker", "virtual", "scripted"]);
export type Backend = z.infer<typeof backendSchema>;

export const recordErrorSchema = z.object({
  code: z.string().describe("A SparkError code, or the name of a Harbor exception for an agent that broke"),
  message: z.string(),
});

export const listenerSchema = z.object({ pid: z.number().int(), port: z.number().int(), command: z.string() });

/** What the agent did in one execution of an attempt. Nothing here is live; a crash between explore and verify costs nothing. */
export const rolloutSchema = z.object({
  id: z.string().describe("Task id of the execution that made it"),
  attempt: z.number().int().nonnegative().describe("Counts from 0"),
  retry: z.number().int().nonnegative().describe("Infrastructure failures of this attempt before this execution"),
  agent: z.string().describe("oracle, nop or spark"),
  model: z.string().nullable().describe("Id of the model that worked; null for agents without one"),
  stop: stopReasonSchema,
  stopDetail: z.string().describe("One sentence for a person; empty when the agent finished by itself"),
  backend: backendSchema,
  isolation: z.array(z.string()).describe("What separates the container from the machine, as words for a person"),
  verifier: verifierModeSchema,
  verifierProven: z.boolean().describe("The oracle earned full reward under this mode here: a missing reward then is the agent's doing"),
  snapshot: z.string().nullable().describe("Image id of the container's state after the agent; null under shared or after a failure"),
  container: z.string().nullable().describe("Name of the container, the one that verifies under shared"),
  listening: z.array(listenerSchema).describe("Processes that listened when the agent ended; fresh leaves them behind"),
  steps: z.number().int().nonnegative().describe("Model calls of the conversation"),
  commandCount: z.number().int().nonnegative(),
  commands: artifactRefSchema.nullable().describe("Every command with its exit code and output reference, JSON (commandsFileSchema)"),
  commandText: artifactRefSchema.nullable().describe("The commands as text, one after the other, as PDI and the memo see them"),
  output: artifactRefSchema.nullable().describe("What the agent said and did, readable, whole"),
  trajectory: artifactRefSchema.nullable().describe("The conversation in ATIF"),
  produced: artifactRefSchema.nullable().describe("Files that the agent left: path, size, and the text of small ones, JSON"),
  injection: artifactRefSchema.nullable().describe("What was added to the instruction for this attempt"),
  usage: usageSchema,
  runId: z.string().nullable().describe("LangSmith run id of the attempt's agent"),
  startedAt: z.string().describe("ISO 8601, UTC"),
  finishedAt: z.string(),
  error: recordErrorSchema.nullable(),
  infrastructure: z.boolean().describe("True when error is an infrastructure failure: no verdict, no attempt of the budget"),
});
export type Rollout = z.infer<typeof rolloutSchema>;

/** One executed command of a rollout, in the file behind `Rollout.commands`. */
export const commandRecordSchema = z.object({
  index: z.number().int().nonnegative(),
  command: z.string(),
  exitCode: z.number().int().nullable().describe("Null when the command timed out or its container was lost"),
  timedOut: z.boolean(),
  durationMs: z.number().nonnegative(),
  output: artifactRefSchema.describe("Standard output and error as the agent's terminal showed them, whole"),
});
export type CommandRecord = z.infer<typeof commandRecordSchema>;
export const commandsFileSchema = z.array(commandRecordSchema);

/** One test as the verifier's report names it. */
export const testResultSchema = z.object({
  name: z.string(),
  status: z.enum(["passed", "failed", "skipped", "pending", "other"]),
  message: z.string().describe("Why it failed: the trace's last error lines when the report's message is generic; empty when it passed"),
});
export type TestResult = z.infer<typeof testResultSchema>;

/** One environment-verified attempt, or one infrastructure failure on the way to it (`status: INFRA_ERROR`, `reward: null`). */
export const attemptRecordSchema = z.object({
  id: z.string().describe("The rollout's id"),
  attempt: z
    .number()
    .int()
    .nonnegative()
    .describe("Counts from 0; an infrastructure failure shares the number of the attempt that follows it"),
  retry: z.number().int().nonnegative(),
  status: attemptStatusSchema,
  reward: z.number().nullable().describe("The scalar reward, null when unscored"),
  rewards: z.record(z.string(), z.number()).nullable().describe("Everything the verifier wrote"),
  passed: z.number().int().nonnegative().describe("Tests passed"),
  total: z.number().int().nonnegative().describe("Tests run, skipped ones left out"),
  testSummary: artifactRefSchema.nullable().describe("Passed and failed tests with messages, as teacher and memo see them"),
  failedTests: z.array(z.string()).max(200).describe("The summary's failed-test lines, for PDI"),
  testOutput: artifactRefSchema.nullable(),
  withheld: z.array(z.string()).describe("Paths of the agent's changes that were not carried into the verifier's container"),
  tampered: z.array(z.string()).describe("Paths that judge and could not be restored (fresh), or were changed (shared)"),
  dir: z.string().describe("The Harbor trial directory, relative to the task's folder"),
  durationMs: z.number().nonnegative(),
  error: recordErrorSchema.nullable(),
  rollout: rolloutSchema,
});
export type AttemptRecord = z.infer<typeof attemptRecordSchema>;

/** An attempt counts as solved at reward 1 or more, whatever its status. */
export const isSolved = (record: Pick<AttemptRecord, "reward">): boolean => record.reward !== null && record.reward >= 1;

/** Records that count against the budget of attempts: everything but infrastructure failures. */
export const scoredAttempts = (records: readonly AttemptRecord[]): AttemptRecord[] => records.filter((r) => r.status !== "INFRA_ERROR");
