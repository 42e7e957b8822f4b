/** The memo's sections, in order; each stands under a `###` heading (spark.md section 2). */
export const memoSections = [
  "Attempts Log",
  "Commands From Last Attempt",
  "Verified Facts",
  "Current Error Pattern",
  "Next Strategy",
] as const;
export type MemoSection = (typeof memoSections)[number];

/** Text of a memo's section: from its `###` heading to the next one or the end, trimmed; empty when the memo lacks the section. */
export function memoSection(memo: string, section: MemoSection): string {
  const lines = memo.split(/\r?\n/);
  const heading = lines.findIndex((line) => /^###\s/.test(line) && line.slice(3).trim() === section);
  if (heading === -1) return "";
  const rest = lines.slice(heading + 1);
  const next = rest.findIndex((line) => /^###(?!#)/.test(line));
  return (next === -1 ? rest : rest.slice(0, next)).join("\n").trim();
}

/** The texts of a memo's `###` headings, in order; known sections and others. */
export const memoHeadings = (memo: string): string[] =>
  memo.split(/\r?\n/).flatMap((line) => (/^###\s/.test(line) ? [line.slice(3).trim()] : []));
