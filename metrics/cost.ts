import type { Price, Usage } from "../state/model.js";

/** Prices that hold for a whole call once its input is longer than `aboveInputTokens`. */
export interface LongContextPrice extends Price {
  aboveInputTokens: number;
}

/** A price, with the steps that some providers add for long inputs, shortest first. A plain `Price` is one too. */
export interface ModelPrice extends Price {
  longContext?: readonly LongContextPrice[];
}

const MILLION = 1_000_000;

/**
 * US dollars of one call, null when the price is unknown (never 0: unknown is not free).
 * Cached tokens are part of the input and cost the cached price, which defaults to the input price; more cached than input tokens count as all of the input.
 * `usage` is that of one call, because a step for long inputs looks at the call, not at a sum.
 */
export const costOf = (usage: Pick<Usage, "inputTokens" | "cachedTokens" | "outputTokens">, price: ModelPrice | null): number | null => {
  if (price === null) return null;
  const { inputPerMillion, outputPerMillion, cachedInputPerMillion } =
    price.longContext?.findLast((step) => usage.inputTokens > step.aboveInputTokens) ?? price;
  const cached = Math.min(usage.cachedTokens, usage.inputTokens);
  const input = (usage.inputTokens - cached) * inputPerMillion + cached * (cachedInputPerMillion ?? inputPerMillion);
  return (input + usage.outputTokens * outputPerMillion) / MILLION;
};
