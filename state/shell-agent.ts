import { MessagesDeltaValue, StateSchema } from "@langchain/langgraph";
import { z } from "zod";
import { artifactRefSchema } from "./artifact.js";
import { stopReasonSchema } from "./attempt.js";
import { noUsage, usageSchema } from "./model.js";

/**
 * Channels of the shell-agent loop. It alone uses StateSchema: with plain messages an attempt of 40 steps wrote
 * 18.5 MB of checkpoints, as deltas about 0.8 (engineering/langgraph.md 1.5).
 */
export const shellAgentState = new StateSchema({
  messages: MessagesDeltaValue,
  steps: z.number().int().default(0).describe("Model calls so far"),
  usage: usageSchema.default(noUsage),
  activeMs: z.number().default(0).describe("Milliseconds of work so far; time while no process ran does not count"),
  formatErrors: z.number().int().default(0).describe("Unusable replies in a row"),
  contextScale: z.number().default(1).describe("Shrinks after each overflow of the model's context"),
  stop: stopReasonSchema.nullable().default(null),
  stopDetail: z.string().default(""),
});
export type ShellAgentState = typeof shellAgentState.State;
export type ShellAgentUpdate = typeof shellAgentState.Update;

/** Hard limits of one conversation. */
export const shellAgentBudgetSchema = z.object({
  maxSteps: z.number().int().positive(),
  maxTokens: z.number().int().positive(),
  maxCostUsd: z.number().positive().nullable(),
  timeoutMs: z.number().positive(),
  contextCharacters: z.number().int().positive(),
});
export type ShellAgentBudget = z.infer<typeof shellAgentBudgetSchema>;

/** What the shell tool leaves in a tool message's `artifact`: the record of one command; index and text of the command come from the call. */
export const shellArtifactSchema = z.object({
  command: z.string(),
  exitCode: z.number().int().nullable(),
  timedOut: z.boolean(),
  durationMs: z.number().nonnegative(),
  output: artifactRefSchema,
});
export type ShellArtifact = z.infer<typeof shellArtifactSchema>;
