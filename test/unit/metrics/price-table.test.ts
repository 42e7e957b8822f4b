import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { calcPrice } from "@pydantic/genai-prices";
import { describe, expect, it } from "vitest";
import { costOf } from "../../../metrics/cost.js";
import { priceOf, priceTable } from "../../../metrics/price-table.js";

const at = new Date("2026-11-01T12:00:00Z");

describe("priceOf", () => {
  it("takes the user's own price before the table's", () => {
    const own = { inputPerMillion: 1, outputPerMillion: 2 };
    expect(priceOf("gpt-4o-mini", { "gpt-4o-mini": own })).toEqual(own);
    expect(priceOf("my-model", { "my-model": own })).toEqual(own);
  });

  it("is null for a model that nobody priced, for one priced by another unit, and for no name at all", () => {
    expect(priceOf("my-model")).toBeNull();
    expect(priceOf("whisper-1")).toBeNull();
    expect(priceOf("")).toBeNull();
    expect(priceOf("toString")).toBeNull();
  });

  it("knows input, cached and output price of a listed model", () => {
    expect(priceOf("gpt-4o-mini", {}, { at })).toEqual({ inputPerMillion: 0.15, outputPerMillion: 0.6, cachedInputPerMillion: 0.075 });
  });

  it("does not price a model by its name when it is called somewhere the table does not know", () => {
    expect(priceOf("gpt-oss-20b", {}, { at })).not.toBeNull();
    expect(priceOf("gpt-oss-20b", {}, { at, baseUrl: "http://127.0.0.1:8000/v1" })).toBeNull();
    expect(priceOf("gpt-4o-mini", {}, { at, baseUrl: "https://api.openai.com/v1" })).toMatchObject({ inputPerMillion: 0.15 });
  });

  it("gives the same cost as the table's own calculation, on both sides of a step for long inputs", () => {
    for (const model of ["gpt-4o-mini", "gpt-5.1", "gpt-5.5", "claude-sonnet-4-5", "gemini-2.5-pro", "deepseek-chat"]) {
      for (const inputTokens of [60_000, 200_000, 200_001, 271_999, 272_000, 900_000]) {
        const theirs = calcPrice({ input_tokens: inputTokens, cache_read_tokens: 50_000, output_tokens: 1000 }, model, { timestamp: at });
        expect(
          costOf({ inputTokens, cachedTokens: 50_000, outputTokens: 1000 }, priceOf(model, {}, { at })),
          `${model} ${inputTokens}`,
        ).toBeCloseTo(theirs!.total_price, 9);
      }
    }
  });

  it("names the version of the table that is installed", () => {
    const installed = JSON.parse(
      readFileSync(resolve(import.meta.dirname, "../../../node_modules/@pydantic/genai-prices/package.json"), "utf8"),
    );
    expect(priceTable).toMatchObject({ name: installed.name, version: installed.version });
  });
});
