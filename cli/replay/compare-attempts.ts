import type { ReplayDifference } from "../../formats/replay-report.js";
import type { RecordedAttempt, Recording } from "../../formats/trajectory/read-recording.js";
import { type AttemptRecord, isSolved, scoredAttempts } from "../../state/attempt.js";
import type { Replayed } from "./drive.js";

/** Why an attempt's status or reward is another in ours: nothing judged it, and the recording scored it nevertheless. */
function unscored(
  { exception, verdict, counted }: RecordedAttempt,
  ours: AttemptRecord,
  recorded: "ERROR" | 0,
  value: unknown,
): string | null {
  if (verdict !== null || !counted || ours.status !== "INFRA_ERROR" || value !== recorded) return null;
  const why = exception === "" ? "no verifier ran" : `no verifier ran, the run ended in ${exception.slice(0, 120)}`;
  return `spark.md section 2: an infrastructure failure has no reward and costs no attempt; ${why}`;
}

/** Statuses and rewards, attempt by attempt, where they are recorded a second time too, and how many attempts were counted. */
export function compareAttempts(recording: Recording, { attempts, played }: Replayed): ReplayDifference[] {
  const found: ReplayDifference[] = [];
  const { file, summary } = recording.copies;
  let counted = 0;
  for (const [index, recorded] of recording.attempts.entries()) {
    const ours = attempts[index];
    const where = `attempt ${recorded.attempt}`;
    if (ours === undefined) {
      found.push({
        where,
        recorded: `${recorded.status}, reward ${recorded.reward}`,
        ours: null,
        because: solvedBefore(recording.attempts.slice(0, index), attempts),
      });
      continue;
    }
    const add = (what: string, value: string | number | null, our: string | number | null, because: string | null) => {
      if (value !== our) found.push({ where: what, recorded: value, ours: our, because });
    };
    const status = (value: string) => unscored(recorded, ours, "ERROR", value);
    const reward = (value: number | null) => unscored(recorded, ours, 0, value);
    add(`${where} status`, recorded.status, ours.status, status(recorded.status));
    add(`${where} reward`, recorded.reward, ours.reward, reward(recorded.reward));
    if (!recorded.counted) continue;
    // A copy that says what the log says was compared with it.
    const copied = file?.attempts.find(({ attempt }) => attempt === recorded.attempt);
    for (const [name, value] of [
      ["attempts.json", copied?.status],
      ["task_summary", summary?.status_trajectory[counted]],
    ] as const)
      if (value !== undefined && value !== recorded.status) add(`${name} ${where} status`, value, ours.status, status(value));
    for (const [name, value] of [
      ["attempts.json", copied?.reward],
      ["task_summary", summary?.reward_trajectory[counted]],
    ] as const)
      if (value !== undefined && value !== recorded.reward) add(`${name} ${where} reward`, value, ours.reward, reward(value));
    counted += 1;
  }
  return [...found, ...further(recording, attempts, played.length), ...counts(recording, attempts)];
}

/** In the release an exception won over the reward, so it went on after a success. */
function solvedBefore(earlier: readonly RecordedAttempt[], attempts: readonly AttemptRecord[]): string | null {
  const at = earlier.findIndex(({ status }, index) => status === "ERROR" && attempts[index] !== undefined && isSolved(attempts[index]));
  return at === -1
    ? null
    : `spark.md section 2: a reward of 1 or more is solved, whatever the status; attempt ${earlier[at]!.attempt} had reward ${attempts[at]!.reward}`;
}

const unscoredOnes = ({ attempts }: Recording): number[] =>
  attempts.flatMap(({ verdict, counted, attempt }) => (verdict === null && counted ? [attempt] : []));

/** Attempts that ours asked for and the recording lacks. */
function further(recording: Recording, attempts: readonly AttemptRecord[], played: number): ReplayDifference[] {
  const free = unscoredOnes(recording);
  const because =
    free.length === 0
      ? null
      : `spark.md section 2: an infrastructure failure costs no attempt, so attempt ${free.join(", ")} leaves one more; the recording lacks it, which counts as failed`;
  return attempts
    .slice(played)
    .map((ours) => ({ where: `attempt ${ours.attempt} beyond the recording`, recorded: null, ours: ours.status, because }));
}

function counts(recording: Recording, attempts: readonly AttemptRecord[]): ReplayDifference[] {
  const { summary } = recording.copies;
  if (summary === null) return [];
  const found: ReplayDifference[] = [];
  const ours = scoredAttempts(attempts);
  const free = unscoredOnes(recording);
  if (summary.total_attempts !== ours.length) {
    const isExplained = free.length > 0 && summary.total_attempts - ours.length === free.length;
    const because = isExplained
      ? `spark.md section 2: an infrastructure failure costs no attempt, so those after attempt ${free.join(", ")} have lower numbers`
      : null;
    found.push({ where: "attempts counted", recorded: summary.total_attempts, ours: ours.length, because });
  }
  if (summary.success !== ours.some(isSolved))
    found.push({ where: "success", recorded: summary.success, ours: ours.some(isSolved), because: null });
  return found;
}
