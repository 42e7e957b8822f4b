import type { Finding } from "../../../state/skill.js";
import type { HarborTask } from "../../../state/task.js";
import { isKnownConstant } from "./known-constants.js";
import { numbersIn, partsOf, roundingsOf, visibleValues } from "./numbers.js";
import { quotedStrings } from "./quoted-strings.js";
import { sharedRuns } from "./shared-lines.js";
import type { GateSubject } from "./subject.js";
import { hiddenTexts, type TaskText, visibleTexts } from "./task-texts.js";

/** Findings of one kind that are listed; a leak is a leak with the first. */
const MAX_FINDINGS = 40;

/** In a file of more numbers than this, some number rounds to any other by chance. */
const MAX_ROUNDED_NUMBERS = 500;

const place = (text: TaskText, line: number): string => `${text.file}:${line}`;
const shown = (text: string): string => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

/**
 * What stands in the task's tests, solution or verifier data but nowhere in what an agent may see, and in the skill: a number of four or
 * more significant digits, a quoted string of eight or more characters or three consecutive non-trivial lines is an error; a fractional
 * number of three digits, a string of six or seven characters, two lines are a warning (the issue, section 4). So that code and prose
 * which nobody took from anywhere are not refused, two cases of the first kind are warnings too: a constant that every program may need
 * ({@link isKnownConstant}), and plain words that stand in the skill's prose without quotes. A number counts also when it is rounded to
 * five digits or more, save those of large data files. Binary files are not compared. A finding quotes only what the skill itself says.
 */
export async function answers({ texts }: GateSubject, task: HarborTask, seen: string | undefined): Promise<Finding[]> {
  const hidden = await hiddenTexts(task);
  if (hidden.length === 0) return [];
  const visible = await visibleTexts(task, seen);
  const skill: TaskText[] = texts.map(({ file, lines }) => ({ file, lines }));
  return [...answerNumbers(skill, hidden, visible), ...answerStrings(skill, hidden, visible), ...answerLines(skill, hidden, visible)];
}

const finding = (severity: Finding["severity"], file: string, line: number, message: string): Finding => ({
  rule: "answers",
  severity,
  file,
  line,
  message,
});

function answerNumbers(skill: readonly TaskText[], hidden: readonly TaskText[], visible: readonly TaskText[]): Finding[] {
  const open = new Set<string>();
  const written = skill.flatMap((text) =>
    numbersIn(text.lines)
      .filter(({ significant, fractional }) => significant >= 4 || (significant === 3 && fractional))
      .map((number) => ({ ...number, file: text.file })),
  );
  for (const { value } of written) open.add(value);
  const where = new Map<string, string>();
  for (const text of hidden) {
    const numbers = numbersIn(text.lines);
    const rounded = numbers.length <= MAX_ROUNDED_NUMBERS;
    for (const number of numbers)
      for (const value of rounded ? [number.value, ...roundingsOf(number)] : [number.value])
        if (open.has(value) && !where.has(value)) where.set(value, place(text, number.line));
  }
  for (const text of where.size === 0 ? [] : visible) for (const value of visibleValues(text.lines)) where.delete(value);
  return firstOfEach(written, ({ value }) => value)
    .flatMap(({ value, text, significant, file, line }) => {
      const source = where.get(value);
      if (source === undefined) return [];
      const { mantissa, exponent } = partsOf(value);
      return [
        finding(
          significant >= 4 && !isKnownConstant(mantissa, exponent) ? "error" : "warning",
          file,
          line,
          `the number ${shown(text)} stands in the task's ${source} and nowhere in what an agent may see: compute it or leave it out`,
        ),
      ];
    })
    .slice(0, MAX_FINDINGS);
}

function answerStrings(skill: readonly TaskText[], hidden: readonly TaskText[], visible: readonly TaskText[]): Finding[] {
  const where = new Map<string, string>();
  for (const text of hidden)
    for (const { value, line } of quotedStrings(text.lines)) if (!where.has(value)) where.set(value, place(text, line));
  const candidates = skill.flatMap((text) => {
    const quoted = new Map<string, number>();
    for (const { value, line } of quotedStrings(text.lines)) if (!quoted.has(value)) quoted.set(value, line);
    // Tens of thousands of strings in a data file: only those whose every word is in the skill are looked for.
    const words = new Set(wordsOf(text.lines.join("\n")));
    const possible = [...where.keys()].filter((value) => wordsOf(value).every((word) => words.has(word)));
    return possible.flatMap((value) => {
      const weight = quoted.has(value) ? "error" : weightInProse(value);
      const line = quoted.get(value) ?? (weight === null ? undefined : lineOf(text.lines, value));
      if (line === undefined || weight === null) return [];
      return [{ value, file: text.file, line, severity: value.length >= 8 ? weight : ("warning" as const) }];
    });
  });
  if (candidates.length === 0) return [];
  const seen = visible.map(({ lines }) => plain(lines.join("\n")));
  return firstOfEach(candidates, ({ value }) => value)
    .filter(({ value }) => !seen.some((text) => text.includes(plain(value))))
    .map(({ value, file, line, severity }) =>
      finding(
        severity,
        file,
        line,
        `the text "${shown(value)}" stands quoted in the task's ${where.get(value)} and nowhere in what an agent may see: leave it out or say it in general`,
      ),
    )
    .slice(0, MAX_FINDINGS);
}

function answerLines(skill: readonly TaskText[], hidden: readonly TaskText[], visible: readonly TaskText[]): Finding[] {
  return sharedRuns(skill, hidden, visible)
    .map(({ file, line, count, source }) =>
      finding(
        count >= 3 ? "error" : "warning",
        file,
        line,
        `${count} lines in a row from here stand in the task's ${source} and nowhere in what an agent may see: write it from the evidence instead`,
      ),
    )
    .slice(0, MAX_FINDINGS);
}

/**
 * What it weighs that a quoted string of the task stands in the skill without quotes. Names of several words, signs, digits and long
 * phrases are taken from somewhere; a plain phrase or one capitalised word may be prose; one plain or short word says nothing.
 */
function weightInProse(value: string): Finding["severity"] | null {
  if (value.length < 8) return null;
  const words = value.split(" ");
  const capitalised = words.filter((word) => /^\p{Lu}/u.test(word)).length;
  if (/[\d_]/.test(value) || /[^\p{L}\p{N}\s]/u.test(value) || words.length >= 4 || capitalised >= 2) return "error";
  return words.length >= 2 || capitalised === 1 ? "warning" : null;
}

const wordsOf = (text: string): string[] => text.match(/[\p{L}\p{N}_]+/gu) ?? [];

const plain = (text: string): string => text.replace(/\s+/g, " ");

/** Line on which a text stands by itself, not as a part of longer words. */
function lineOf(lines: readonly string[], value: string): number | undefined {
  const index = lines.findIndex((line) => {
    const at = line.indexOf(value);
    const [before, after] = [line[at - 1] ?? " ", line[at + value.length] ?? " "];
    return at !== -1 && !(isWord(value[0]) && isWord(before)) && !(isWord(value.at(-1)) && isWord(after));
  });
  return index === -1 ? undefined : index + 1;
}

const isWord = (character: string | undefined): boolean => character !== undefined && /[\p{L}\p{N}_]/u.test(character);

function firstOfEach<T>(items: readonly T[], key: (item: T) => string): T[] {
  const first = new Map<string, T>();
  for (const item of items) if (!first.has(key(item))) first.set(key(item), item);
  return [...first.values()];
}
