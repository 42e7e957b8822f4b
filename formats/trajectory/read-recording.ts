import { stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import { messageOf, SparkError } from "../../state/errors.js";
import type { PdiMethod, PdiMode } from "../../state/pdi.js";
import { scalarReward } from "../harbor/reward.js";
import type { LineOf, TrajectoryLine } from "./events.js";
import { type AttemptsCopy, readAttempts } from "./read-attempts.js";
import { linesOf, readWholeLog } from "./read-log.js";
import { skillBeside } from "./read-pdi.js";

/** One agent run of a recording and what the verifier said about it. */
export interface RecordedAttempt {
  /** Counts from 0, as on the wire. An infrastructure failure of ours shares the number of the attempt that follows it. */
  attempt: number;
  status: string;
  reward: number | null;
  /** It stands in the run's list of attempts; false for an infrastructure failure that cost none. */
  counted: boolean;
  /** The commands as PDI saw them. */
  commands: string;
  /** The agent's log. */
  output: string;
  /** Files that the verifier left, by name under its log directory, and the reward in them; null when nothing was judged. */
  verdict: { reward: number; files: Record<string, string> } | null;
  /** The exception that ended the run, as `Type: message`; empty without one. */
  exception: string;
}

/** A model's reply of a recording. */
export interface RecordedReply {
  text: string;
  inputTokens: number;
  outputTokens: number;
}

/** A run as it was recorded: what an agent, a verifier and a model said, and what a graph made of it. */
export interface Recording {
  /** Absolute path of the log. */
  source: string;
  task: string;
  /** The task's instruction as far as a prompt quotes it, else the task's name. */
  instruction: string;
  model: string;
  summaryModel: string;
  maxAttempts: number;
  pdi: PdiMode;
  pdiMethod: PdiMethod;
  attempts: RecordedAttempt[];
  /** Replies to reflections, by the attempt that they reflect on. */
  reflections: Map<number, RecordedReply[]>;
  distillations: RecordedReply[];
  /** The SKILL.md that the run published. */
  skill: string | null;
  /** The same facts where a recording writes them a second time. */
  copies: { file: AttemptsCopy | null; summary: LineOf<"task_summary"> | null };
}

/**
 * Reads a recorded run, the release's or ours: a folder with `trajectory.jsonl` (and `attempts.json`, SKILL.md beside it), or the log itself.
 * Throws SparkError `file-missing`, or `file-invalid` naming file and line.
 */
export async function readRecording(path: string): Promise<Recording> {
  const source = await logOf(resolve(path));
  const folder = dirname(source);
  const { lines } = await readWholeLog(source);
  const file = await readAttempts(join(folder, "attempts.json"));
  const summary = linesOf(lines, "task_summary").at(-1) ?? null;
  const attempts = lines.flatMap(attemptOf);
  if (attempts.length === 0)
    throw new SparkError(`${source}: no execution_result in it, so there is nothing to replay; give a run's log`, { code: "file-invalid" });
  const reflected = linesOf(lines, "reflect_call");
  const distilled = linesOf(lines, "skill_gen_call");
  const task = summary?.task_name || basename(folder);
  const config = summary?.exploration_config ?? {};
  const summaryModel = distilled[0]?.model || reflected[0]?.model || "recorded";
  return {
    source,
    task,
    instruction: instructionOf(distilled[0]?.user_prompt ?? "") ?? task,
    model: typeof config["model"] === "string" && config["model"] !== "" ? config["model"] : summaryModel,
    summaryModel,
    maxAttempts:
      file?.max_retries ??
      wholeNumber(config["max_retries"]) ??
      wholeNumber(config["maxAttempts"]) ??
      attempts.filter(({ counted }) => counted).length,
    pdi: file?.pdi?.enabled === false ? "off" : file?.pdi?.observe_only === true ? "observe" : "on",
    pdiMethod: linesOf(lines, "pdi_snapshot").find(({ method }) => method !== undefined)?.method ?? "token_overlap",
    attempts,
    reflections: new Map(reflected.map(({ attempt }) => [attempt, reflected.filter((line) => line.attempt === attempt).map(replyOf)])),
    distillations: distilled.map(replyOf),
    skill: await skillBeside(folder, lines),
    copies: { file, summary },
  };
}

async function logOf(path: string): Promise<string> {
  const entry = await stat(path).catch((error: unknown) => {
    throw new SparkError(`${path}: ${messageOf(error)}; give the folder of a recorded run or its trajectory.jsonl`, {
      code: "file-missing",
      cause: error,
    });
  });
  return entry.isDirectory() ? join(path, "trajectory.jsonl") : path;
}

function attemptOf(line: TrajectoryLine): RecordedAttempt[] {
  if (line.type === "infra_failure")
    return [
      {
        attempt: line.attempt,
        status: "INFRA_ERROR",
        reward: null,
        counted: false,
        commands: "",
        output: "",
        verdict: null,
        exception: `${line.error.code}: ${line.error.message}`,
      },
    ];
  if (line.type !== "execution_result") return [];
  const { attempt, status, reward } = line;
  const exception = exceptionOf(line.result_json) ?? line.error ?? "";
  return [
    {
      attempt,
      status,
      reward,
      counted: true,
      commands: line.agent_commands,
      output: line.agent_stdout_full,
      verdict: verdictOf(line),
      exception,
    },
  ];
}

/** The part of a trial's result.json that says what was judged. Source: specs/harbor.md 9. */
const resultSchema = z.looseObject({
  verifier_result: z.looseObject({ rewards: z.record(z.string(), z.number()).nullish() }).nullish(),
  exception_info: z.looseObject({ exception_type: z.string().default("Exception"), exception_message: z.string().default("") }).nullish(),
});

function exceptionOf(result: unknown): string | null {
  const info = resultSchema.safeParse(result).data?.exception_info;
  return info ? `${info.exception_type}: ${info.exception_message}` : null;
}

/** What the verifier wrote, from the trial's own result; the line's `reward` is a copy and only stands in where the result was not recorded. */
function verdictOf(line: LineOf<"execution_result">): RecordedAttempt["verdict"] {
  const result = resultSchema.safeParse(line.result_json);
  const judged = result.success && "verifier_result" in result.data;
  const rewards = judged ? (result.data.verifier_result?.rewards ?? {}) : line.reward === null ? {} : { reward: line.reward };
  const reward = scalarReward(rewards);
  if (reward === null) return null;
  const files: Record<string, string> = { "reward.json": JSON.stringify(rewards), "test-stdout.txt": line.test_stdout_full };
  if (Object.keys((line.ctrf_json ?? {}) as object).length > 0) files["ctrf.json"] = JSON.stringify(line.ctrf_json);
  return { reward, files };
}

const replyOf = (line: LineOf<"reflect_call"> | LineOf<"skill_gen_call">): RecordedReply => ({
  text: line.response,
  inputTokens: line.input_tokens,
  outputTokens: line.output_tokens,
});

/** The release's distillation prompt quotes the instruction under its first heading. */
const instructionOf = (prompt: string): string | undefined =>
  /### Task Pattern:\n([\s\S]+?)\n### Success Execution Chain/.exec(prompt)?.[1]?.trim() || undefined;

const wholeNumber = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isInteger(value) && value > 0 ? value : undefined;
