import { createReadStream } from "node:fs";
import { z } from "zod";
import { messageOf, SparkError } from "../../state/errors.js";
import { addUsage, noUsage, type Usage } from "../../state/model.js";
import { type LineOf, type TrajectoryLine, trajectoryLineSchema, trajectoryLineTypes } from "./events.js";

/** A line that could not be read. */
export interface LogProblem {
  /** `file:line`, the line counted from 1. */
  at: string;
  message: string;
}

/** A line of a type that this version does not know, kept as it was. */
export type UnknownLine = { type: string } & Record<string, unknown>;

export interface LogReading {
  /** One line an event: of lines with the same identity the last, standing where the first stood. */
  lines: TrajectoryLine[];
  unknown: UnknownLine[];
  problems: LogProblem[];
  /** Lines that a later one of the same identity replaced. */
  superseded: number;
  /** Whether the file ends in half a line, as a crash leaves it. */
  torn: boolean;
  /** Tokens and cost of every model call that was made, those of superseded executions included. */
  usage: Usage;
}

/** One line of a text file: its text without the line end, its number from 1, and whether a line end followed. */
interface TextLine {
  text: string;
  number: number;
  ended: boolean;
}

// Not node:readline: it also breaks at U+2028 and at a lone CR, which may stand inside a JSON string or an agent's log.
async function* textLines(path: string): AsyncGenerator<TextLine> {
  let parts: string[] = [];
  let number = 1;
  try {
    for await (const chunk of createReadStream(path, { encoding: "utf8" }) as AsyncIterable<string>) {
      let from = 0;
      for (let end = chunk.indexOf("\n"); end !== -1; end = chunk.indexOf("\n", from)) {
        parts.push(chunk.slice(from, end));
        yield { text: parts.join(""), number: number++, ended: true };
        parts = [];
        from = end + 1;
      }
      parts.push(chunk.slice(from));
    }
  } catch (error) {
    throw new SparkError(`cannot read ${path}: ${messageOf(error)}; give the path of a trajectory.jsonl`, {
      code: "file-missing",
      cause: error,
    });
  }
  const rest = parts.join("");
  if (rest !== "") yield { text: rest, number, ended: false };
}

/** One JSON value of a file, or why there is none. */
export type JsonLine = { number: number; value: unknown } | { number: number; problem: string; torn: boolean };

/** The JSON values of a JSONL file, a line a value, blank lines skipped. `torn`: the line is the last and has no line end. Throws SparkError `file-missing`. */
export async function* readJsonLines(path: string): AsyncGenerator<JsonLine> {
  for await (const { text, number, ended } of textLines(path)) {
    const content = number === 1 ? text.replace(/^\uFEFF/, "") : text;
    if (content.trim() === "") continue;
    let value: unknown;
    try {
      value = JSON.parse(content);
    } catch (error) {
      yield { number, problem: `not JSON: ${messageOf(error).slice(0, 200)}`, torn: !ended };
      continue;
    }
    yield { number, value };
  }
}

const typeOf = (value: unknown): string | undefined => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { type } = value as { type?: unknown };
  return typeof type === "string" ? type : undefined;
};

const usageOf = (lines: readonly TrajectoryLine[], calls: ReadonlyMap<string, LineOf<"model_call">>): Usage => {
  let usage = noUsage;
  for (const call of calls.values()) {
    usage = addUsage(usage, {
      inputTokens: call.input_tokens,
      cachedTokens: call.cached_tokens,
      outputTokens: call.output_tokens,
      costUsd: call.cost_usd,
    });
  }
  if (calls.size > 0) return usage;
  // The release logs no model_call lines: what its reflections and distillations say is all there is, without a price.
  for (const line of lines) {
    if (line.type !== "reflect_call" && line.type !== "skill_gen_call") continue;
    usage = addUsage(usage, { inputTokens: line.input_tokens, cachedTokens: 0, outputTokens: line.output_tokens, costUsd: null });
  }
  return usage;
};

/**
 * Reads a trajectory log, ours or the release's. A half line at the end is a crash's and no error; any other line that is not JSON or lacks what
 * its type needs is left out and stands in `problems` with file and line. Lines of one identity (`id`) are folded, the last wins (design.md 4.4).
 * A model call counts once for each `call` id (for each different line where there is none). Throws SparkError `file-missing`.
 */
export async function readLog(path: string): Promise<LogReading> {
  const byIdentity = new Map<string, TrajectoryLine>();
  const calls = new Map<string, LineOf<"model_call">>();
  const reading: Omit<LogReading, "lines" | "usage"> = { unknown: [], problems: [], superseded: 0, torn: false };

  for await (const line of readJsonLines(path)) {
    const at = `${path}:${line.number}`;
    if ("problem" in line) {
      if (line.torn) reading.torn = true;
      else reading.problems.push({ at, message: line.problem });
      continue;
    }
    const type = typeOf(line.value);
    if (type === undefined) {
      reading.problems.push({ at, message: 'not an event: an object with a text "type" is expected' });
      continue;
    }
    if (!trajectoryLineTypes.has(type)) {
      reading.unknown.push(line.value as UnknownLine);
      continue;
    }
    const parsed = trajectoryLineSchema.safeParse(line.value);
    if (!parsed.success) {
      reading.problems.push({ at, message: `${type}: ${z.prettifyError(parsed.error).replaceAll("\n", " ")}` });
      continue;
    }
    const event = parsed.data;
    if (event.type === "model_call") calls.set(event.call ?? JSON.stringify(event), event);
    const identity = event.id ?? `line ${line.number}`;
    if (byIdentity.has(identity)) reading.superseded += 1;
    byIdentity.set(identity, event);
  }

  const lines = [...byIdentity.values()];
  return { ...reading, lines, usage: usageOf(lines, calls) };
}

/** {@link readLog} for callers that cannot go on without every line. Throws SparkError `file-invalid` naming the first broken line. */
export async function readWholeLog(path: string): Promise<LogReading> {
  const reading = await readLog(path);
  const first = reading.problems[0];
  if (first !== undefined) {
    const more = reading.problems.length > 1 ? ` (and ${reading.problems.length - 1} more)` : "";
    throw new SparkError(`${first.at}: ${first.message}${more}; mend or remove the line`, { code: "file-invalid" });
  }
  return reading;
}

/** The lines of one type, in order. */
export const linesOf = <T extends TrajectoryLine["type"]>(lines: readonly TrajectoryLine[], type: T): LineOf<T>[] =>
  lines.filter((line): line is LineOf<T> => line.type === type);
