import { type Document, isAlias, isCollection, isMap, isScalar, LineCounter, parseDocument, visit, type YAMLError } from "yaml";
import type { Finding } from "../../state/skill.js";

export interface Frontmatter {
  /** Fields as the file spells them; every scalar is a string (`version: 1.0` stays "1.0"). Null when there is no readable mapping. */
  data: Record<string, unknown> | null;
  /** Line of each top-level field in the file, from 1. */
  lines: Record<string, number>;
  /** What stands behind the closing `---` line; the whole text when there is no frontmatter. */
  body: string;
  /** Line of the body's first line in the file, from 1. */
  bodyLine: number;
  /** Errors of the rule `frontmatter`, with lines. */
  problems: Finding[];
}

const finding = (line: number, message: string): Finding => ({ rule: "frontmatter", severity: "error", file: "SKILL.md", line, message });

/**
 * Splits a SKILL.md into YAML frontmatter and body. The first line is `---`, a later line that is only `---` closes it. Data is given as
 * far as it could be read even when there are problems: the caller decides. Accepts CRLF and a byte order mark.
 */
export function splitFrontmatter(text: string): Frontmatter {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  const without = (body: string, bodyLine: number, ...problems: Finding[]): Frontmatter => ({ data: null, lines: {}, body, bodyLine, problems });
  if (!isFence(lines[0])) {
    const later = lines.findIndex(isFence);
    const hint = later > 0 && lines.slice(0, later).every((line) => line.trim() === "") ? `, not line ${later + 1}` : "";
    return without(lines.join("\n"), 1, finding(1, `the file does not begin with frontmatter: make line 1 "---"${hint}, then name and description, then "---"`));
  }
  const end = lines.findIndex((line, index) => index > 0 && isFence(line));
  if (end === -1) return without("", lines.length, finding(1, `the frontmatter is not closed: put a line "---" after its last field`));
  const body = lines.slice(end + 1).join("\n");
  const yaml = lines.slice(1, end);
  const counter = new LineCounter();
  const document = parseDocument(yaml.join("\n"), { schema: "failsafe", lineCounter: counter });
  const problems = [...document.errors, ...document.warnings].map((error) => explained(error, yaml));
  problems.push(...refusedByReader(document, yaml, counter));
  if (!isMap(document.contents))
    return without(body, end + 2, ...(problems.length > 0 ? problems : [finding(2, "the frontmatter holds no fields: write name and description as `key: value` lines")]));
  const positions: Record<string, number> = {};
  for (const pair of document.contents.items)
    if (isScalar(pair.key)) positions[String(pair.key.value)] = counter.linePos(pair.key.range?.[0] ?? 0).line + 1;
  return { data: document.toJS() as Record<string, unknown>, lines: positions, body, bodyLine: end + 2, problems };
}

/**
 * The frontmatter's fields of a file that is only to be shown or listed: whatever could be read, without complaint. Null when there is
 * none.
 */
export const readFrontmatter = (text: string): Record<string, unknown> | null => splitFrontmatter(text).data;

const isFence = (line: string | undefined): boolean => line !== undefined && /^---[ \t]*$/.test(line);

/** A YAML error in words for whoever writes the skill; the parser's line counts from the one behind the opening `---`. */
function explained(error: YAMLError, yaml: readonly string[]): Finding {
  const line = error.linePos?.[0].line ?? 1;
  const content = yaml[line - 1] ?? "";
  const at = line + 1;
  const shown = content.trim().slice(0, 120);
  switch (error.code) {
    case "BLOCK_AS_IMPLICIT_KEY":
      return finding(at, `": " inside a value ends it there: put the value in double quotes: ${quoted(content)}`);
    case "DUPLICATE_KEY":
      return finding(at, `the field of this line stands twice: keep one: ${shown}`);
    case "TAB_AS_INDENT":
      return finding(at, "a tab indents this line: YAML takes spaces only");
    default:
      return finding(at, `this is not valid YAML (${(error.message.split("\n", 1)[0] ?? "").replace(/ at line \d+, column \d+:?$/, "")}): ${shown}`);
  }
}

const quoted = (line: string): string => {
  const at = line.indexOf(":");
  return `${line.slice(0, at).trim()}: ${JSON.stringify(line.slice(at + 1).trim())}`.slice(0, 160);
};

/** What YAML allows and the Agent Skills reference reader refuses (skills-ref 0.1.1 reads with strictyaml and splits at the next `---`). */
function refusedByReader(document: Document, yaml: readonly string[], counter: LineCounter): Finding[] {
  const problems: Finding[] = [];
  const lineOf = (offset: number | undefined): number => counter.linePos(offset ?? 0).line + 1;
  visit(document, {
    Node(_, node) {
      const line = lineOf(node.range?.[0]);
      if (isCollection(node) && node.flow === true) problems.push(finding(line, "a list or mapping in brackets is not read by every validator: write one item a line"));
      if (isAlias(node) || ("anchor" in node && node.anchor !== undefined)) problems.push(finding(line, "anchors (&name) and aliases (*name) are not allowed in frontmatter: write the value out"));
      if (node.tag?.startsWith("!") && node.tag !== "!") problems.push(finding(line, `the tag ${node.tag} is not allowed in frontmatter: write a plain value`));
    },
  });
  const dashes = yaml.findIndex((line) => line.includes("---"));
  if (dashes !== -1) problems.push(finding(dashes + 2, `"---" inside a value ends the frontmatter for some readers: write it otherwise`));
  return problems;
}
