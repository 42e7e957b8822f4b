import type { AttemptRecord } from "../../state/attempt.js";
import type { HarborTask } from "../../state/task.js";
import type { TaskDirectory } from "../run-directory.js";
import { writeTrialResult } from "./trial-result.js";

/** Version that stands for our agent and for Harbor's two scripted ones (harbor.md 6.1). */
const AGENT_VERSIONS: Record<string, string> = { oracle: "1.0.0", nop: "1.0.0", spark: "0.1.0" };

/** Harbor's names for what broke, where it has one; everything else keeps our code. */
const HARBOR_EXCEPTIONS: Record<string, string> = {
  healthcheck: "HealthcheckError",
  "image-build": "RuntimeError",
  "image-missing": "RuntimeError",
  "sandbox-timeout": "EnvironmentStartTimeoutError",
  "verifier-broken": "RewardFileNotFoundError",
  "provider-credentials": "AgentAuthenticationError",
  "provider-rejected": "ApiError",
  "provider-unavailable": "ApiError",
};

/**
 * Completes an attempt's Harbor trial directory: config.json, result.json, agent/trajectory.json and exception.txt, beside the
 * agent/, verifier/ and artifacts/ folders that were copied out of the containers.
 */
export async function writeTrialDirectory(
  store: TaskDirectory,
  record: AttemptRecord,
  {
    task,
    timeoutMultiplier,
    skills,
    verifierMs,
  }: { task: HarborTask; timeoutMultiplier: number; skills: readonly string[]; verifierMs: number | null },
): Promise<void> {
  const { rollout, error } = record;
  if (rollout.trajectory !== null) await store.write(`${record.dir}/agent/trajectory.json`, await store.text(rollout.trajectory));
  if (rollout.output !== null && rollout.agent === "spark")
    await store.write(`${record.dir}/agent/spark.txt`, await store.text(rollout.output));
  const finishedAt = new Date(Date.parse(rollout.startedAt) + record.durationMs).toISOString();
  const verifierStarted = verifierMs === null ? null : new Date(Date.parse(finishedAt) - verifierMs).toISOString();
  if (error !== null) await store.write(`${record.dir}/exception.txt`, `${error.code}: ${error.message}\n`);
  await writeTrialResult({
    task,
    trialDir: store.path(record.dir),
    agent: { name: rollout.agent, version: AGENT_VERSIONS[rollout.agent] ?? "unknown", modelName: rollout.model, skills },
    backend: rollout.backend,
    verifierMode: rollout.verifier,
    timeoutMultiplier,
    usage: rollout.model === null ? null : rollout.usage,
    rewards: record.rewards ?? (record.reward === null ? null : { reward: record.reward }),
    exception:
      error === null ? null : { type: HARBOR_EXCEPTIONS[error.code] ?? error.code, message: error.message, occurredAt: finishedAt },
    startedAt: rollout.startedAt,
    finishedAt,
    environmentSetup: null,
    agentSetup: null,
    agentExecution: { startedAt: rollout.startedAt, finishedAt: rollout.finishedAt },
    verifier: verifierStarted === null ? null : { startedAt: verifierStarted, finishedAt },
    own: {
      status: record.status,
      attempt: record.attempt,
      retry: record.retry,
      stop: rollout.stop,
      stopDetail: rollout.stopDetail,
      withheld: record.withheld,
      tampered: record.tampered,
      listening: rollout.listening,
      isolation: rollout.isolation,
      verifierProven: rollout.verifierProven,
    },
  });
}
