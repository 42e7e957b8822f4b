import type { TaskText } from "./task-texts.js";

/** A run of lines that a skill's file has in common with a hidden one. */
export interface SharedRun {
  file: string;
  /** Of the run's first line in the skill, from 1. */
  line: number;
  /** Non-trivial lines. */
  count: number;
  /** Where it stands in the task: `file:line`. */
  source: string;
}

interface Line {
  text: string;
  line: number;
}

/** A line that many programs have: it shows no origin. */
const IDIOM =
  /^(import\b|from\s+\S+\s+import\b|#!|#include\b|using\b|package\b|(const|let|var)\s+\S+\s*=\s*require\(|if __name__\b|def main\(|main\(\)|set -[a-z]|return\b\s*\w*$|(try|else|finally|then|fi|done|do|esac|begin|end)\b\W*$|except\b.{0,30}:$|raise SystemExit)/;

/** A listing's own marks are no part of a line: bullets, quotations, comment signs. */
const normalised = (line: string): string =>
  line
    .replace(/^[\s>]*(?:[-*+]\s+|\d{1,3}[.)]\s+|#+\s+|\/\/+\s*)?/, "")
    .replace(/\s+/g, " ")
    .trim();

/** Lines with something to say: ten characters, at least six of them letters or digits, and no idiom. */
const nonTrivial = (lines: readonly string[]): Line[] =>
  lines
    .map((line, index) => ({ text: normalised(line), line: index + 1 }))
    .filter(({ text }) => text.length >= 10 && (text.match(/[\p{L}\p{N}]/gu)?.length ?? 0) >= 6 && !IDIOM.test(text));

/**
 * Runs of two or more consecutive non-trivial lines that stand in the skill and in a hidden file and not in anything visible; each skill
 * line in its longest run. Blank and trivial lines neither count nor break a run.
 */
export function sharedRuns(skill: readonly TaskText[], hidden: readonly TaskText[], visible: readonly TaskText[]): SharedRun[] {
  const seen = new Set(visible.flatMap(({ lines }) => nonTrivial(lines).map(({ text }) => text)));
  const sources = hidden.map(({ file, lines }) => ({ file, lines: nonTrivial(lines) }));
  return skill.flatMap(({ file, lines }) => {
    const mine = nonTrivial(lines).filter(({ text }) => !seen.has(text));
    const wanted = new Set(mine.map(({ text }) => text));
    const places = new Map<string, { source: (typeof sources)[number]; at: number }[]>();
    const reduced = sources.map((source) => ({ file: source.file, lines: source.lines.filter(({ text }) => !seen.has(text)) }));
    for (const source of reduced)
      for (const [at, { text }] of source.lines.entries()) {
        if (!wanted.has(text)) continue;
        const known = places.get(text) ?? [];
        // A line that a file repeats a thousand times needs no thousand starts.
        if (known.length < 50) places.set(text, [...known, { source, at }]);
      }
    return runsOf(file, mine, places);
  });
}

function runsOf(
  file: string,
  mine: readonly Line[],
  places: ReadonlyMap<string, { source: { file: string; lines: Line[] }; at: number }[]>,
): SharedRun[] {
  const runs: SharedRun[] = [];
  for (let start = 0; start < mine.length; ) {
    let best = { count: 0, source: "" };
    for (const { source, at } of places.get(mine[start]?.text ?? "") ?? []) {
      let count = 0;
      while (mine[start + count] !== undefined && mine[start + count]?.text === source.lines[at + count]?.text) count += 1;
      if (count > best.count) best = { count, source: `${source.file}:${source.lines[at]?.line ?? 1}` };
    }
    if (best.count >= 2) runs.push({ file, line: mine[start]?.line ?? 1, ...best });
    start += Math.max(1, best.count);
  }
  return runs;
}
