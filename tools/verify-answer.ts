import { join } from "node:path";
import { resolveTemplates } from "../formats/harbor/env-template.js";
import { type RewardOutcome, readReward } from "../formats/harbor/reward.js";
import type { VerifierMode } from "../state/attempt.js";
import { SparkError } from "../state/errors.js";
import type { CopyLimits, ImageRef, JudgeResult, Sandbox } from "./sandbox/sandbox.js";
import { asRoot, containerOptions, leaseFor, scaled, type TrialPlace, userOf } from "./trial-environment.js";

/** What may be copied out of a verifier's container: its content is the agent's or the tests', both untrusted. */
export const COPY_LIMITS: CopyLimits = { maxFiles: 20_000, maxBytes: 200_000_000 };

/** Harbor's name for the file of the tests' output. */
export const TEST_OUTPUT_FILE = "test-stdout.txt";

export interface VerifierOutcome {
  reward: RewardOutcome;
  timedOut: boolean;
  durationMs: number;
}

/**
 * The verifier in a container that is ready to judge: tests copied in over an emptied /tests, /logs/verifier emptied, test.sh run as
 * Harbor runs it (its exit code is ignored), its log directory copied to `verifierDir` on this machine, the reward read there.
 * Source: harbor.md 7.
 */
export async function verifyAnswer(place: TrialPlace, sandbox: Sandbox, mode: VerifierMode, verifierDir: string): Promise<VerifierOutcome> {
  const { task, settings, signal } = place;
  await asRoot(sandbox, "rm -rf /tests /logs/verifier && mkdir -p /tests /logs/verifier && chmod 777 /logs/verifier");
  await sandbox.copyIn(join(task.dir, "tests"), "/tests", { replace: true });
  await asRoot(sandbox, "chmod +x /tests/test.sh");
  const result = await sandbox.exec(`(/tests/test.sh) > /logs/verifier/${TEST_OUTPUT_FILE} 2>&1`, {
    // Under shared the agent's living processes can read the environment of the tests, so the agent's rule holds.
    env: resolveTemplates(
      task.config.verifier.env,
      place.hostEnvironment,
      mode === "shared" ? "verifier.env (shared)" : "verifier.env",
      place.ownKeyNames,
    ),
    timeoutMs: scaled(task.config.verifier.timeoutSec, settings),
    ...userOf(task.config.verifier.user),
    ...(signal ? { signal } : {}),
  });
  signal?.throwIfAborted();
  await sandbox.copyOut("/logs/verifier", verifierDir, COPY_LIMITS);
  const reward: RewardOutcome = result.timedOut
    ? {
        kind: "unreadable",
        exception: "VerifierTimeoutError",
        message: `the verifier did not end within ${task.config.verifier.timeoutSec * settings.timeoutMultiplier} s`,
        file: null,
      }
    : await readReward(verifierDir);
  return { reward, timedOut: result.timedOut, durationMs: result.durationMs };
}

/** What is left of a rollout for its verifier: a snapshot (fresh) or the living container (shared). */
export interface AnswerState {
  mode: VerifierMode;
  snapshot: string | null;
  container: string;
}

/**
 * A container in which the tests may run: a new one with the agent's changes but everything that judges as in the pristine image
 * (fresh), or the agent's own with its processes alive and a report of what was changed (shared).
 */
export async function openVerifier(place: TrialPlace, image: ImageRef, answer: AnswerState): Promise<JudgeResult> {
  const { provider, task } = place;
  if (answer.mode === "shared") {
    const sandbox = await provider.find(answer.container, { leaseMs: leaseFor("shared", 0) });
    if (sandbox === null)
      throw new SparkError(`container ${answer.container} is gone and with it what the agent left running; the attempt is repeated`, {
        code: "sandbox-lost",
      });
    return { sandbox, withheld: [], tampered: await provider.tamperReport(sandbox, image) };
  }
  if (answer.snapshot === null)
    throw new SparkError(`the snapshot of container ${answer.container} is missing; the attempt is repeated`, { code: "sandbox-lost" });
  return provider.judge({
    ...containerOptions(place, image, `${answer.container}-verifier`, 0),
    snapshot: answer.snapshot,
    testsDir: join(task.dir, "tests"),
    ...userOf(task.config.verifier.user),
  });
}
