import type { Finding } from "../../../state/skill.js";
import { type GateRule, markdownOf } from "./subject.js";

/** What a tool writes where it cut a text. */
const CUT_MARK = /(\[|\(|<|\.\.\.\s*|…\s*)(output |text |content |response )?(truncated|cut off|cut here|continued|omitted)\b[^\n]{0,80}$/i;

/** A file that breaks off: its end is a heading without text, a mark of a cut, or the middle of a sentence. An open fence is reported by its own rule. */
export const truncated: GateRule = (subject) =>
  markdownOf(subject).flatMap(({ file, lines, blocks }): Finding[] => {
    const at = lines.findLastIndex((line) => line.trim() !== "");
    const last = (lines[at] ?? "").trim();
    if (at === -1 || blocks.some(({ open, close }) => open <= at && at <= (close ?? lines.length))) return [];
    const found = (severity: Finding["severity"], message: string): Finding[] => [
      { rule: "truncated", severity, file, line: at + 1, message },
    ];
    if (/^#{1,6}\s/.test(last)) return found("error", `the file ends with a heading and nothing under it: ${last.slice(0, 80)}`);
    if (CUT_MARK.test(last)) return found("error", "the file ends where something cut it: write it to its end");
    if (/[,:;([{=\\]$/.test(last) || (last.match(/`/g)?.length ?? 0) % 2 === 1 || (last.match(/\*\*/g)?.length ?? 0) % 2 === 1)
      return found("warning", "the file seems to end in the middle of a sentence");
    return [];
  });
