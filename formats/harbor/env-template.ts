import { SparkError } from "../../state/errors.js";

/** Tables of task.toml that may hold templates. What the agent's container or the oracle sees belongs to the agent's phase. */
export type TemplateTable = "environment.env" | "solution.env" | "verifier.env" | "verifier.env (shared)";

// A value that is a template as a whole; anything else is literal (specs/harbor.md 4.5).
const TEMPLATE = /^\$\{([^}:]+)(?::-(.*))?\}$/s;

const PROVIDER_KEY =
  /^(OPENAI|AZURE(_OPENAI)?|ANTHROPIC|CLAUDE|GOOGLE|GEMINI|VERTEX|MISTRAL|GROQ|DEEPSEEK|OPENROUTER|TOGETHER|FIREWORKS|XAI|COHERE|LANGSMITH|LANGCHAIN|LANGGRAPH|SPARK(_SKILLS)?)_(.*_)?(KEY|TOKEN|SECRET)S?$/i;

/** Whether a variable's name is that of a model provider's or tracing service's key. */
export const isProviderKey = (name: string, ourKeyNames: readonly string[] = []): boolean =>
  PROVIDER_KEY.test(name) || ourKeyNames.includes(name);

/**
 * The host variables that `--allow-env` names, those that are set. Nothing else of `env` can reach a task's templates.
 * Throws SparkError `env-refused` when one of them is a provider's key under another name: by its own name it would be kept from the agent.
 */
export function allowedEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
  ourKeyNames: readonly string[] = [],
): Record<string, string> {
  const keys = new Map(Object.entries(env).flatMap(([name, value]) => (value && isProviderKey(name, ourKeyNames) ? [[value, name]] : [])));
  const allowed: Record<string, string> = {};
  for (const name of names) {
    const value = env[name];
    if (value === undefined) continue;
    const key = keys.get(value);
    if (key !== undefined && !isProviderKey(name, ourKeyNames))
      throw new SparkError(
        `--allow-env ${name}: it has the value of ${key}, which never goes to an agent; name ${key} itself if the verifier needs it`,
        { code: "env-refused" },
      );
    allowed[name] = value;
  }
  return allowed;
}

/**
 * A table of task.toml with its templates `${NAME}` and `${NAME:-default}` filled from `allowed`, which holds only variables that the user named.
 * A default stands in for a variable that is not allowed or not set; set but empty counts as set.
 * Throws SparkError `env-refused` for a variable without either, and for a provider's key in the agent's phase even when it is allowed.
 */
export function resolveTemplates(
  table: Readonly<Record<string, string>>,
  allowed: Readonly<Record<string, string>>,
  place: TemplateTable,
  ourKeyNames: readonly string[] = [],
): Record<string, string> {
  const resolved: Record<string, string> = {};
  for (const [key, text] of Object.entries(table))
    resolved[key] = resolvedValue(text, allowed, `${place}.${key}`, place !== "verifier.env", ourKeyNames);
  return resolved;
}

function resolvedValue(
  text: string,
  allowed: Readonly<Record<string, string>>,
  where: string,
  isAgents: boolean,
  ourKeyNames: readonly string[],
): string {
  const match = TEMPLATE.exec(text);
  if (!match) return text;
  const [, name = "", fallback] = match;
  const isSet = Object.hasOwn(allowed, name);
  if (isAgents && isProviderKey(name, ourKeyNames) && (isSet || fallback === undefined))
    throw new SparkError(`${where} asks for ${name}: a provider's key is never given to the agent's phase; remove it from the task`, {
      code: "env-refused",
    });
  if (isSet) return allowed[name]!;
  if (fallback !== undefined) return fallback;
  throw new SparkError(
    `${where} asks for the variable ${name} of this machine: set it and pass --allow-env ${name}, or give it a default in task.toml`,
    { code: "env-refused" },
  );
}
