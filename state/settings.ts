import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import type { z } from "zod";
import { SparkError } from "./errors.js";

/**
 * The settings of a run: what Studio and callers put into `context` or, when they give none, into `configurable`, with the
 * schema's defaults. LangGraph validates a context but does not apply its defaults, and an exported node must also work in a
 * graph that has another context, so every node parses. Throws SparkError `settings`.
 */
export function settingsOf<S extends z.ZodObject>(
  schema: S,
  config: Pick<LangGraphRunnableConfig, "configurable" | "context">,
): z.output<S> {
  const known = (values: object | undefined) =>
    Object.fromEntries(Object.entries(values ?? {}).filter(([key, value]) => key in schema.shape && value !== undefined));
  const parsed = schema.safeParse({ ...known(config.configurable), ...known(config.context as object | undefined) });
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new SparkError(`setting ${issue.path.join(".") || "(root)"}: ${issue.message}; correct the value in the context`, {
    code: "settings",
    cause: parsed.error,
  });
}
