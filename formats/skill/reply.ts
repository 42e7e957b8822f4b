import { errorTextKind } from "../error-text.js";
import { fencedBlocks } from "../markdown-fences.js";
import { type Frontmatter, parseFrontmatter } from "./frontmatter.js";

/** Lines of chatter that may stand before the file. */
const MAX_CHATTER_LINES = 40;

/**
 * The SKILL.md in a model's reply: the reply itself, or what stands in its one outer fence, or what begins at the first frontmatter after
 * some chatter. The name is the frontmatter's as written, else one made of the title: whether it is there and legal is the gate's
 * question, since a whole file with a wrong field is a skill to mend, not a reply to ask for again. The problem is a sentence
 * for the model that is asked again.
 */
export function parseSkillReply(reply: string): { name: string; text: string } | { problem: string } {
  const all = reply
    .replace(/^\uFEFF/, "")
    .replace(/\r\n?/g, "\n")
    .trim();
  if (all === "") return { problem: "the reply is empty" };
  const kind = errorTextKind(all);
  if (kind !== null) return { problem: `the reply is ${kind}, not a SKILL.md: ${shortened(all)}` };
  const lines = all.split("\n");
  const start = lines.slice(0, MAX_CHATTER_LINES).findIndex((line, index) => /^---[ \t]*$/.test(line) && beginsFields(lines, index));
  if (start === -1)
    return {
      problem: `the reply has no frontmatter: begin with a line "---", then name: and description:, then "---"; it begins with: ${shortened(all)}`,
    };
  const file = unwrapped(lines, start);
  if (file === null)
    return {
      problem: "the reply's outer code fence is not closed, so the file is cut: answer with the file alone, without a fence around it",
    };
  const text = `${file.join("\n").trimEnd()}\n`;
  const { fields, body, bodyLine, problems } = parseFrontmatter(text);
  if (Object.keys(fields).length === 0)
    return { problem: `the frontmatter cannot be read: ${problems.map(({ line, message }) => `line ${line}: ${message}`).join("; ")}` };
  if (body.trim() === "") return { problem: "nothing stands behind the frontmatter: write the skill's text" };
  const bodyKind = errorTextKind(body);
  if (bodyKind !== null) return { problem: `what stands behind the frontmatter is ${bodyKind}: ${shortened(body)}` };
  const unclosed = fencedBlocks(body.split("\n")).find(({ close }) => close === null);
  if (unclosed !== undefined)
    return {
      problem: `the file ends inside the code fence that opens at line ${bodyLine + unclosed.open}: write the file to its end and close every fence`,
    };
  return { name: nameOf(fields, body), text };
}

/** A folder's name for the file: its own, else one made of its title or first heading. */
function nameOf(fields: Frontmatter["fields"], body: string): string {
  const { name, title } = fields;
  if (typeof name === "string" && name.trim() !== "") return name.trim();
  const heading = typeof title === "string" && title.trim() !== "" ? title : (/^#+\s+(.+)$/m.exec(body)?.[1] ?? "");
  const words = heading.toLowerCase().match(/[a-z0-9]+/g) ?? [];
  return words.join("-").slice(0, 64).replace(/-$/, "") || "skill";
}

/** Whether a `---` line opens frontmatter: the next line that is not empty or a comment looks like a field. */
const beginsFields = (lines: readonly string[], index: number): boolean => {
  const next = lines.slice(index + 1).find((line) => line.trim() !== "" && !line.trimStart().startsWith("#"));
  return next !== undefined && /^["']?[A-Za-z_][\w-]*["']?[ \t]*:(\s|$)/.test(next);
};

/** The file's lines from its frontmatter on; without the outer fence, when one stands just before it. Null: that fence is not closed. */
function unwrapped(lines: readonly string[], start: number): string[] | null {
  const before = lines.slice(0, start).findLastIndex((line) => line.trim() !== "");
  const fence = before === -1 ? undefined : /^\s*(`{3,}|~{3,})[^`~]*$/.exec(lines[before] ?? "")?.[1];
  const file = lines.slice(start);
  if (fence === undefined) return file;
  const closes = (line: string): boolean => line.trim().startsWith(fence) && /^(`+|~+)$/.test(line.trim());
  const candidates = file.flatMap((line, index) => (closes(line) ? [index] : []));
  // An outer fence no longer than the inner ones closes at the last line that leaves every inner block closed.
  const close = candidates.findLast((index) => fencedBlocks(file.slice(0, index)).every((block) => block.close !== null));
  return close === undefined ? null : file.slice(0, close);
}

const shortened = (text: string): string => {
  const line = text.trim().split("\n", 1)[0] ?? "";
  return line.length > 120 ? `${line.slice(0, 120)}…` : line;
};
