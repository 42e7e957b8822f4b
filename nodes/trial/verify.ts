import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { countTests, readTests, testSummary } from "../../formats/harbor/ctrf.js";
import { readTask } from "../../formats/harbor/read-task.js";
import { writeTrialDirectory } from "../../formats/harbor/trial-directory.js";
import { type TaskDirectory, trialDirectoryName } from "../../formats/run-directory.js";
import { type AttemptRecord, type AttemptStatus, attemptRecordSchema, type Rollout } from "../../state/attempt.js";
import { cutText } from "../../state/cut-text.js";
import { SparkError } from "../../state/errors.js";
import { settingsOf } from "../../state/settings.js";
import { type SkillGenerationSettings, type SkillGenerationUpdate, skillGenerationSettingsSchema } from "../../state/skill-generation.js";
import type { HarborTask } from "../../state/task.js";
import { failedTestLines } from "../../state/test-summary.js";
import type { Writes } from "../../state/writes.js";
import type { Capabilities } from "../../tools/capabilities.js";
import { runPlaceOf } from "../../tools/run-place.js";
import type { SandboxProvider } from "../../tools/sandbox/sandbox.js";
import { collectArtifacts, prepareImage, type TrialPlace } from "../../tools/trial-environment.js";
import { openVerifier, TEST_OUTPUT_FILE, type VerifierOutcome, verifyAnswer } from "../../tools/verify-answer.js";

export interface VerifySlice {
  task: string;
  rollout: Rollout | null;
}

/** The record as it was first written: a repeated execution reads it instead of judging again. */
const RECORD_FILE = "record.json";

/**
 * Makes the one record of an attempt: the task's tests judge what explore left (or its infrastructure failure is written down), and the
 * Harbor trial directory is written. The record goes to disk before anything is removed, so a crash at any point neither judges twice
 * nor loses the answer.
 */
export const createVerify =
  (capabilities: Capabilities) =>
  async (state: VerifySlice, config: LangGraphRunnableConfig): Promise<Writes<SkillGenerationUpdate, "attempts">> => {
    const { rollout } = state;
    if (rollout === null) throw new SparkError("verify was reached without a rollout", { code: "internal" });
    const settings = settingsOf(skillGenerationSettingsSchema, config);
    const task = await readTask(state.task);
    const { store, address } = runPlaceOf(config, state.task, capabilities);
    const base = trialDirectoryName(address.task, rollout.attempt, null);
    const known = await knownRecord(store, base, rollout);
    if (known !== null) {
      await cleanUp(await capabilities.sandbox(settings.sandbox, task), rollout);
      return { attempts: known };
    }
    if (rollout.infrastructure) return { attempts: await infrastructureRecord(store, task, settings, rollout, address.task) };
    const provider = await capabilities.sandbox(settings.sandbox, task);
    const trial: TrialPlace = {
      provider,
      task,
      settings,
      run: address.run,
      hostEnvironment: capabilities.hostEnvironment(settings.allowEnv),
      ownKeyNames: capabilities.ownKeyNames,
      signal: config.signal,
    };
    try {
      const record = await judged(trial, store, base, rollout);
      await store.write(`${base}/${RECORD_FILE}`, JSON.stringify(record));
      await cleanUp(provider, rollout);
      if (rollout.runId !== null && record.reward !== null)
        // Tracing is decoration: a LangSmith that does not answer must not cost an attempt.
        await capabilities.feedback?.({ runId: rollout.runId, score: record.reward, comment: record.status }).catch(() => {});
      return { attempts: record };
    } catch (error) {
      if (config.signal?.aborted || !SparkError.isInstance(error) || error.kind !== "environment" || error.code === "disk") throw error;
      const failed: Rollout = { ...rollout, infrastructure: true, error: { code: error.code, message: error.message } };
      const record = await infrastructureRecord(store, task, settings, failed, address.task);
      await cleanUp(provider, rollout);
      return { attempts: record };
    }
  };

async function knownRecord(store: TaskDirectory, base: string, rollout: Rollout): Promise<AttemptRecord | null> {
  const path = `${base}/${RECORD_FILE}`;
  if (!(await store.exists(path))) return null;
  const parsed = attemptRecordSchema.safeParse(JSON.parse((await store.bytes(path)).toString("utf8")));
  return parsed.success && parsed.data.id === rollout.id ? parsed.data : null;
}

async function judged(trial: TrialPlace, store: TaskDirectory, base: string, rollout: Rollout): Promise<AttemptRecord> {
  const { task, settings } = trial;
  const started = performance.now();
  await store.empty(base);
  const image = await prepareImage(trial);
  const opened = await openVerifier(trial, image, {
    mode: rollout.verifier,
    snapshot: rollout.snapshot,
    container: rollout.container ?? "",
  });
  await using sandbox = opened.sandbox;
  await sandbox.copyOut("/logs/agent", store.path(`${base}/agent`), { maxFiles: 2000, maxBytes: 100_000_000 });
  const artifacts = await collectArtifacts(trial, sandbox, store.path(`${base}/artifacts`));
  await store.write(`${base}/artifacts/manifest.json`, `${JSON.stringify(artifacts, null, 2)}\n`);
  const outcome = await verifyAnswer(trial, sandbox, rollout.verifier, store.path(`${base}/verifier`));
  const scored = scoreOf(outcome, rollout, opened.tampered);
  const tests = await readTests(store.path(`${base}/verifier`));
  const characters = (settings as SkillGenerationSettings).testSummaryCharacters;
  const summary = cutText(testSummary(tests), characters, "end");
  const testOutput = (await store.exists(`${base}/verifier/${TEST_OUTPUT_FILE}`))
    ? await store.put((await store.bytes(`${base}/verifier/${TEST_OUTPUT_FILE}`)).toString("utf8"))
    : null;
  const record: AttemptRecord = {
    id: rollout.id,
    attempt: rollout.attempt,
    retry: rollout.retry,
    ...scored,
    ...countTests(tests),
    testSummary: await store.put(summary),
    failedTests: failedTestLines(summary),
    testOutput,
    withheld: opened.withheld,
    tampered: opened.tampered,
    dir: base,
    durationMs: Math.round(Date.parse(rollout.finishedAt) - Date.parse(rollout.startedAt) + performance.now() - started),
    rollout,
  };
  await writeTrialDirectory(store, record, {
    task,
    timeoutMultiplier: settings.timeoutMultiplier,
    skills: settings.skills,
    verifierMs: outcome.durationMs,
  });
  return record;
}

/** Status and reward. No reward file counts as 0 only where the oracle has shown that this verifier works here; else it is infrastructure. */
function scoreOf(
  outcome: VerifierOutcome,
  rollout: Rollout,
  tampered: string[],
): Pick<AttemptRecord, "status" | "reward" | "rewards" | "error"> {
  const byReward = (reward: number): AttemptStatus =>
    rollout.error !== null ? "ERROR" : reward >= 1 ? "PASS" : reward > 0 ? "PARTIAL" : "FAIL";
  if (rollout.verifier === "fresh" && tampered.length > 0)
    return {
      status: byReward(0),
      reward: 0,
      rewards: { reward: 0 },
      error: { code: "tampered", message: `what judges was changed and could not be restored: ${tampered.slice(0, 5).join(", ")}` },
    };
  const { reward } = outcome;
  if (reward.kind === "rewarded")
    return { status: byReward(reward.reward), reward: reward.reward, rewards: reward.rewards, error: rollout.error };
  if (!rollout.verifierProven)
    throw new SparkError(
      `the verifier gave no reward (${reward.exception}: ${reward.message}) and no oracle has shown that it works here; run the oracle with \`spark-skills trial -a oracle\``,
      {
        code: "verifier-broken",
      },
    );
  return { status: byReward(0), reward: 0, rewards: null, error: { code: reward.exception, message: reward.message } };
}

async function infrastructureRecord(
  store: TaskDirectory,
  task: HarborTask,
  settings: SkillGenerationSettings,
  rollout: Rollout,
  taskName: string,
): Promise<AttemptRecord> {
  const record: AttemptRecord = {
    id: rollout.id,
    attempt: rollout.attempt,
    retry: rollout.retry,
    status: "INFRA_ERROR",
    reward: null,
    rewards: null,
    passed: 0,
    total: 0,
    testSummary: null,
    failedTests: [],
    testOutput: null,
    withheld: [],
    tampered: [],
    dir: trialDirectoryName(taskName, rollout.attempt, rollout.retry),
    durationMs: Math.round(Math.max(0, Date.parse(rollout.finishedAt) - Date.parse(rollout.startedAt))),
    error: rollout.error,
    rollout,
  };
  await writeTrialDirectory(store, record, {
    task,
    timeoutMultiplier: settings.timeoutMultiplier,
    skills: settings.skills,
    verifierMs: null,
  });
  return record;
}

/** A normal end leaves nothing behind. */
async function cleanUp(provider: SandboxProvider, rollout: Rollout): Promise<void> {
  if (rollout.container !== null) await (await provider.find(rollout.container, { leaseMs: 0 }))?.close();
  if (rollout.snapshot !== null) await provider.removeSnapshot(rollout.snapshot);
}
