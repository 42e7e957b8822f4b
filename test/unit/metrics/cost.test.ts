import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { costOf } from "../../../metrics/cost.js";

const price = { inputPerMillion: 2, outputPerMillion: 10, cachedInputPerMillion: 0.5 };

describe("costOf", () => {
  it("charges cached tokens at the cached price and the rest of the input in full", () => {
    expect(costOf({ inputTokens: 1_000_000, cachedTokens: 400_000, outputTokens: 100_000 }, price)).toBeCloseTo(1.2 + 0.2 + 1, 12);
  });

  it("charges cached tokens like input when the price names no cached price", () => {
    expect(costOf({ inputTokens: 1_000_000, cachedTokens: 900_000, outputTokens: 0 }, { inputPerMillion: 3, outputPerMillion: 1 })).toBe(3);
  });

  it("is null for an unknown price, never 0, and 0 for a price of 0", () => {
    expect(costOf({ inputTokens: 10, cachedTokens: 0, outputTokens: 10 }, null)).toBeNull();
    expect(costOf({ inputTokens: 10, cachedTokens: 0, outputTokens: 10 }, { inputPerMillion: 0, outputPerMillion: 0 })).toBe(0);
  });

  it("never goes below the cached price of the whole input when a provider reports more cached than input tokens", () => {
    expect(costOf({ inputTokens: 100, cachedTokens: 1000, outputTokens: 0 }, price)).toBeCloseTo((100 * 0.5) / 1e6, 15);
  });

  it("charges the whole call at the step's price once the input is longer than the step", () => {
    const stepped = {
      ...price,
      longContext: [{ aboveInputTokens: 200_000, inputPerMillion: 4, outputPerMillion: 15, cachedInputPerMillion: 1 }],
    };
    expect(costOf({ inputTokens: 200_000, cachedTokens: 0, outputTokens: 1000 }, stepped)).toBeCloseTo(0.4 + 0.01, 12);
    expect(costOf({ inputTokens: 200_001, cachedTokens: 1, outputTokens: 1000 }, stepped)).toBeCloseTo(0.8 + 0.000001 + 0.015, 12);
  });

  it("never falls when more tokens are used, and more cached tokens never cost more", () => {
    const tokens = fc.integer({ min: 0, max: 1_000_000 });
    fc.assert(
      fc.property(tokens, tokens, tokens, tokens, (inputTokens, cachedTokens, outputTokens, more) => {
        const cost = costOf({ inputTokens, cachedTokens, outputTokens }, price)!;
        expect(costOf({ inputTokens, cachedTokens, outputTokens: outputTokens + more }, price)).toBeGreaterThanOrEqual(cost);
        expect(costOf({ inputTokens: inputTokens + more, cachedTokens, outputTokens }, price)!).toBeGreaterThanOrEqual(cost - 1e-12);
        expect(costOf({ inputTokens, cachedTokens: cachedTokens + more, outputTokens }, price)!).toBeLessThanOrEqual(cost + 1e-12);
      }),
    );
  });
});
