import type { BaseChatModel } from "@langchain/core/language_models/chat_models";
import type { ModelRole, Usage } from "../state/model.js";
import type { PromptName, SkillGenerationSettings, TrialSettings } from "../state/skill-generation.js";
import type { HarborTask } from "../state/task.js";
import type { SandboxProvider } from "./sandbox/sandbox.js";

/** A model that is ready to be asked, with what accounting needs. */
export interface ModelHandle {
  model: BaseChatModel;
  /** The id that the endpoint was given, for records. */
  id: string;
  /** US dollars of these tokens; null when the model's price is unknown, never 0. */
  costUsd(tokens: Omit<Usage, "costUsd">): number | null;
}

/** Counts what a whole run spends and refuses further calls at its caps. Shared by all tasks of a process. */
export interface RunBudget {
  /** Throws SparkError `budget-reached` when a cap is reached, or `cancelled` after a cancel. Called before every model call. */
  check(): void;
  /** Adds one call. */
  charge(usage: Usage): void;
}

/** Replacements of prompts: a function of the built-in prompt's input to the complete text of the message. */
export type PromptOverrides = { [Name in PromptName]?: (input: never) => string };

/**
 * Live handles that nodes need. They are passed to the factories and never stand in state or settings.
 * `createCapabilities` in graphs/capabilities.ts makes the usual set; a test or an embedding program makes its own.
 */
export interface Capabilities {
  /** Folder that holds the runs. */
  runsDir: string;
  /** The sandbox for a task, by the user's choice. Throws `docker-unavailable` or `sandbox-unsupported`. */
  sandbox(choice: TrialSettings["sandbox"], task: HarborTask): Promise<SandboxProvider>;
  /** The model of a role. Throws `model-missing` or `provider-credentials`. */
  model(role: ModelRole, settings: Partial<SkillGenerationSettings>, options?: { maxOutputTokens?: number }): Promise<ModelHandle>;
  /** Host variables for a task's env templates; only the names in `allow` are read, our own keys never. */
  hostEnvironment(allow: readonly string[]): Record<string, string>;
  /** Names of variables that hold our own keys, beside the well-known ones: never given to an agent. */
  ownKeyNames: readonly string[];
  /** Removes secrets from text before it is stored. */
  redact(text: string): string;
  budget?: RunBudget;
  prompts?: PromptOverrides;
  /** Puts a score on a traced run; the caller goes on when it fails. */
  feedback?(feedback: { runId: string; score: number; comment: string }): Promise<void>;
  /** Result of earlier preflights by key; a memory that outlives the process. */
  preflights?: { get(key: string): Promise<string | null>; set(key: string, value: string): Promise<void> };
}
