import type { Finding, SkillDirectory } from "../../../state/skill.js";
import { type FencedBlock, fencedBlocks } from "../../markdown-fences.js";
import { type Frontmatter, parseFrontmatter } from "../frontmatter.js";

/** A text file of the skill. */
export interface SkillText {
  /** Path relative to the skill's folder. */
  file: string;
  text: string;
  lines: string[];
}

/** A skill as the rules read it, parsed once. */
export interface GateSubject {
  skill: SkillDirectory;
  frontmatter: Frontmatter;
  /** SKILL.md first, then every other file that is text. */
  texts: SkillText[];
}

/** One rule family: what it has against a skill. */
export type GateRule = (subject: GateSubject) => Finding[] | Promise<Finding[]>;

/** Larger files are data, not text that somebody reads. */
const MAX_TEXT_BYTES = 1_000_000;

export function gateSubject(skill: SkillDirectory): GateSubject {
  const texts = [textOf("SKILL.md", skill.text)];
  for (const [file, bytes] of Object.entries(skill.files).sort(([a], [b]) => (a < b ? -1 : 1)))
    if (bytes.byteLength <= MAX_TEXT_BYTES && !bytes.includes(0)) texts.push(textOf(file, new TextDecoder().decode(bytes)));
  return { skill, frontmatter: parseFrontmatter(skill.text), texts };
}

const textOf = (file: string, text: string): SkillText => ({ file, text, lines: text.split(/\r?\n/) });

/** Markdown files of the skill with their code blocks; SKILL.md without its frontmatter, its lines kept in number. */
export const markdownOf = ({ texts, frontmatter }: GateSubject): { file: string; lines: string[]; blocks: FencedBlock[] }[] =>
  texts
    .filter(({ file }) => /\.(md|markdown)$/i.test(file))
    .map(({ file, lines }) => {
      const body = file === "SKILL.md" ? lines.map((line, index) => (index < frontmatter.bodyLine - 1 ? "" : line)) : lines;
      return { file, lines: body, blocks: fencedBlocks(body) };
    });
