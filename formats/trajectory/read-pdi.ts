import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, resolve, sep } from "node:path";
import { z } from "zod";
import { messageOf, SparkError } from "../../state/errors.js";
import type { PdiMethod } from "../../state/pdi.js";
import { failedTestLines } from "../../state/test-summary.js";
import { type LineOf, type PdiFields, pdiFieldsSchema } from "./events.js";
import { type AttemptsCopy, readAttempts, readIfThere } from "./read-attempts.js";
import { linesOf, readJsonLines, readWholeLog } from "./read-log.js";

/** What one reflection of a run gives to PDI, and what the run recorded. */
export interface PdiObservation {
  attempt: number;
  memoBefore: string;
  memoAfter: string;
  commands: string;
  failedTests: string[];
  previousFailedTests: string[];
  recorded: PdiFields | null;
  /** Null when nothing is recorded. */
  recordedMethod: PdiMethod | null;
}

/** The reflections of one run, in order. */
export interface PdiSeries {
  /** Absolute path of the file it was read from. */
  source: string;
  task: string;
  observations: PdiObservation[];
  /** What a retrospective score needs besides; null when the run did not end with a skill, or in a snapshots file. */
  finished: { skill: string; commands: string; attempts: number; outputCharacters: number } | null;
}

const LOG = "trajectory.jsonl";

const snapshotSchema = z.looseObject({
  task: z.string(),
  attempt: z.number().int().nonnegative(),
  step: z.number().int(),
  memoBefore: z.string(),
  memoAfter: z.string(),
  agentCommands: z.string(),
  testSummary: z.string(),
  previousTestSummary: z.string(),
  expected: pdiFieldsSchema.omit({ step: true }).nullable().optional(),
});

/** A file that a log names, null when it is gone or lies outside the log's folder: a log from elsewhere must not choose what is read. */
const readNamed = async (folder: string, path: string): Promise<string | null> => {
  const target = resolve(folder, path);
  return target.startsWith(`${folder}${sep}`) ? readIfThere(target) : null;
};

interface Reflection {
  attempt: number;
  memoBefore: string;
  memoAfter: string;
}

/** One reflection an attempt. Replies that were refused leave the memo as it was and are no reflection, unless PDI recorded one. */
const reflectionsOf = (calls: readonly LineOf<"reflect_call">[], recorded: ReadonlySet<number>): Reflection[] => {
  const reflections: Reflection[] = [];
  for (const attempt of [...new Set(calls.map((call) => call.attempt))].sort((a, b) => a - b)) {
    const ofAttempt = calls.filter((call) => call.attempt === attempt);
    const [first] = ofAttempt;
    const last = ofAttempt.findLast((call) => call.refused == null) ?? ofAttempt.at(-1);
    if (first === undefined || last === undefined || (last.refused != null && !recorded.has(attempt))) continue;
    reflections.push({
      attempt,
      memoBefore: first.memo_before,
      memoAfter: last.memo_after,
    });
  }
  return reflections;
};

/** The reflections as `attempts.json` has them: every memo but the last in its history, in order, one after each failed attempt. */
const reflectionsFrom = (file: AttemptsCopy, attempts: readonly number[]): Reflection[] => {
  const memos = [...file.memo_history, file.exploration_memo ?? ""].filter((memo) => memo !== "");
  return memos.map((memoAfter, index) => ({ attempt: attempts[index] ?? index, memoBefore: memos[index - 1] ?? "", memoAfter }));
};

/** The SKILL.md of a run: where its gate published it, else (the release) beside the log. Null when there is none. */
export const skillBeside = async (folder: string, lines: Awaited<ReturnType<typeof readWholeLog>>["lines"]): Promise<string | null> => {
  const published = linesOf(lines, "gate").findLast((gate) => gate.passed && gate.path !== null)?.path;
  if (published != null) return readNamed(folder, join(published, "SKILL.md"));
  return readIfThere(join(folder, "SKILL.md"));
};

const readTrajectory = async (source: string): Promise<PdiSeries> => {
  const folder = dirname(source);
  const { lines } = await readWholeLog(source);
  const file = await readAttempts(join(folder, "attempts.json"));
  const results = new Map(linesOf(lines, "execution_result").map((line) => [line.attempt, line]));
  const snapshots = new Map(linesOf(lines, "pdi_snapshot").map((line) => [line.attempt, line]));

  const commandsOf = (attempt: number): string => {
    const line = results.get(attempt);
    if (line !== undefined) return line.agent_commands;
    return file?.attempts.find((each) => each.attempt === attempt)?.agent_commands ?? "";
  };
  const failedTestsOf = (attempt: number): string[] => {
    const line = results.get(attempt);
    if (line !== undefined) return failedTestLines(line.test_summary);
    return failedTestLines(file?.attempts.find((each) => each.attempt === attempt)?.test_summary ?? "");
  };

  let reflections = reflectionsOf(linesOf(lines, "reflect_call"), new Set(snapshots.keys()));
  if (reflections.length === 0 && file !== null) reflections = reflectionsFrom(file, [...snapshots.keys()]);

  const observations: PdiObservation[] = [];
  for (const [index, reflection] of reflections.entries()) {
    const snapshot = snapshots.get(reflection.attempt);
    const recorded = snapshot ?? file?.pdi?.history[index] ?? null;
    observations.push({
      ...reflection,
      commands: commandsOf(reflection.attempt),
      failedTests: failedTestsOf(reflection.attempt),
      previousFailedTests: failedTestsOf(reflection.attempt - 1),
      recorded: recorded && pdiFieldsSchema.parse(recorded),
      recordedMethod: recorded && (snapshot?.method ?? "token_overlap"),
    });
  }

  const solved = [...results.values()].find((line) => line.reward !== null && line.reward >= 1);
  const skill = solved === undefined ? null : await skillBeside(folder, lines);
  return {
    source,
    task: linesOf(lines, "task_summary").at(-1)?.task_name || basename(folder),
    observations,
    finished:
      solved === undefined || skill === null
        ? null
        : {
            skill,
            commands: commandsOf(solved.attempt),
            attempts: results.size,
            outputCharacters: [...results.values()].reduce(
              (sum, line) => sum + (line.agent_stdout_ref?.bytes ?? line.agent_stdout_full.length),
              0,
            ),
          },
  };
};

const readSnapshots = async (source: string): Promise<PdiSeries[]> => {
  const byTask = new Map<string, PdiSeries>();
  for await (const line of readJsonLines(source)) {
    const parsed = "problem" in line ? null : snapshotSchema.safeParse(line.value);
    if (parsed === null || !parsed.success) {
      const why = "problem" in line ? line.problem : z.prettifyError(parsed?.error as z.ZodError).replaceAll("\n", " ");
      throw new SparkError(`${source}:${line.number}: ${why}; a snapshot a line is expected`, { code: "file-invalid" });
    }
    const { task, attempt, step, memoBefore, memoAfter, agentCommands, testSummary, previousTestSummary, expected } = parsed.data;
    const series = byTask.get(task) ?? { source, task, observations: [], finished: null };
    series.observations.push({
      attempt,
      memoBefore,
      memoAfter,
      commands: agentCommands,
      failedTests: failedTestLines(testSummary),
      previousFailedTests: failedTestLines(previousTestSummary),
      recorded: expected ? { step, ...expected } : null,
      recordedMethod: expected ? "token_overlap" : null,
    });
    byTask.set(task, series);
  }
  return [...byTask.values()];
};

const readSeries = async (source: string): Promise<PdiSeries[]> => {
  for await (const line of readJsonLines(source)) {
    const isSnapshot =
      "value" in line && typeof line.value === "object" && line.value !== null && "memoAfter" in line.value && !("type" in line.value);
    return isSnapshot ? readSnapshots(source) : [await readTrajectory(source)];
  }
  throw new SparkError(`${source}: no line in it; give a trajectory.jsonl or a snapshots file with at least one`, { code: "file-invalid" });
};

/** Logs under a folder, sorted. A folder with a log is a task's: what lies under it (the agent's own files) is not looked at. */
const logsUnder = async (folder: string): Promise<string[]> => {
  const entries = await readdir(folder, { withFileTypes: true });
  if (entries.some((entry) => entry.name === LOG && !entry.isDirectory())) return [join(folder, LOG)];
  const found: string[] = [];
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.isDirectory() && entry.name !== "node_modules" && entry.name !== ".git")
      found.push(...(await logsUnder(join(folder, entry.name))));
  }
  return found;
};

/**
 * The PDI observations of a `trajectory.jsonl` (ours or the release's, with `attempts.json` beside it), of every such log under a folder, or of
 * a snapshots file (a JSON line a reflection, its `expected` values beside it). Memos, commands and failed tests come from the log; `attempts.json`
 * fills in where the log has no reflections. In a snapshots file the reflections of a task stand in order.
 * Throws SparkError `file-missing`, or `file-invalid` naming file and line.
 */
export async function readPdi(path: string): Promise<PdiSeries[]> {
  const source = resolve(path);
  const entry = await stat(source).catch((error: unknown) => {
    throw new SparkError(`${source}: ${messageOf(error)}; give a trajectory.jsonl, a folder of them or a snapshots file`, {
      code: "file-missing",
      cause: error,
    });
  });
  if (!entry.isDirectory()) return readSeries(source);
  const logs = await logsUnder(source);
  if (logs.length === 0) {
    throw new SparkError(`${source}: no ${LOG} in this folder or under it; give a run, a task's folder or a snapshots file`, {
      code: "file-missing",
    });
  }
  const series: PdiSeries[] = [];
  for (const log of logs) series.push(...(await readSeries(log)));
  return series;
}
