import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import {
  containment,
  divergenceSimilarity,
  jaccard,
  releaseDivergenceSimilarity,
  tokenList,
  tokenSet,
} from "../../../metrics/text-similarity.js";

const words = fc.array(fc.constantFrom("a", "b", "c", "déjà", "x_1", "ℚ", "7"), { maxLength: 12 }).map((list) => list.join(" "));
const word = fc.constantFrom("a", "b", "c", "d", "e", "f");
const sets = fc.array(word).map((list) => new Set(list));

describe("tokens", () => {
  it("are runs of letters, digits and underscores of every script, in lower case", () => {
    expect(tokenList("S n ≤ 2: Résumé_7, ℚ → naïve; 中文 x-y")).toEqual(["s", "n", "2", "résumé_7", "ℚ", "naïve", "中文", "x", "y"]);
  });

  it("of a text without any are none", () => {
    expect(tokenList("… — ✗ !")).toEqual([]);
    expect(tokenSet("a A a")).toEqual(new Set(["a"]));
  });
});

describe("jaccard and containment", () => {
  test("two empty sets have nothing in common, and nothing is contained in an empty part", () => {
    expect(jaccard(new Set(), new Set())).toBe(0);
    expect(containment(new Set(), new Set(["a"]))).toBe(0);
  });

  test("shared over all, shared over part", () => {
    expect(jaccard(new Set(["a", "b", "c"]), new Set(["b", "c", "d"]))).toBe(0.5);
    expect(containment(new Set(["a", "b"]), new Set(["b", "c", "d"]))).toBe(0.5);
  });

  test("jaccard is symmetric, between 0 and 1, and 1 exactly for equal sets that are not empty", () => {
    fc.assert(
      fc.property(sets, sets, (a, b) => {
        const value = jaccard(a, b);
        expect(value).toBe(jaccard(b, a));
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1);
        expect(value === 1).toBe(a.size > 0 && a.size === b.size && [...a].every((item) => b.has(item)));
      }),
    );
  });

  test("jaccard never exceeds containment in either direction", () => {
    fc.assert(
      fc.property(sets, sets, (a, b) => {
        expect(jaccard(a, b)).toBeLessThanOrEqual(Math.min(containment(a, b), containment(b, a)));
      }),
    );
  });
});

describe("psi, the paper's form", () => {
  const none = new Set<string>();

  test("is symmetric and between 0 and 1, whatever the vocabulary", () => {
    fc.assert(
      fc.property(words, words, words, (a, b, other) => {
        const vocabulary = tokenSet(other);
        const value = divergenceSimilarity(a, b, vocabulary);
        expect(value).toBeCloseTo(divergenceSimilarity(b, a, vocabulary), 12);
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1);
      }),
    );
  });

  test("of a text with itself is 1, whatever the order of its words", () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), (list) => {
        expect(divergenceSimilarity(list.join(" "), list.toReversed().join(" "), none)).toBeCloseTo(1, 12);
      }),
    );
  });

  test("equals the sum over the vocabulary written out", () => {
    // Counts a: x 2, y 1; b: y 1, z 1; vocabulary of four words; alpha 0.002; logarithm base 2.
    const a = [2.002, 1.002, 0.002, 0.002].map((count) => count / 3.008);
    const b = [0.002, 1.002, 1.002, 0.002].map((count) => count / 2.008);
    const half = (p: number[], q: number[]): number =>
      p.reduce((sum, value, i) => sum + value * Math.log2(value / ((value + q[i]!) / 2)), 0) / 2;
    expect(divergenceSimilarity("x x y", "y z", new Set(["x", "y", "z", "w"]))).toBeCloseTo(1 - half(a, b) - half(b, a), 12);
  });

  test("adds words of the pair that the vocabulary lacks", () => {
    expect(divergenceSimilarity("x y", "y z", new Set(["x"]))).toBe(divergenceSimilarity("x y", "y z", new Set(["x", "y", "z"])));
  });

  test("of texts without a common word is nearly 0, and of two texts without words 0", () => {
    expect(divergenceSimilarity("a a a a", "b b b b", none)).toBeLessThan(0.01);
    expect(divergenceSimilarity("", "!", new Set(["a", "b"]))).toBe(0);
  });
});

describe("psi, the release's form", () => {
  test("is 0 when the pair has fewer than two words, even for equal texts", () => {
    expect(releaseDivergenceSimilarity("", "")).toBe(0);
    expect(releaseDivergenceSimilarity("same same", "same")).toBe(0);
    expect(releaseDivergenceSimilarity("same other", "same other")).toBeCloseTo(1, 12);
  });

  test("uses the natural logarithm: texts without a common word keep about 1 - ln 2", () => {
    const value = releaseDivergenceSimilarity("a ".repeat(500), "b ".repeat(500));
    expect(value).toBeGreaterThan(1 - Math.LN2);
    expect(value).toBeLessThan(1 - Math.LN2 + 0.001);
  });

  test("is symmetric and, from two words on, between 1 - ln 2 and 1", () => {
    fc.assert(
      fc.property(words, words, (a, b) => {
        const value = releaseDivergenceSimilarity(a, b);
        expect(value).toBeCloseTo(releaseDivergenceSimilarity(b, a), 12);
        expect(value).toBeLessThanOrEqual(1);
        if (new Set([...tokenList(a), ...tokenList(b)]).size >= 2) expect(value).toBeGreaterThanOrEqual(1 - Math.LN2);
      }),
    );
  });
});
