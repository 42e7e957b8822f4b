import { isMap, isScalar, LineCounter, parseDocument, stringify, visit, type YAMLError } from "yaml";
import type { SkillMetadata } from "../../state/skill.js";

/** A frontmatter value. Scalars stay the text that was written: `1.0` is no number, `yes` no boolean. */
export type FieldValue = string | FieldValue[] | { [key: string]: FieldValue };

/** Something that keeps readers from understanding a frontmatter; `line` counts from 1 in the whole file. */
export interface FrontmatterProblem {
  line: number;
  message: string;
}

/** A SKILL.md taken apart. With problems, `fields` holds what could be read, which may be nothing. */
export interface Frontmatter {
  fields: Record<string, FieldValue>;
  /** Line of each field's key, from 1 in the whole file. */
  lines: Record<string, number>;
  body: string;
  /** Line on which the body begins. */
  bodyLine: number;
  problems: FrontmatterProblem[];
}

/** The text between the first line `---` and the next one, and what follows; null when the text does not begin with `---` or never closes it. */
export function splitFrontmatter(text: string): { yaml: string; body: string; bodyLine: number } | null {
  const lines = text.split("\n");
  const isMark = (line: string | undefined) => line !== undefined && /^---[ \t\r]*$/.test(line);
  if (!isMark(lines[0])) return null;
  const end = lines.findIndex((line, index) => index > 0 && isMark(line));
  if (end === -1) return null;
  return { yaml: lines.slice(1, end).join("\n"), body: lines.slice(end + 1).join("\n"), bodyLine: end + 2 };
}

/**
 * Takes a SKILL.md apart and says, with lines, what other readers would stumble over. Never throws.
 * It refuses what the specification's reference reader refuses beyond YAML itself (tried with skills-ref 0.1.1): flow style `{}` and `[]`, anchors,
 * aliases, tags, repeated keys, a byte order mark, and `---` inside the frontmatter, at which that reader cuts.
 */
export function parseFrontmatter(text: string): Frontmatter {
  const split = splitFrontmatter(text);
  if (split === null) return { fields: {}, lines: {}, body: text, bodyLine: 1, problems: [{ line: 1, message: whyNotSplit(text) }] };
  const lineCounter = new LineCounter();
  const document = parseDocument(split.yaml, { schema: "failsafe", lineCounter, prettyErrors: false });
  const lineAt = (offset: number) => lineCounter.linePos(offset).line + 1;
  const problems = document.errors.map((error) => ({
    line: lineAt(error.pos[0]),
    message: explain(error, split.yaml, lineAt(error.pos[0]) - 2),
  }));
  const { contents } = document;
  const fields: Record<string, FieldValue> = {};
  const lines: Record<string, number> = {};
  if (isMap(contents)) {
    for (const { key, value } of contents.items) {
      const name = isScalar(key) ? String(key.value) : String(key);
      lines[name] = isScalar(key) && key.range ? lineAt(key.range[0]) : 2;
      fields[name] = plain((value as { toJS?(doc: unknown): unknown } | null)?.toJS?.(document));
    }
  } else if (problems.length === 0) {
    problems.push({ line: 2, message: "the frontmatter is no list of `field: value` lines" });
  }
  if (problems.length === 0) visit(document, { Node: (_key, node) => void problems.push(...refusedSyntax(node as SyntaxNode, lineAt)) });
  for (const [index, line] of split.yaml.split("\n").entries())
    if (line.includes("---"))
      problems.push({
        line: index + 2,
        message: "`---` inside the frontmatter: other readers end it there; write a dash or a comma instead",
      });
  return { fields, lines, body: split.body, bodyLine: split.bodyLine, problems };
}

/** The fields of a SKILL.md for a listing: what can be read, faults ignored; null when there is no frontmatter or nothing in it. */
export function readFrontmatter(text: string): Record<string, FieldValue> | null {
  const { fields } = parseFrontmatter(text);
  return Object.keys(fields).length === 0 ? null : fields;
}

/** A SKILL.md of its parts. Values are always in quotes, so that `Use when: foo`, `yes` and `1.0` stay text to every reader. */
export function formatSkill(metadata: SkillMetadata, body: string): string {
  const { metadata: extra, ...fields } = metadata;
  const written = Object.entries({
    ...fields,
    ...(extra !== undefined && Object.keys(extra).length > 0 ? { metadata: extra } : {}),
  }).filter(
    // An empty list or map could only be written in flow style, which other readers refuse.
    ([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0),
  );
  const yaml = stringify(Object.fromEntries(written), { lineWidth: 0, defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN" });
  return `---\n${yaml}---\n\n${body.trim()}\n`;
}

interface SyntaxNode {
  flow?: boolean;
  tag?: string;
  anchor?: string;
  source?: string;
  range?: [number, number, number] | null;
  constructor: { name: string };
}

function refusedSyntax(node: SyntaxNode, lineAt: (offset: number) => number): FrontmatterProblem[] {
  const line = node.range ? lineAt(node.range[0]) : 2;
  const refused = (what: string) => [{ line, message: `${what}, which the specification's reference reader refuses` }];
  if (node.flow) return refused("a `{…}` or `[…]` value: write it as indented lines, or put it in quotes");
  if (node.anchor) return refused(`an anchor \`&${node.anchor}\``);
  if (node.constructor.name === "Alias") return refused(`an alias \`*${node.source}\``);
  return node.tag ? refused(`a tag \`${node.tag}\``) : [];
}

function whyNotSplit(text: string): string {
  const [first = ""] = text.split("\n", 1);
  if (text.trim() === "") return "the file is empty; it must begin with `---`, the fields name and description, and `---`";
  if (text.startsWith("\uFEFF")) return "the file begins with a byte order mark: save it as UTF-8 without one";
  if (/^---[ \t\r]*$/.test(first)) return "the frontmatter is never closed: a second line `---` is missing";
  const begin = text.split("\n").findIndex((line) => /^---\s*$/.test(line));
  if (
    begin > 0 &&
    splitFrontmatter(text.split("\n").slice(begin).join("\n")) !== null &&
    text
      .split("\n")
      .slice(0, begin)
      .every((line) => line.trim() === "")
  )
    return "the file must begin with `---` on its first line, without empty lines before it";
  return `the file must begin with \`---\`, the fields name and description, and \`---\`; it begins with ${JSON.stringify(first.slice(0, 60))}`;
}

/** yaml's complaint in words that say what to write instead; `at` is the index of the line in the frontmatter. */
function explain({ code, message }: YAMLError, yaml: string, at: number): string {
  const line = yaml.split("\n")[at] ?? "";
  const field = /^(\s*[\w-]+):\s+([^"'|>].*)$/.exec(line);
  const quoted = field === null ? "" : `: ${field[1]!.trim()}: ${JSON.stringify(field[2]!.trim().slice(0, 80))}`;
  if (code === "BLOCK_AS_IMPLICIT_KEY" || code === "MULTILINE_IMPLICIT_KEY")
    return `a value with \`: \` in it must stand in quotes${quoted}`;
  if (code === "BAD_SCALAR_START") return `a value must not begin with this character unless it stands in quotes${quoted}`;
  if (code === "DUPLICATE_KEY") return `the field ${JSON.stringify(/^\s*([^:]*)/.exec(line)?.[1] ?? "")} stands twice`;
  if (code === "TAB_AS_INDENT") return "indent with spaces, not with a tab";
  return `no valid YAML: ${message.split("\n")[0]}`;
}

/** Failsafe YAML gives strings, lists and maps; an absent value is an empty string. */
function plain(value: unknown): FieldValue {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [String(key), plain(item)]));
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  return value === undefined || value === null ? "" : String(value);
}
