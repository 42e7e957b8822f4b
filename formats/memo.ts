import { type MemoSection, memoHeadings, memoSections } from "../state/memo.js";
import { errorTextKind } from "./error-text.js";

/** The section that a strong intervention withholds. */
const WITHHELD: MemoSection = "Next Strategy";

/**
 * Why a reflection may not replace the memo in force, a sentence a problem; empty when it may.
 * `maxCharacters` is the memo's budget. A section counts as present by its `###` heading, spelt exactly, once. Source: specs/spark.md 2 and 6.2.
 */
export function checkMemo(text: string, { maxCharacters }: { maxCharacters: number }): string[] {
  const memo = text.trim();
  if (memo === "") return ["the memo is empty"];
  const error = errorTextKind(memo);
  if (error !== null) return [`the memo is ${error} and no memo: ${JSON.stringify(memo.slice(0, 120))}`];
  const headings = memoHeadings(memo);
  const missing = memoSections.filter((section) => !headings.includes(section));
  const doubled = memoSections.filter((section) => headings.indexOf(section) !== headings.lastIndexOf(section));
  return [
    memo.length > maxCharacters ? `the memo has ${memo.length} characters, at most ${maxCharacters} are allowed` : "",
    missing.length > 0 ? `the memo lacks ${missing.map((section) => `"### ${section}"`).join(", ")}` : "",
    doubled.length > 0 ? `the memo has ${doubled.map((section) => `"### ${section}"`).join(", ")} more than once` : "",
  ].filter((problem) => problem !== "");
}

/** The memo without its Next Strategy section, for a strong intervention; a memo that lacks the section comes back as it is. */
export function memoWithoutNextStrategy(memo: string): string {
  const lines = memo.split(/\r?\n/);
  const kept: string[] = [];
  let withheld = false;
  for (const line of lines) {
    if (/^###(?!#)/.test(line)) withheld = memoHeadings(line).includes(WITHHELD);
    if (!withheld) kept.push(line);
  }
  return kept.join("\n").trimEnd();
}
