import { z } from "zod";
import { SparkError } from "../../state/errors.js";
import type { Usage } from "../../state/model.js";

/** One turn of a conversation as we hold it. Only an agent's turn has reasoning, tool calls and metrics. */
export interface ConversationTurn {
  source: "system" | "user" | "agent";
  message: string;
  reasoning?: string;
  toolCalls: { id: string; name: string; arguments: Record<string, unknown> }[];
  /** Answers to the calls of this turn. */
  observations: { callId: string; content: string }[];
  metrics?: { promptTokens: number; completionTokens: number; cachedTokens?: number; costUsd?: number | null };
}

const extra = z.record(z.string(), z.unknown()).optional();
const count = z.number().int().nonnegative();
const contentPartSchema = z.union([
  z.strictObject({ type: z.literal("text"), text: z.string() }),
  z.strictObject({
    type: z.literal("image"),
    source: z.strictObject({ media_type: z.enum(["image/jpeg", "image/png", "image/gif", "image/webp"]), path: z.string() }),
  }),
]);
const contentSchema = z.union([z.string(), z.array(contentPartSchema)]);
const toolCallSchema = z.strictObject({
  tool_call_id: z.string(),
  function_name: z.string(),
  arguments: z.record(z.string(), z.unknown()),
  extra,
});
const resultSchema = z.strictObject({ source_call_id: z.string().optional(), content: contentSchema.optional(), extra });
const metricsSchema = z.strictObject({
  prompt_tokens: count.optional(),
  completion_tokens: count.optional(),
  cached_tokens: count.optional(),
  cost_usd: z.number().nonnegative().optional(),
  extra,
});
const AGENT_ONLY = ["model_name", "reasoning_effort", "reasoning_content", "tool_calls", "metrics"] as const;
const stepSchema = z
  .strictObject({
    step_id: z.number().int().positive(),
    timestamp: z.iso.datetime({ offset: true }).optional(),
    source: z.enum(["system", "user", "agent"]),
    message: contentSchema,
    model_name: z.string().optional(),
    reasoning_effort: z.union([z.string(), z.number()]).optional(),
    reasoning_content: z.string().optional(),
    tool_calls: z.array(toolCallSchema).optional(),
    observation: z.strictObject({ results: z.array(resultSchema) }).optional(),
    metrics: metricsSchema.optional(),
    llm_call_count: count.optional(),
    extra,
  })
  .superRefine((step, context) => {
    for (const name of AGENT_ONLY)
      if (step.source !== "agent" && step[name] !== undefined)
        context.addIssue({ code: "custom", path: [name], message: `only an agent's step has ${name}` });
    const calls = new Set(step.tool_calls?.map(({ tool_call_id }) => tool_call_id));
    step.observation?.results.forEach(({ source_call_id }, index) => {
      if (source_call_id !== undefined && !calls.has(source_call_id))
        context.addIssue({
          code: "custom",
          path: ["observation", "results", index],
          message: `no tool call ${source_call_id} in this step`,
        });
    });
  });

/** ATIF 1.7 as we write it: unknown fields are refused, absent ones left out, steps count from 1. Source: specs/harbor.md 12. */
export const atifSchema = z
  .strictObject({
    schema_version: z.literal("ATIF-v1.7"),
    session_id: z.string().optional(),
    agent: z.strictObject({
      name: z.string(),
      version: z.string(),
      model_name: z.string().optional(),
      tool_definitions: z.array(z.record(z.string(), z.unknown())).optional(),
      extra,
    }),
    steps: z.array(stepSchema).min(1),
    notes: z.string().optional(),
    final_metrics: z
      .strictObject({
        total_prompt_tokens: count.optional(),
        total_completion_tokens: count.optional(),
        total_cached_tokens: count.optional(),
        total_cost_usd: z.number().nonnegative().optional(),
        total_steps: count.optional(),
        extra,
      })
      .optional(),
    extra,
  })
  .superRefine(({ steps }, context) => {
    steps.forEach((step, index) => {
      if (step.step_id !== index + 1)
        context.addIssue({ code: "custom", path: ["steps", index, "step_id"], message: `must be ${index + 1}` });
    });
  });
export type Atif = z.infer<typeof atifSchema>;

/** A conversation as ATIF. An answer to a call that its turn does not have is kept without the reference. */
export function toAtif(conversation: {
  agent: { name: string; version: string; modelName?: string | undefined; toolDefinitions?: Record<string, unknown>[] };
  turns: readonly ConversationTurn[];
  usage?: Usage;
  sessionId?: string;
}): Atif {
  const { agent, usage, sessionId } = conversation;
  // ATIF wants a step; a conversation that broke before its first message has none.
  const turns: readonly ConversationTurn[] =
    conversation.turns.length > 0 ? conversation.turns : [{ source: "system", message: "", toolCalls: [], observations: [] }];
  return atifSchema.parse({
    schema_version: "ATIF-v1.7",
    ...(sessionId === undefined ? {} : { session_id: sessionId }),
    agent: {
      name: agent.name,
      version: agent.version,
      ...(agent.modelName === undefined ? {} : { model_name: agent.modelName }),
      ...(agent.toolDefinitions === undefined ? {} : { tool_definitions: agent.toolDefinitions }),
    },
    steps: turns.map((turn, index) => toStep(turn, index + 1)),
    final_metrics: {
      ...(usage && {
        total_prompt_tokens: tokens(usage.inputTokens),
        total_completion_tokens: tokens(usage.outputTokens),
        total_cached_tokens: tokens(usage.cachedTokens),
        ...(usage.costUsd === null ? {} : { total_cost_usd: usage.costUsd }),
      }),
      total_steps: turns.length,
    },
  });
}

function toStep(turn: ConversationTurn, stepId: number): Record<string, unknown> {
  const calls = turn.source === "agent" ? turn.toolCalls : [];
  const ids = new Set(calls.map(({ id }) => id));
  const { metrics } = turn;
  return {
    step_id: stepId,
    source: turn.source,
    message: wellFormed(turn.message),
    ...(turn.source === "agent" && turn.reasoning ? { reasoning_content: wellFormed(turn.reasoning) } : {}),
    ...(calls.length > 0
      ? {
          tool_calls: calls.map((call) => ({
            tool_call_id: call.id,
            function_name: call.name,
            arguments: isTable(call.arguments) ? wellFormedDeep(call.arguments) : {},
          })),
        }
      : {}),
    ...(turn.observations.length > 0
      ? {
          observation: {
            results: turn.observations.map(({ callId, content }) => ({
              ...(ids.has(callId) ? { source_call_id: callId } : {}),
              content: wellFormed(content),
            })),
          },
        }
      : {}),
    ...(turn.source === "agent" && metrics
      ? {
          metrics: {
            prompt_tokens: tokens(metrics.promptTokens),
            completion_tokens: tokens(metrics.completionTokens),
            ...(metrics.cachedTokens === undefined ? {} : { cached_tokens: tokens(metrics.cachedTokens) }),
            ...(metrics.costUsd === undefined || metrics.costUsd === null ? {} : { cost_usd: metrics.costUsd }),
          },
        }
      : {}),
  };
}

// A provider's odd number must not lose a finished conversation.
const tokens = (value: number): number => (Number.isFinite(value) ? Math.max(0, Math.round(value)) : 0);
// Python's validators refuse half a surrogate pair, which a cut text can end with.
const wellFormed = (text: string): string => Buffer.from(text, "utf8").toString("utf8");
const wellFormedDeep = (value: Record<string, unknown>): unknown =>
  JSON.parse(JSON.stringify(value), (_, entry: unknown) => (typeof entry === "string" ? wellFormed(entry) : entry));

const looseTextSchema = z.union([z.string(), z.array(z.looseObject({ type: z.string(), text: z.string().nullish() }))]).nullish();
const looseAtifSchema = z.looseObject({
  schema_version: z.string().optional(),
  agent: z.looseObject({ name: z.string().optional(), model_name: z.string().nullish() }).optional(),
  steps: z.array(
    z.looseObject({
      source: z.enum(["system", "user", "agent"]),
      message: looseTextSchema,
      reasoning_content: z.string().nullish(),
      tool_calls: z
        .array(z.looseObject({ tool_call_id: z.string().nullish(), function_name: z.string().nullish(), arguments: z.unknown() }))
        .nullish(),
      observation: z
        .looseObject({ results: z.array(z.looseObject({ source_call_id: z.string().nullish(), content: looseTextSchema })).nullish() })
        .nullish(),
      metrics: z
        .looseObject({
          prompt_tokens: z.number().nullish(),
          completion_tokens: z.number().nullish(),
          cached_tokens: z.number().nullish(),
          cost_usd: z.number().nullish(),
        })
        .nullish(),
    }),
  ),
});

/** Conversation of an ATIF document of any version, unknown fields passed over, pictures as `[image]`. Throws SparkError `file-invalid`. */
export function fromAtif(document: unknown, path: string): { agent: string | null; modelName: string | null; turns: ConversationTurn[] } {
  const parsed = looseAtifSchema.safeParse(document);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw new SparkError(`${path} is no ATIF trajectory: ${issue.path.join(".") || "document"}: ${issue.message}`, {
      code: "file-invalid",
    });
  }
  const { agent, steps } = parsed.data;
  return {
    agent: agent?.name ?? null,
    modelName: agent?.model_name ?? null,
    turns: steps.map((step) => ({
      source: step.source,
      message: textOf(step.message),
      ...(step.reasoning_content ? { reasoning: step.reasoning_content } : {}),
      toolCalls: (step.tool_calls ?? []).map((call) => ({
        id: call.tool_call_id ?? "",
        name: call.function_name ?? "",
        arguments: isTable(call.arguments) ? call.arguments : {},
      })),
      observations: (step.observation?.results ?? []).map((result) => ({
        callId: result.source_call_id ?? "",
        content: textOf(result.content),
      })),
      ...(step.metrics
        ? {
            metrics: {
              promptTokens: step.metrics.prompt_tokens ?? 0,
              completionTokens: step.metrics.completion_tokens ?? 0,
              cachedTokens: step.metrics.cached_tokens ?? 0,
              costUsd: step.metrics.cost_usd ?? null,
            },
          }
        : {}),
    })),
  };
}

const isTable = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const textOf = (content: z.infer<typeof looseTextSchema>): string =>
  typeof content === "string"
    ? content
    : (content ?? []).map((part) => (part.type === "text" ? (part.text ?? "") : `[${part.type}]`)).join("\n");
