import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutText } from "../../../state/cut-text.js";

const keeps = ["start", "end", "ends"] as const;
const mark = /\n\[\.\.\. (\d+) or more characters cut \.\.\.\]\n/;

describe("cutText", () => {
  it("leaves a text within the budget as it is", () => {
    for (const keep of keeps) expect(cutText("12345", 5, keep)).toBe("12345");
  });

  it("keeps the part that was asked for and says that it cut", () => {
    const text = `${"a".repeat(200)}${"z".repeat(200)}`;
    expect(cutText(text, 100, "start")).toMatch(/^a+\n\[\.\.\. 300 or more characters cut \.\.\.\]\n$/);
    expect(cutText(text, 100, "end")).toMatch(/^\n\[\.\.\. 300 or more characters cut \.\.\.\]\nz+$/);
    const both = /^(a+)\n\[.*\]\n(z+)$/.exec(cutText(text, 100, "ends"))!;
    expect(both[2]!.length).toBeGreaterThan(both[1]!.length * 1.5);
  });

  it("stays within the budget with its mark, and what it keeps is the text's own start and end", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 400 }),
        fc.integer({ min: 60, max: 300 }),
        fc.constantFrom(...keeps),
        (text, characters, keep) => {
          const cut = cutText(text, characters, keep);
          expect(cut.length).toBeLessThanOrEqual(characters);
          if (text.length <= characters) return;
          const [before, , after] = cut.split(mark);
          expect(text.startsWith(before!)).toBe(true);
          expect(text.endsWith(after!)).toBe(true);
          if (keep === "start") expect(after).toBe("");
          if (keep === "end") expect(before).toBe("");
        },
      ),
    );
  });

  it("halves no character of two units: a provider refuses such a text", () => {
    const text = "😀".repeat(300);
    for (const keep of keeps)
      for (const characters of [100, 101, 102, 103])
        expect(cutText(text, characters, keep)).not.toMatch(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/);
  });

  it("is nothing but the mark when there is room for nothing else", () => {
    for (const keep of keeps) expect(cutText("x".repeat(500), 0, keep)).toBe("\n[... 500 or more characters cut ...]\n");
  });
});
