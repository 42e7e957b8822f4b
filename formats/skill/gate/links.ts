import { posix } from "node:path";
import type { Finding } from "../../../state/skill.js";
import { type GateRule, markdownOf } from "./subject.js";

/** `[text](target "title")`, an image too; a target with spaces stands in angle brackets. */
const INLINE = /\[(?:[^[\]]|\[[^\]]*\])*\]\(\s*(<[^>]*>|[^\s()]+(?:\([^\s()]*\)[^\s()]*)*)(?:\s+(?:"[^"]*"|'[^']*'|\([^)]*\)))?\s*\)/g;
/** `[label]: target`, but not a footnote. */
const DEFINITION = /^\s{0,3}\[(?!\^)[^\]]+\]:\s*(<[^>]*>|\S+)/;

/** What stands behind this in a line is not looked at: a search for brackets takes the square of the time. */
const MAX_LINE_CHARACTERS = 10_000;

/** Links outside of code: a relative one leads to a file of the skill; none leads out of it or to a place on somebody's machine. */
export const links: GateRule = (subject) => {
  const present = new Set(["SKILL.md", ...Object.keys(subject.skill.files)]);
  return markdownOf(subject).flatMap(({ file, lines, blocks }) =>
    lines.flatMap((line, index): Finding[] => {
      if (blocks.some(({ open, close }) => open <= index && index <= (close ?? lines.length))) return [];
      const prose = line.slice(0, MAX_LINE_CHARACTERS).replace(/(`+)(?!`).*?(?<!`)\1(?!`)/g, "");
      const targets = [...[...prose.matchAll(INLINE)].map((match) => match[1] ?? ""), DEFINITION.exec(prose)?.[1] ?? ""].filter(
        (target) => target !== "",
      );
      return targets.flatMap((target) => {
        const problem = problemOf(target.replace(/^<|>$/g, ""), file, present);
        return problem === null ? [] : [{ rule: "links", severity: "error" as const, file, line: index + 1, message: problem }];
      });
    }),
  );
};

function problemOf(target: string, file: string, present: ReadonlySet<string>): string | null {
  if (/^(https?|mailto|ftp):/i.test(target) || target.startsWith("//") || target.startsWith("#") || target === "") return null;
  const bare = decoded(target.replace(/[?#].*$/, ""));
  if (/^file:/i.test(target) || bare.startsWith("/") || bare.startsWith("~") || /^[A-Za-z]:[\\/]/.test(bare) || bare.startsWith("\\\\"))
    return `the link to ${target} is a path of one machine: put the file into the skill and link it relative to ${file}`;
  if (/^[a-z][a-z0-9+.-]*:/i.test(target)) return null;
  const path = posix.normalize(posix.join(posix.dirname(file), bare.replaceAll("\\", "/"))).replace(/\/$/, "");
  if (path === ".." || path.startsWith("../")) return `the link to ${target} leads out of the skill's folder`;
  if (path === "." || present.has(path) || [...present].some((name) => name.startsWith(`${path}/`))) return null;
  return `the link to ${target} leads to nothing: the skill has no file ${path}`;
}

const decoded = (target: string): string => {
  try {
    return decodeURIComponent(target);
  } catch {
    // A lone % is part of the name.
    return target;
  }
};
