import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addUsage, modelSpecSchema, noUsage, usageSchema } from "../../../state/model.js";

const usage = fc.record({
  inputTokens: fc.nat(),
  cachedTokens: fc.nat(),
  outputTokens: fc.nat(),
  costUsd: fc.option(fc.nat(), { nil: null }),
});

describe("addUsage", () => {
  it("adds tokens and money, in any order and grouping", () => {
    expect(
      addUsage(
        { inputTokens: 1, cachedTokens: 2, outputTokens: 3, costUsd: 0.5 },
        { inputTokens: 10, cachedTokens: 20, outputTokens: 30, costUsd: 0.25 },
      ),
    ).toEqual({ inputTokens: 11, cachedTokens: 22, outputTokens: 33, costUsd: 0.75 });
    fc.assert(
      fc.property(usage, usage, usage, (a, b, c) => {
        expect(addUsage(a, b)).toEqual(addUsage(b, a));
        expect(addUsage(addUsage(a, b), c)).toEqual(addUsage(a, addUsage(b, c)));
        expect(addUsage(a, noUsage)).toEqual(a);
        expect(usageSchema.parse(addUsage(a, b))).toEqual(addUsage(a, b));
      }),
    );
  });

  it("keeps a cost unknown once a part of it is: unknown is never 0", () => {
    fc.assert(
      fc.property(usage, usage, (a, b) => {
        expect(addUsage({ ...a, costUsd: null }, b).costUsd).toBeNull();
      }),
    );
  });
});

describe("modelSpecSchema", () => {
  it("takes an entry of a models file and refuses keys that it does not know, so a typo is seen", () => {
    const entry = {
      name: "local",
      model: "qwen3:8b",
      baseUrl: "http://127.0.0.1:8080/v1",
      options: { temperature: 0, reasoningEffort: "low", headers: { "x-a": "b" } },
    };
    expect(modelSpecSchema.parse(entry)).toEqual(entry);
    for (const wrong of [
      { ...entry, base_url: "x" },
      { ...entry, options: { temprature: 1 } },
      { ...entry, baseUrl: "localhost" },
      { name: "", model: "m" },
      { name: "a" },
    ])
      expect(modelSpecSchema.safeParse(wrong).success).toBe(false);
  });
});
