import { calcPrice } from "@pydantic/genai-prices";
import type { Price } from "../state/model.js";
import type { LongContextPrice, ModelPrice } from "./cost.js";

/** The table behind {@link priceOf}: published prices as they were on that day. Goes into a run's config, so that its costs can be read later. */
export const priceTable = { name: "@pydantic/genai-prices", version: "0.1.8", date: "2026-09-23" } as const;

/** A price of the table: one number, or a base and steps by length of the input. */
type TablePrice = NonNullable<ReturnType<typeof calcPrice>>["model_price"][string];

const baseOf = (price: TablePrice): number | undefined => (typeof price === "object" ? price.base : price);

const stepsOf = (price: TablePrice): number[] => (typeof price === "object" ? price.tiers.map((tier) => tier.start) : []);

const priceAbove = (price: TablePrice, inputTokens: number): number | undefined =>
  typeof price === "object"
    ? (price.tiers.filter((tier) => tier.start <= inputTokens).sort((a, b) => b.start - a.start)[0]?.price ?? price.base)
    : price;

const priceFrom = (input: number | undefined, output: number | undefined, cached: number | undefined): Price | null =>
  input === undefined || output === undefined
    ? null
    : { inputPerMillion: input, outputPerMillion: output, ...(cached === undefined ? {} : { cachedInputPerMillion: cached }) };

export interface PriceQuestion {
  /** Where the model is called. A place that the table does not know has no known price, whatever the model's name says. */
  baseUrl?: string | undefined;
  /** Prices change; default now. */
  at?: Date;
}

/**
 * Price of a model: the user's own first, else the bundled table's (no network), else null. US dollars per million tokens.
 * An embedding or audio model, which the table prices by another unit, is null too.
 */
export const priceOf = (
  model: string,
  overrides: Readonly<Record<string, Price>> = {},
  { baseUrl, at }: PriceQuestion = {},
): ModelPrice | null => {
  if (Object.hasOwn(overrides, model)) return overrides[model] as Price;
  if (model === "") return null;
  const found = calcPrice({ input_tokens: 0, output_tokens: 0 }, model, {
    ...(baseUrl === undefined ? {} : { providerApiUrl: baseUrl }),
    ...(at === undefined ? {} : { timestamp: at }),
  });
  if (found === null) return null;
  const { input_mtok: input, output_mtok: output, cache_read_mtok: cached } = found.model_price;
  const base = priceFrom(baseOf(input), baseOf(output), baseOf(cached));
  if (base === null) return null;
  const starts = [...new Set([input, output, cached].flatMap(stepsOf))].sort((a, b) => a - b);
  const longContext = starts.map((start): LongContextPrice | null => {
    const step = priceFrom(priceAbove(input, start), priceAbove(output, start), priceAbove(cached, start));
    return step && { aboveInputTokens: start, ...step };
  });
  return starts.length === 0 ? base : { ...base, longContext: longContext.filter((step) => step !== null) };
};
