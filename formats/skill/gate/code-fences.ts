import type { Finding } from "../../../state/skill.js";
import { type GateRule, markdownOf } from "./subject.js";

/** Every code fence of every Markdown file is closed. */
export const codeFences: GateRule = (subject) =>
  markdownOf(subject).flatMap(({ file, lines, blocks }): Finding[] => {
    const last = blocks.at(-1);
    if (last === undefined || last.close !== null) return [];
    // "```bash" inside a "```" block is content to a reader: the block before it was never closed, or a nested one needs a longer fence.
    const swallowed = blocks.find(({ open, close, fence }) =>
      lines.slice(open + 1, close ?? lines.length).some((line) => line.trim().startsWith(fence) && /\w/.test(line)),
    );
    const hint =
      swallowed === undefined
        ? ""
        : `; the block of line ${swallowed.open + 1} holds another opening fence: close it, or give the outer one more ${last.fence[0]} characters`;
    return [
      {
        rule: "code-fences",
        severity: "error",
        file,
        line: last.open + 1,
        message: `the code fence ${last.fence}${last.info} is never closed, the file ends inside it${hint}`,
      },
    ];
  });
