import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Backend, VerifierMode } from "../../state/attempt.js";
import type { Usage } from "../../state/model.js";
import type { HarborTask } from "../../state/task.js";
import { writeAtomically } from "../run-directory.js";

/** When a phase ran, ISO 8601 in UTC; null for a phase that did not begin. */
export interface PhaseTimes {
  startedAt: string;
  finishedAt: string | null;
}

/** Everything that a finished or broken trial writes into its directory's `config.json` and `result.json`. */
export interface TrialOutcome {
  task: Pick<HarborTask, "dir" | "name" | "digest">;
  /** Absolute path; its last part is the trial's name. */
  trialDir: string;
  /** Given to keep it stable over a re-execution; a random UUID otherwise. */
  id?: string;
  agent: { name: string; version: string; modelName: string | null; skills?: readonly string[] };
  backend: Backend;
  verifierMode: VerifierMode;
  timeoutMultiplier: number;
  /** Null for agents without a model. */
  usage: Usage | null;
  /** Null when unscored. */
  rewards: Record<string, number> | null;
  exception: { type: string; message: string; traceback?: string; occurredAt: string } | null;
  startedAt: string;
  finishedAt: string | null;
  environmentSetup: PhaseTimes | null;
  agentSetup: PhaseTimes | null;
  agentExecution: PhaseTimes | null;
  verifier: PhaseTimes | null;
  /** What Harbor has no word for (withheld and tampered paths, isolation, …); stands under {@link OWN_KEY} of result.json. */
  own: Record<string, unknown>;
}

/** Extra key of result.json. Harbor's models ignore what they do not know (0.24, tried). */
export const OWN_KEY = "spark_skills";

/** Writes `config.json` and `result.json` as Harbor does: nulls present, four spaces, UTC with Z. Throws SparkError `disk`. */
export async function writeTrialResult(outcome: TrialOutcome): Promise<void> {
  await writeAtomically(join(outcome.trialDir, "config.json"), jsonText(toTrialConfig(outcome)));
  await writeAtomically(join(outcome.trialDir, "result.json"), jsonText(toTrialResult(outcome)));
}

/** Writes `config.json` alone, at the start of a trial. Throws SparkError `disk`. */
export const writeTrialConfig = (outcome: TrialConfigInput): Promise<void> =>
  writeAtomically(join(outcome.trialDir, "config.json"), jsonText(toTrialConfig(outcome)));

type TrialConfigInput = Pick<TrialOutcome, "task" | "trialDir" | "agent" | "backend" | "timeoutMultiplier">;

/** Harbor's TrialConfig. Source: specs/harbor.md 10.2. */
export function toTrialConfig({ task, trialDir, agent, backend, timeoutMultiplier }: TrialConfigInput): Record<string, unknown> {
  return {
    task: { path: task.dir, git_url: null, git_commit_id: null, name: null, ref: null, overwrite: false, download_dir: null, source: null },
    trial_name: nameOf(trialDir),
    trials_dir: dirname(trialDir),
    install_only: false,
    timeout_multiplier: timeoutMultiplier,
    agent_timeout_multiplier: null,
    verifier_timeout_multiplier: null,
    agent_setup_timeout_multiplier: null,
    environment_build_timeout_multiplier: null,
    agent: {
      name: agent.name,
      import_path: null,
      model_name: agent.modelName,
      skills: agent.skills ?? [],
      override_timeout_sec: null,
      override_setup_timeout_sec: null,
      max_timeout_sec: null,
      kwargs: {},
      env: {},
      mcp_servers: [],
    },
    // Harbor knows no embedded sandbox: the import path says what ran.
    environment: {
      type: backend === "docker" ? "docker" : null,
      import_path: backend === "docker" ? null : `spark_skills:${backend}`,
      force_build: false,
      delete: true,
      override_cpus: null,
      override_memory_mb: null,
      override_storage_mb: null,
      override_gpus: null,
      mounts: null,
      env: {},
      kwargs: {},
    },
    verifier: { override_timeout_sec: null, max_timeout_sec: null, env: {}, disable: false },
    artifacts: [],
    extra_instruction_paths: [],
    extra_instructions: [],
    job_id: null,
    source_trial: null,
  };
}

/** Harbor's TrialResult with our extra key. Source: specs/harbor.md 10.3. */
export function toTrialResult(outcome: TrialOutcome): Record<string, unknown> {
  const { task, agent, usage, exception, backend, verifierMode } = outcome;
  return {
    id: outcome.id ?? randomUUID(),
    task_name: task.name,
    trial_name: nameOf(outcome.trialDir),
    trial_uri: pathToFileURL(outcome.trialDir).href,
    task_id: { path: task.dir },
    source: null,
    task_checksum: task.digest,
    config: toTrialConfig(outcome),
    agent_info: { name: agent.name, version: agent.version, model_info: modelInfo(agent.modelName) },
    agent_result: {
      n_input_tokens: usage?.inputTokens ?? null,
      n_cache_tokens: usage?.cachedTokens ?? null,
      n_output_tokens: usage?.outputTokens ?? null,
      cost_usd: usage?.costUsd ?? null,
      rollout_details: null,
      metadata: null,
    },
    verifier_result: outcome.rewards === null ? null : { rewards: outcome.rewards },
    // Harbor has "shared" and "separate" (an image of the verifier's own); fresh is neither and stands in our key.
    verifier_environment_mode: verifierMode === "shared" ? "shared" : null,
    exception_info: exception && {
      exception_type: exception.type,
      exception_message: exception.message,
      exception_traceback: exception.traceback ?? "",
      occurred_at: exception.occurredAt,
    },
    started_at: outcome.startedAt,
    finished_at: outcome.finishedAt,
    environment_setup: timing(outcome.environmentSetup),
    agent_setup: timing(outcome.agentSetup),
    agent_execution: timing(outcome.agentExecution),
    verifier: timing(outcome.verifier),
    step_results: null,
    [OWN_KEY]: { backend, verifier: verifierMode, ...outcome.own },
  };
}

const timing = (times: PhaseTimes | null) => times && { started_at: times.startedAt, finished_at: times.finishedAt };

/** `a/b/c` is provider a and name b/c; without a slash there is no provider. */
function modelInfo(modelName: string | null): { name: string; provider: string | null } | null {
  if (modelName === null) return null;
  const slash = modelName.indexOf("/");
  return slash < 0 ? { name: modelName, provider: null } : { name: modelName.slice(slash + 1), provider: modelName.slice(0, slash) };
}

const nameOf = (trialDir: string): string =>
  trialDir
    .replace(/[\\/]+$/, "")
    .split(/[\\/]/)
    .at(-1) ?? "";
const jsonText = (value: unknown): string => `${JSON.stringify(value, null, 4)}\n`;
