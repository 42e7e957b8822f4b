import { z } from "zod";
import { attemptStatusSchema } from "../../state/attempt.js";
import { pdiMethodSchema } from "../../state/pdi.js";
import { findingSchema } from "../../state/skill.js";

/**
 * The lines of `trajectory.jsonl`, one JSON object an event, wire names as in the public SPARK release (spark.md section 2), so that its tools
 * read ours and ours read its. Unknown keys are kept. A key that older releases lack has a default when read; a writer gives every key of a type.
 */

/** A text that stands whole in a file: `path` is relative to the log's folder, `bytes` its size. */
export const wireRefSchema = z.looseObject({ path: z.string(), sha256: z.string(), bytes: z.number().int().nonnegative() });
export type WireRef = z.infer<typeof wireRefSchema>;

const ref = () => wireRefSchema.nullable().optional().describe("Names the whole of the text beside it");
const text = () => z.string().default("");
const count = () => z.number().int().nonnegative().default(0);

const common = {
  id: z.string().optional().describe("Identity of the event; the last line of an identity wins. The release's lines have none"),
  ts: z.number().nullable().default(null).describe("Seconds since 1970, UTC"),
};
const attempt = z.number().int().nonnegative().describe("Counts from 0");
const retry = z.number().int().nonnegative().default(0).describe("Infrastructure failures of this attempt before this execution");
const wireErrorSchema = z.looseObject({ code: z.string(), message: z.string() });

export const executionResultSchema = z.looseObject({
  type: z.literal("execution_result"),
  ...common,
  attempt,
  success: z.boolean().default(false),
  reward: z.number().nullable().default(null),
  status: attemptStatusSchema,
  n_passed: count(),
  n_tests: count(),
  agent_stdout_full: text().describe("What the agent said and did; in ours within the budget, a cut marked"),
  agent_stdout_ref: ref(),
  test_stdout_full: text(),
  test_stdout_ref: ref(),
  agent_commands: text().describe("The attempt's commands as text, whole: what PDI saw"),
  agent_commands_ref: ref().describe("Ours: the same commands with exit codes and outputs, JSON"),
  test_summary: text().describe("Whole: what PDI and the memo saw"),
  result_json: z.unknown().optional().describe("The trial's result.json"),
  ctrf_json: z.unknown().optional().describe("The verifier's CTRF report, {} when there is none"),
  retry_injection: text().describe("What was added to the instruction of this attempt"),
  error: z.string().nullable().default("").describe("Code and message of the exception that ended the agent's run; empty without one"),
});

const modelCallFields = {
  model: text(),
  system_prompt: text(),
  user_prompt: text(),
  user_prompt_ref: ref(),
  response: text(),
  response_ref: ref(),
  input_tokens: count(),
  output_tokens: count(),
  latency_s: z.number().nonnegative().default(0).describe("Seconds"),
  refused: z.string().nullable().optional().describe("Ours: why the reply was not used; null when it was"),
};

export const reflectCallSchema = z.looseObject({
  type: z.literal("reflect_call"),
  ...common,
  attempt,
  ...modelCallFields,
  memo_before: text().describe("Whole, as is the memo after"),
  memo_after: text().describe("The memo in force afterwards; a refused reply leaves the one before"),
});

export const skillGenCallSchema = z.looseObject({ type: z.literal("skill_gen_call"), ...common, attempt, ...modelCallFields });

export const pdiFieldsSchema = z.object({
  step: z.number().int(),
  proxy_exec: z.number(),
  proxy_plan: z.number(),
  proxy_oss: z.number(),
  raw_pdi: z.number(),
  weight: z.number(),
  weighted_pdi: z.number(),
  triggered: z.boolean(),
  level: z.enum(["soft", "strong"]).nullable().default(null),
});
/** The numbers of one observation in wire names. */
export type PdiFields = z.infer<typeof pdiFieldsSchema>;

export const pdiSnapshotSchema = z.looseObject({
  type: z.literal("pdi_snapshot"),
  ...common,
  attempt,
  ...pdiFieldsSchema.shape,
  method: pdiMethodSchema.optional().describe("Ours; the release's is token_overlap"),
});

export const taskSummarySchema = z.looseObject({
  type: z.literal("task_summary"),
  ...common,
  task_name: text(),
  success: z.boolean().default(false),
  total_attempts: count(),
  reward_trajectory: z.array(z.number().nullable()).default([]),
  status_trajectory: z.array(z.string()).default([]),
  total_time_s: z.number().nonnegative().default(0).describe("Seconds"),
  total_input_tokens: count(),
  total_output_tokens: count(),
  exploration_config: z.record(z.string(), z.unknown()).default({}),
});

// Further lines of our own, which the release's tools ignore.

export const attemptStartSchema = z.looseObject({ type: z.literal("attempt_start"), ...common, attempt, retry });

export const commandSchema = z.looseObject({
  type: z.literal("command"),
  ...common,
  attempt,
  retry,
  index: z.number().int().nonnegative().describe("Place in the attempt, from 0"),
  command: z.string(),
  exit_code: z.number().int().nullable().describe("Null when the command timed out or its container was lost"),
  timed_out: z.boolean().default(false),
  duration_ms: z.number().nonnegative().default(0),
  output_ref: wireRefSchema.nullable().default(null),
});

export const modelCallLineSchema = z.looseObject({
  type: z.literal("model_call"),
  ...common,
  call: z
    .string()
    .optional()
    .describe("Id of the call itself: a re-execution has the same `id` and another `call`, and both were paid for"),
  node: z.string(),
  attempt: attempt.nullable().describe("Null outside an attempt"),
  model: z.string(),
  input_tokens: count(),
  cached_tokens: count(),
  output_tokens: count(),
  cost_usd: z.number().nonnegative().nullable().default(null).describe("US dollars; null when the model's price is unknown"),
});

export const interventionSchema = z.looseObject({
  type: z.literal("intervention"),
  ...common,
  attempt: attempt.describe("The attempt after which it was made"),
  level: z.enum(["soft", "strong"]),
  text: z.string().optional(),
});

export const infraFailureSchema = z.looseObject({
  type: z.literal("infra_failure"),
  ...common,
  attempt,
  retry,
  error: wireErrorSchema,
});

export const gateLineSchema = z.looseObject({
  type: z.literal("gate"),
  ...common,
  passed: z.boolean(),
  findings: z.array(findingSchema.loose()).default([]),
  path: z.string().nullable().default(null).describe("Folder of the skill relative to the task's folder"),
});

export const runStopSchema = z.looseObject({
  type: z.literal("run_stop"),
  ...common,
  reason: z.string().describe("What ended the run or the attempt: a stop reason of an attempt, or cost, tokens, signal, cancel"),
});

export const trajectoryLineSchema = z.discriminatedUnion("type", [
  executionResultSchema,
  reflectCallSchema,
  skillGenCallSchema,
  pdiSnapshotSchema,
  taskSummarySchema,
  attemptStartSchema,
  commandSchema,
  modelCallLineSchema,
  interventionSchema,
  infraFailureSchema,
  gateLineSchema,
  runStopSchema,
]);
/** A line as it is written: every key of its type. */
export type TrajectoryLine = z.output<typeof trajectoryLineSchema>;
export type TrajectoryLineType = TrajectoryLine["type"];
export type LineOf<T extends TrajectoryLineType> = Extract<TrajectoryLine, { type: T }>;

export const trajectoryLineTypes: ReadonlySet<string> = new Set<TrajectoryLineType>([
  "execution_result",
  "reflect_call",
  "skill_gen_call",
  "pdi_snapshot",
  "task_summary",
  "attempt_start",
  "command",
  "model_call",
  "intervention",
  "infra_failure",
  "gate",
  "run_stop",
]);

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S;
type CamelKeys<T> = { [K in keyof T as K extends string ? (string extends K ? never : Camel<K>) : never]: T[K] };
type EventOf<L> = L extends unknown ? CamelKeys<L> : never;

const camelKey = (key: string): string => key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/** A line as our own readers see it: the same facts, camelCase. Values are untouched; keys that we do not know are translated too, but untyped. */
export function toEvent<L extends TrajectoryLine>(line: L): EventOf<L> {
  return Object.fromEntries(Object.entries(line).map(([key, value]) => [camelKey(key), value])) as EventOf<L>;
}
