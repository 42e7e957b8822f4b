import { answersIn } from "./python-answers.js";
import { isPathLike, isString, stringContent, tellingNumbers } from "./python-literals.js";
import { type PythonTree, parsePython } from "./python-tree.js";

/** What stands where an answer stood. */
export const REDACTED_ANSWER = "<redacted>";

/** A verifier's file without its answers. */
export interface RedactedPython {
  /** Null when the file is withheld. */
  text: string | null;
  redactions: number;
  /** The file has a syntax error, so nothing is known about what is in it. */
  withheld: boolean;
}

interface Range {
  start: number;
  end: number;
  by: string;
}

/** A shorter string gives away no more than a column's name does. */
const MIN_TELLING_CHARACTERS = 8;

/**
 * A Python test file with everything that tells the answers replaced by `<redacted>`: see {@link answersIn}; besides every number of four
 * or more significant digits and every string or comment that holds one, docstrings and comments with numbers or quoted text, and other
 * places of a string that was redacted. A file that does not parse is withheld whole: regular expressions leaked a
 * scalar into a published skill (spark.md 6.1).
 */
export async function redactPython(text: string): Promise<RedactedPython> {
  const tree = await parsePython(text);
  if (tree === null) return { text: null, redactions: 0, withheld: true };
  const answers: Range[] = answersIn(tree).map(({ start, end }) => ({ start, end, by: REDACTED_ANSWER }));
  const known = tellingStrings(tree, outermost(answers));
  const ranges = outermost([...answers, ...leftovers(tree, known)]);
  let at = 0;
  let clean = "";
  for (const { start, end, by } of ranges) {
    clean += text.slice(at, start) + by;
    at = end;
  }
  clean += text.slice(at);
  // Nothing is known to get this far; if it ever does, it is not shown. In `f(10,200)` the comma parts two numbers.
  if (tellingNumbers(clean.replaceAll(",", " ")).length > 0) return { text: null, redactions: 0, withheld: true };
  return { text: clean, redactions: ranges.length, withheld: false };
}

/** Ranges in order without those inside another. */
function outermost(ranges: readonly Range[]): Range[] {
  const sorted = [...ranges].sort((a, b) => a.start - b.start || b.end - a.end);
  const kept: Range[] = [];
  for (const range of sorted) if (range.start >= (kept.at(-1)?.end ?? 0)) kept.push(range);
  return kept;
}

/** Contents of redacted strings that would still tell something elsewhere in the file. */
function tellingStrings(tree: PythonTree, redacted: readonly Range[]): string[] {
  const inside = (start: number) => redacted.some((range) => range.start <= start && start < range.end);
  const contents = tree.nodes.filter((node) => isString(node) && inside(node.start)).map((node) => stringContent(tree, node).trim());
  return [...new Set(contents)].filter((content) => content.length >= MIN_TELLING_CHARACTERS && !isPathLike(content));
}

/** Literals, comments, docstrings and names outside of what is judged that tell something all the same. */
function leftovers(tree: PythonTree, known: readonly string[]): Range[] {
  return tree.nodes.flatMap((node): Range[] => {
    const text = tree.textOf(node);
    const tells = () => tellingNumbers(text).length > 0 || known.some((content) => text.includes(content));
    const by = node.type === "comment" ? `# ${REDACTED_ANSWER}` : REDACTED_ANSWER;
    switch (node.type) {
      case "integer":
      case "float":
      case "string":
        return tells() || (node.parent?.type === "expression_statement" && holdsValues(stringContent(tree, node)))
          ? [{ start: node.start, end: node.end, by }]
          : [];
      case "concatenated_string":
        return tells() ? [{ start: node.start, end: node.end, by }] : [];
      case "comment":
        return tells() || holdsValues(text) ? [{ start: node.start, end: node.end, by }] : [];
      case "identifier":
        return tellingNumbers(text).map((place) => ({ start: node.start + place.start, end: node.start + place.end, by }));
      default:
        return [];
    }
  });
}

/** Prose that holds a number or quoted text. */
const holdsValues = (prose: string): boolean => /(?<![A-Za-z_])\d|["'`][^"'`]+["'`]/.test(prose);
