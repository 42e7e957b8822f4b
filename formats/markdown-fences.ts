/** A fenced code block of a Markdown text; lines count from 0. */
export interface FencedBlock {
  open: number;
  /** Line of the closing fence; null when the text ends inside the block. */
  close: number | null;
  /** The opening fence itself: three or more backticks or tildes. */
  fence: string;
  /** What stands behind the opening fence. */
  info: string;
}

const FENCE = /^[\s>]{0,100}(?:[-*+]\s{1,20}|\d{1,9}[.)]\s{1,20})?(?<fence>`{3,}|~{3,})(?<info>.*)$/;

/**
 * The fenced code blocks, as CommonMark closes them: by a fence of the same character, at least as long, with nothing behind it. A
 * fence inside a list or a quotation counts like any other. A closing fence with words behind it is content.
 */
export function fencedBlocks(lines: readonly string[]): FencedBlock[] {
  const blocks: FencedBlock[] = [];
  let open: FencedBlock | null = null;
  for (const [index, line] of lines.entries()) {
    const match = FENCE.exec(line)?.groups;
    if (match === undefined) continue;
    const fence = match.fence ?? "";
    const info = (match.info ?? "").trim();
    if (open === null) {
      // A backtick in the info string makes it inline code: ```x``` on one line.
      if (fence.startsWith("`") && info.includes("`")) continue;
      open = { open: index, close: null, fence, info };
      blocks.push(open);
    } else if (fence[0] === open.fence[0] && fence.length >= open.fence.length && info === "") {
      open.close = index;
      open = null;
    }
  }
  return blocks;
}
