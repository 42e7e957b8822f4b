import { memoSections } from "../state/memo.js";
import { errorTextKind } from "./error-text.js";
import { fencedBlocks } from "./markdown-fences.js";

const headingOf = (line: string): string | null => (/^###\s/.test(line) ? line.slice(3).trim() : null);

/**
 * Why a reflection's reply is no memo, each reason a sentence for the model that is asked again; empty when it is one. Sections are
 * found as `memoSection` of state/memo.ts finds them, so an accepted memo is one that the PDI can read.
 */
export function checkMemo(text: string, { maxCharacters }: { maxCharacters: number }): string[] {
  if (text.trim() === "") return ["the reply is empty"];
  const problems: string[] = [];
  const kind = errorTextKind(text);
  if (kind !== null) problems.push(`the reply is ${kind}, not a memo: ${firstLine(text)}`);
  if (text.length > maxCharacters) problems.push(`the memo has ${text.length} characters, at most ${maxCharacters} are kept: make it shorter`);
  const lines = text.split(/\r?\n/);
  const headings = new Set(lines.map(headingOf));
  const missing = memoSections.filter((section) => !headings.has(section));
  if (missing.length > 0) problems.push(`the memo lacks ${missing.map((section) => `"### ${section}"`).join(", ")}: write each heading exactly so`);
  else if (lines.every((line) => line.trim() === "" || line.startsWith("#"))) problems.push("the memo has headings and nothing under them");
  return problems;
}

/**
 * The memo for an attempt that shall start afresh: the section Next Strategy is dropped with its heading, the rest stays as it is. A
 * `###` inside a code block of that section does not end it.
 */
export function memoWithoutNextStrategy(text: string): string {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => /^#{2,6}\s+Next Strategy\s*:?\s*$/i.test(line));
  if (start === -1) return text;
  const rest = lines.slice(start + 1);
  const blocks = fencedBlocks(rest);
  const inBlock = (index: number): boolean => blocks.some(({ open, close }) => close !== null && open < index && index < close);
  const length = rest.findIndex((line, index) => /^#{1,3}(?!#)\s/.test(line) && !inBlock(index));
  const kept = [...lines.slice(0, start), ...(length === -1 ? [] : rest.slice(length))].join("\n");
  return memoWithoutNextStrategy(length === -1 ? `${kept.trimEnd()}\n` : kept);
}

const firstLine = (text: string): string => {
  const line = text.trim().split("\n", 1)[0] ?? "";
  return line.length > 120 ? `${line.slice(0, 120)}…` : line;
};
