import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { type RunAddress, TaskDirectory, threadIdOf } from "../../formats/run-directory.js";
import { type AttemptRecord, isSolved } from "../../state/attempt.js";
import type { SkillGenerationContext } from "../../state/skill-generation.js";
import type { Capabilities } from "../../tools/capabilities.js";
import type { ShellAgentRunnable } from "../../tools/converse.js";
import { createExplore } from "./explore.js";
import { createVerify } from "./verify.js";

export interface TrialRequest {
  /** Path of the task directory. */
  task: string;
  address: RunAddress;
  settings: SkillGenerationContext;
  signal?: AbortSignal;
}

/** The record, and where its trial directory stands. */
export type Trial = AttemptRecord & {
  /** Absolute path. */
  trialDir: string;
};

/**
 * One agent run and one verification, in a row: a trial needs no graph. The oracle is its own preflight: when it fails under fresh
 * it is tried under shared, and the mode in which it earns full reward is its record. Throws SparkError for misuse and for a cancelled run.
 */
export async function runTrial(capabilities: Capabilities, agent: ShellAgentRunnable, request: TrialRequest): Promise<Trial> {
  const isOracle = request.settings.agent === "oracle";
  if (!isOracle || (request.settings.verifier ?? "auto") !== "auto")
    return runOnce(capabilities, agent, request, { ...request.settings, ...(isOracle ? { preflight: false } : {}) });
  const first = await runOnce(capabilities, agent, request, { ...request.settings, preflight: false });
  if (isSolved(first) || first.rollout.infrastructure || first.rollout.backend !== "docker" || first.rollout.verifier === "shared")
    return first;
  // Its own folder: what fresh left stays readable when both fail.
  const address = { run: request.address.run, task: `${request.address.task}--shared` };
  const second = await runOnce(capabilities, agent, { ...request, address }, { ...request.settings, preflight: false, verifier: "shared" });
  return isSolved(second) ? second : first;
}

async function runOnce(
  capabilities: Capabilities,
  agent: ShellAgentRunnable,
  { task, address, signal }: TrialRequest,
  settings: SkillGenerationContext,
): Promise<Trial> {
  const config = {
    configurable: { thread_id: threadIdOf(address) },
    context: settings,
    ...(signal ? { signal } : {}),
  } as LangGraphRunnableConfig;
  const { rollout } = await createExplore(capabilities, agent)({ task, attempts: [] }, config);
  const { attempts } = await createVerify(capabilities)({ task, rollout: rollout ?? null }, config);
  return { ...attempts!, trialDir: new TaskDirectory(capabilities.runsDir, address).path(attempts!.dir) };
}
