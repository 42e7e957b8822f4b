import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { errorTextKind } from "../../../formats/error-text.js";
import { checkMemo, memoWithoutNextStrategy } from "../../../formats/memo.js";
import { memoSection, memoSections } from "../../../state/memo.js";
import { recordedPath } from "../../support/recorded.js";

const memo = `## Exploration Memo (2 failed attempts)\n\n${memoSections.map((section) => `### ${section}\n- about ${section}`).join("\n\n")}\n`;
const limits = { maxCharacters: 12_000 };

describe("checkMemo", () => {
  it("accepts a memo with the five sections", () => {
    expect(checkMemo(memo, limits)).toEqual([]);
  });

  it.each(memoSections)("refuses a memo that lacks %s and names it", (section) => {
    expect(checkMemo(memo.replace(`### ${section}`, `**${section}**`), limits)).toEqual([`the memo lacks "### ${section}"`]);
  });

  it("refuses a memo with a section twice, one that is too large, and an empty one", () => {
    expect(checkMemo(`${memo}\n### Verified Facts\n- again`, limits)).toEqual(['the memo has "### Verified Facts" more than once']);
    expect(checkMemo(memo, { maxCharacters: 100 })).toEqual([`the memo has ${memo.trim().length} characters, at most 100 are allowed`]);
    expect(checkMemo(" \n ", limits)).toEqual(["the memo is empty"]);
  });

  it("refuses the error text of 245 kB even when it quotes a whole memo (spark.md 6.2)", () => {
    const error = `[LLM ERROR] litellm.InternalServerError: Empty or invalid response from LLM endpoint. Received: '\n${memo}\n${"x".repeat(245_000)}`;
    expect(checkMemo(error, { maxCharacters: 1_000_000 })).toEqual([expect.stringContaining("an error line of the model client")]);
  });
});

describe("memoWithoutNextStrategy", () => {
  it("withholds the section up to the next heading and keeps the rest", () => {
    const text = "### Verified Facts\n- a\n### Next Strategy\n- plan\n#### deeper\n- more\n### Current Error Pattern\nb";
    expect(memoWithoutNextStrategy(text)).toBe("### Verified Facts\n- a\n### Current Error Pattern\nb");
    expect(memoSection(memoWithoutNextStrategy(memo), "Next Strategy")).toBe("");
    expect(memoSection(memoWithoutNextStrategy(memo), "Current Error Pattern")).toBe("- about Current Error Pattern");
  });

  it("keeps a memo that lacks the section", () => {
    expect(memoWithoutNextStrategy("### Verified Facts\n- a")).toBe("### Verified Facts\n- a");
  });
});

describe("errorTextKind", () => {
  it.each([
    "Error code: 502 - bad gateway",
    "  [LLM ERROR] litellm.InternalServerError: x",
    "litellm.RateLimitError: RateLimitError: OpenAIException",
    "openai.APITimeoutError: Request timed out.",
    "Traceback (most recent call last):\n  File",
    '{"error": {"message": "overloaded"}}',
    'data: {"id":"chatcmpl-1"}',
    "<!DOCTYPE html><html>",
    "HTTP/1.1 503 Service Unavailable",
    "429 Too Many Requests",
    "Request timed out.",
  ])("recognises %j", (text) => {
    expect(errorTextKind(text)).not.toBeNull();
  });

  it.each([
    "---\nname: x\n---\n# Handle Error codes",
    "# Error handling\nError: means",
    "## Exploration Memo (1 failed attempts)",
    "The error was: x",
    "500 rows were read",
  ])("lets %j pass", (text) => {
    expect(errorTextKind(text)).toBeNull();
  });
});

const snapshots = recordedPath("pdi-snapshots.jsonl");
describe.skipIf(snapshots === null)("recorded memos", () => {
  it("are accepted within 12,000 characters, save the two that are error text", () => {
    const memos = readFileSync(snapshots!, "utf8")
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { memoAfter: string }).memoAfter);
    const refused = memos.filter((text) => checkMemo(text, limits).length > 0);
    expect(memos).toHaveLength(40);
    expect(refused.map((text) => text.slice(0, 11))).toEqual(["[LLM ERROR]", "[LLM ERROR]"]);
  });
});
