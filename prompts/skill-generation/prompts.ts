import { renderTemplate } from "@langchain/core/prompts";
import { distillSystem } from "./distill-system.js";
import { distillUser } from "./distill-user.js";
import { exploreSystem } from "./explore-system.js";
import { exploreTask } from "./explore-task.js";
import { reflectSystem } from "./reflect-system.js";
import { reflectUser } from "./reflect-user.js";
import { retryInjection } from "./retry-injection.js";
import { softIntervention } from "./soft-intervention.js";
import { strongIntervention } from "./strong-intervention.js";

/** The built-in prompts by the name under which they can be replaced. */
export const skillGenerationPrompts = {
  exploreSystem,
  exploreTask,
  retryInjection,
  softIntervention,
  strongIntervention,
  reflectSystem,
  reflectUser,
  distillSystem,
  distillUser,
};

type Prompts = typeof skillGenerationPrompts;

/**
 * The text of one message: the settings field `<name>Prompt` as a mustache template over the input when it is not empty,
 * else the factory's replacement, else the built-in prompt.
 */
export function renderPrompt<Name extends keyof Prompts>(
  name: Name,
  input: Parameters<Prompts[Name]>[0] extends undefined ? Record<string, never> : NonNullable<Parameters<Prompts[Name]>[0]>,
  replaced: { settings: object; overrides?: { [key in Name]?: (input: never) => string } | undefined },
): string {
  const template = (replaced.settings as Record<string, unknown>)[`${name}Prompt`];
  if (typeof template === "string" && template !== "") return renderTemplate(template, "mustache", input as never);
  const prompt = (replaced.overrides?.[name] ?? skillGenerationPrompts[name]) as (input: unknown) => string;
  return prompt(input);
}
