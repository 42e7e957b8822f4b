import { createHash } from "node:crypto";
import { basename } from "node:path";
import type { TaskDirectory } from "../formats/run-directory.js";
import type { VerifierMode } from "../state/attempt.js";
import { SparkError } from "../state/errors.js";
import type { Capabilities } from "./capabilities.js";
import { agentTimeoutMs, runSolution } from "./run-solution.js";
import type { ImageRef } from "./sandbox/sandbox.js";
import { leaseFor, startEnvironment, type TrialPlace } from "./trial-environment.js";
import { openVerifier, TEST_OUTPUT_FILE, verifyAnswer } from "./verify-answer.js";

/** How often all modes are tried before a task counts as unsolvable here: oracles can be flaky. */
const ROUNDS = 2;
/** Characters of the verifier's output in the error that says so. */
const QUOTED_CHARACTERS = 1500;

export interface VerifierDecision {
  mode: VerifierMode;
  /** The oracle earned full reward under this mode here. */
  proven: boolean;
}

/** Modes that may be tried, the preferred one first. What the agent did never chooses. */
export function possibleModes({ task, settings, provider }: Pick<TrialPlace, "task" | "settings" | "provider">): VerifierMode[] {
  if (provider.name === "virtual") return ["fresh"];
  if (settings.verifier !== "auto") return [settings.verifier];
  return task.config.verifier.environmentMode === "shared" ? ["shared"] : ["fresh", "shared"];
}

/**
 * Decides before the agent runs how its answer will be judged, by the task's own oracle: full reward under fresh → fresh; only under
 * shared (it needs a living server) → shared; under neither, twice → SparkError `task-unsolvable`. Without an oracle or a preflight the
 * preferred mode is taken unproven. A success is remembered by task digest, image and backend.
 */
export async function decideVerifier(
  place: TrialPlace,
  image: ImageRef,
  store: TaskDirectory,
  memory: Capabilities["preflights"],
): Promise<VerifierDecision> {
  const modes = possibleModes(place);
  if (!place.settings.preflight || !place.task.hasSolution) return { mode: modes[0]!, proven: false };
  const key = preflightKey(place, image, modes);
  const known = await memory?.get(key);
  if (known === "fresh" || known === "shared") return { mode: known, proven: true };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const mode of modes) {
      const reward = await oracleReward(place, image, store, mode);
      if (reward !== null && reward >= 1) {
        await memory?.set(key, mode);
        return { mode, proven: true };
      }
    }
  }
  const output = await store.bytes(`preflight/${modes[0]}/${TEST_OUTPUT_FILE}`).then(
    (bytes) => bytes.toString("utf8"),
    () => "(none)",
  );
  throw new SparkError(
    `${place.task.directory}: the task's own oracle does not earn full reward here (${modes.join(" and ")}, ${ROUNDS} times each), so no attempt could be judged; see ${store.path("preflight")}. The verifier said: ${output.slice(-QUOTED_CHARACTERS)}`,
    { code: "task-unsolvable" },
  );
}

/** Success under one key holds for another run only when nothing that judges has changed. */
const preflightKey = ({ task, provider, settings }: TrialPlace, image: ImageRef, modes: VerifierMode[]): string =>
  createHash("sha256")
    .update(JSON.stringify([task.digest, image.id, provider.name, modes, settings.timeoutMultiplier]))
    .digest("hex");

async function oracleReward(place: TrialPlace, image: ImageRef, store: TaskDirectory, mode: VerifierMode): Promise<number | null> {
  // By the folder of its records: two tasks of one name may run at the same time.
  const digest = createHash("sha256").update(store.dir).digest("hex").slice(0, 12);
  const name = `spark-${place.run}-${basename(store.dir)}-preflight-${mode}-${digest}`;
  const oraclePlace = { ...place, settings: { ...place.settings, skills: [] } };
  const sandbox = await startEnvironment(oraclePlace, image, name, leaseFor(mode, 0));
  let snapshot: string | null = null;
  try {
    await runSolution(oraclePlace, sandbox, agentTimeoutMs(place));
    place.signal?.throwIfAborted();
    if (mode === "fresh") snapshot = (await sandbox.snapshot(name)).snapshot;
    const judged = await openVerifier(oraclePlace, image, { mode, snapshot, container: name });
    await using verifier = judged.sandbox;
    const { reward } = await verifyAnswer(oraclePlace, verifier, mode, store.path(`preflight/${mode}`));
    return reward.kind === "rewarded" ? reward.reward : null;
  } finally {
    await sandbox.close();
    if (snapshot !== null) await place.provider.removeSnapshot(snapshot);
  }
}
