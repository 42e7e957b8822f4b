import { z } from "zod";

/** Who asks a model: the teacher explores, the summary model reflects and distils. */
export const modelRoleSchema = z.enum(["teacher", "summary"]);
export type ModelRole = z.infer<typeof modelRoleSchema>;

/** Tokens and money of one or more model calls. `costUsd` is null when the price of the model is unknown (never 0). */
export const usageSchema = z.object({
  inputTokens: z.number().nonnegative().describe("All input tokens, cached ones included"),
  cachedTokens: z.number().nonnegative().describe("The part of the input that the provider served from its cache"),
  outputTokens: z.number().nonnegative().describe("Output tokens, reasoning included"),
  costUsd: z.number().nonnegative().nullable().describe("US dollars, null when the model's price is unknown"),
});
export type Usage = z.infer<typeof usageSchema>;

export const noUsage: Usage = { inputTokens: 0, cachedTokens: 0, outputTokens: 0, costUsd: 0 };

/** Sum of two usages; a cost that is unknown in one part stays unknown in the sum. */
export const addUsage = (a: Usage, b: Usage): Usage => ({
  inputTokens: a.inputTokens + b.inputTokens,
  cachedTokens: a.cachedTokens + b.cachedTokens,
  outputTokens: a.outputTokens + b.outputTokens,
  costUsd: a.costUsd === null || b.costUsd === null ? null : a.costUsd + b.costUsd,
});

/** Price of a model in US dollars per million tokens. */
export const priceSchema = z.object({
  inputPerMillion: z.number().nonnegative(),
  outputPerMillion: z.number().nonnegative(),
  cachedInputPerMillion: z.number().nonnegative().optional().describe("Defaults to the input price"),
});
export type Price = z.infer<typeof priceSchema>;

/** One entry of `--models FILE`: where a model lives and how it is called. */
export const modelSpecSchema = z.strictObject({
  name: z.string().min(1).describe("The name used with -m and --summary-model"),
  model: z.string().min(1).describe("The id sent to the endpoint, as written"),
  baseUrl: z.string().url().optional().describe("OpenAI-compatible endpoint, with /v1"),
  apiKeyEnv: z.string().optional().describe("Name of the environment variable that holds the key"),
  price: priceSchema.optional(),
  options: z
    .strictObject({
      temperature: z.number().min(0).max(2).optional(),
      reasoningEffort: z.enum(["minimal", "low", "medium", "high"]).optional(),
      maxOutputTokens: z.number().int().positive().optional(),
      headers: z.record(z.string(), z.string()).optional().describe("Literal values, or ${NAME} of the environment for secrets"),
      timeoutMs: z.number().int().positive().optional().describe("Limit of one HTTP try in milliseconds"),
      maxRetries: z.number().int().nonnegative().optional(),
    })
    .optional(),
});
export type ModelSpec = z.infer<typeof modelSpecSchema>;
