import type { Finding } from "../../../state/skill.js";
import type { GateRule } from "./subject.js";

const MAX_LINES = 500;
const MAX_TOKENS = 5000;
/** A longer body is an error whatever its tokens are; the tokeniser would need seconds for it. */
const MAX_COUNTED_CHARACTERS = 400_000;
/** The tokeniser's time grows with the square of a word's length, so the text goes in pieces that end before a space or a line's end. */
const PIECE_CHARACTERS = 500;
/** Of a text without words: a hundred thousand equal letters. */
const WORDLESS_PIECE_CHARACTERS = 64;

/** A skill's body is read whole by its user: above 500 lines or 5,000 tokens (o200k_base) a warning, above twice that an error. */
export const size: GateRule = async ({ frontmatter: { body, bodyLine } }) => {
  const text = body.trimEnd();
  const findings: Finding[] = [];
  const report = (what: string, value: number | string, limit: number, error: boolean): void => {
    findings.push({
      rule: "size",
      severity: error ? "error" : "warning",
      file: "SKILL.md",
      line: bodyLine,
      message: `the body has ${value} ${what}, ${error ? `over twice the ${limit} that a skill should have at most: shorten it or split it` : `a skill should have at most ${limit}`}`,
    });
  };
  const lines = text === "" ? 0 : text.split("\n").length;
  if (lines > MAX_LINES) report("lines", lines, MAX_LINES, lines > 2 * MAX_LINES);
  // A token is at least a byte: most short skills need no tokeniser, which takes 2 s to load.
  if (Buffer.byteLength(text) <= MAX_TOKENS) return findings;
  if (text.length > MAX_COUNTED_CHARACTERS) report("characters, too many to count its tokens", text.length, MAX_TOKENS, true);
  else {
    const tokens = await countTokens(text);
    const error = tokens > 2 * MAX_TOKENS;
    if (tokens > MAX_TOKENS) report("tokens", error ? `more than ${2 * MAX_TOKENS}` : tokens, MAX_TOKENS, error);
  }
  return findings;
};

let encoder: Promise<{ encode(text: string): number[] }> | null = null;

/** Loaded when first needed; langchain's own counter would fetch its table from the network. */
async function countTokens(text: string): Promise<number> {
  encoder ??= Promise.all([import("js-tiktoken/lite"), import("js-tiktoken/ranks/o200k_base")]).then(([{ Tiktoken }, ranks]) => {
    const tiktoken = new Tiktoken(ranks.default);
    // Special tokens in a skill's text are text.
    return { encode: (piece: string) => tiktoken.encode(piece, [], []) };
  });
  const { encode } = await encoder;
  let count = 0;
  // Beyond the error's limit the exact count says nothing more.
  for (let at = 0; at < text.length && count <= 2 * MAX_TOKENS; ) {
    const wordless = /\S{100}|\s{100}/.test(text.slice(at, at + PIECE_CHARACTERS));
    const limit = at + (wordless ? WORDLESS_PIECE_CHARACTERS : PIECE_CHARACTERS);
    const space = text.slice(at, limit + 1).search(/\s\S*$/);
    const end = limit >= text.length ? text.length : space > 0 ? at + space : limit;
    count += encode(text.slice(at, end)).length;
    at = end;
  }
  return count;
}
