import type { PdiFields } from "../../formats/trajectory/events.js";
import { comparedPdiNames, type PdiReport } from "../../formats/trajectory/pdi-report.js";
import type { Recording } from "../../formats/trajectory/read-recording.js";
import type { ReplayDifference } from "../../formats/replay-report.js";
import type { AttemptRecord } from "../../state/attempt.js";
import { differences, rounded, wireFields } from "../pdi.js";
import type { Replayed } from "./drive.js";

/** What `pdi` computes from a recording's own texts, beside what it recorded. */
export type PdiRecord = PdiReport["records"][number];
type Name = (typeof comparedPdiNames)[number];

/** The values that follow from the number of the step. */
const STEP_NAMES: ReadonlySet<Name | "step"> = new Set(["step", "weight", "weighted_pdi", "triggered", "level"]);
const OLD_FIRST_STEP = "spark.md section 3: our own step starts at 0, that of an older release, as recorded here, at -1";

/**
 * PDI history and interventions. A difference is explained when a demanded deviation stands before it in this run and the recorded value
 * follows from the recorded texts: what does not follow from them was not made by that deviation.
 */
export function comparePdi(recording: Recording, replayed: Replayed, records: readonly PdiRecord[]): ReplayDifference[] {
  const found: ReplayDifference[] = [];
  const firstStep = records.find(({ recorded }) => recorded !== null)?.recorded?.step ?? 0;
  /** Why ours has no observation where the recording has one, so far. */
  const lacking: string[] = [];
  const seen = new Set<number>();
  for (const record of records) {
    const index = recording.attempts.findIndex(({ attempt, counted }) => counted && attempt === record.attempt);
    const ours = observationOf(replayed.attempts[index], replayed);
    if (ours !== null) seen.add(ours.attempt);
    const where = `attempt ${record.attempt}`;
    const { recorded } = record;
    if (recorded === null || ours === null) {
      if (recorded === null && ours === null) continue;
      const because = recorded === null ? null : whyUnobserved(record, recording, replayed, index);
      found.push({ where: `${where} pdi`, recorded: recorded && short(recorded), ours: ours && short(wireFields(ours)), because });
      if (because !== null) lacking.push(because);
    } else {
      const whyOf = (name: Name | "step") => explain(name, { record, firstStep, lacking, ourStep: ours.step });
      const [mine, differs] = [rounded(wireFields(ours)), differences(wireFields(ours), recorded)];
      if (mine.step !== recorded.step) found.push({ where: `${where} pdi step`, recorded: recorded.step, ours: mine.step, because: whyOf("step") });
      for (const name of differs) if (name !== "level" || recording.pdi !== "on") found.push({ where: `${where} pdi ${name}`, recorded: recorded[name], ours: mine[name], because: whyOf(name) });
    }
    found.push(...compareIntervention(record, recording, replayed, index, (name) => (ours === null ? lacking.at(-1)! : explain(name, { record, firstStep, lacking, ourStep: ours.step }))));
  }
  const alone = replayed.pdi.filter(({ attempt }) => !seen.has(attempt));
  for (const ours of alone) found.push({ where: `attempt ${ours.attempt} pdi`, recorded: null, ours: short(wireFields(ours)), because: null });
  return [...found, ...compareCopies(recording, replayed, records)];
}

/** Ours for a recorded attempt; one that we do not score shares its number with the attempt that follows, so the record decides. */
function observationOf(attempt: AttemptRecord | undefined, { pdi }: Replayed) {
  if (attempt === undefined || attempt.status === "INFRA_ERROR") return null;
  return pdi.find((each) => each.attempt === attempt.attempt) ?? null;
}

/** The deviation that leaves ours without an observation: a reflection that ours refuses, or an attempt that ours does not score. */
function whyUnobserved(record: PdiRecord, recording: Recording, { attempts, memos }: Replayed, index: number): string | null {
  const [recorded, ours] = [recording.attempts[index], attempts[index]];
  if (record.differs.length > 0 || recorded === undefined || ours === undefined) return null;
  if (recorded.verdict === null && ours.status === "INFRA_ERROR") return `spark.md section 2: attempt ${recorded.attempt} is an infrastructure failure, which is no failed attempt to reflect on`;
  const memo = memos.find(({ attempt }) => attempt === ours.attempt);
  if (memo === undefined || memo.accepted) return null;
  return `spark.md section 6.2: the reflection on attempt ${recorded.attempt} was refused and the old memo kept (${memo.problems[0]?.slice(0, 120)})`;
}

/** Why a value of an observation that both have is another in ours; null when no deviation leads to it. */
function explain(name: Name | "step", { record, firstStep, lacking, ourStep }: { record: PdiRecord; firstStep: number; lacking: readonly string[]; ourStep: number }): string | null {
  const isOlder = firstStep === -1;
  const isStepRight = (isOlder || firstStep === 0) && record.recorded!.step - ourStep === lacking.length + firstStep;
  if (name === "step" ? !isStepRight : record.differs.includes(name)) return null;
  const reasons = [...(isOlder && STEP_NAMES.has(name) ? [OLD_FIRST_STEP] : []), ...lacking];
  return reasons.length === 0 ? null : reasons.join("; ");
}

/** What the teacher was told after an attempt; in `observe` nobody is told anything, and the level is compared as a value. */
function compareIntervention(record: PdiRecord, recording: Recording, { attempts, guidance }: Replayed, index: number, whyOf: (name: Name) => string | null): ReplayDifference[] {
  if (recording.pdi !== "on" || record.recorded === null) return [];
  const ours = attempts[index];
  const level = ours === undefined || ours.status === "INFRA_ERROR" ? null : (guidance.find(({ afterAttempt }) => afterAttempt === ours.attempt)?.level ?? null);
  if (level === record.recorded.level) return [];
  return [{ where: `attempt ${record.attempt} intervention`, recorded: record.recorded.level, ours: level, because: whyOf("level") }];
}

/** `attempts.json` repeats the history: what it says otherwise than the log must be what the log's texts give, or what ours gives. */
function compareCopies(recording: Recording, replayed: Replayed, records: readonly PdiRecord[]): ReplayDifference[] {
  const history = recording.copies.file?.pdi?.history ?? [];
  return records.flatMap((record, at) => {
    const copy = history[at];
    const { recorded, computed } = record;
    if (copy === undefined || recorded === null) return [];
    const index = recording.attempts.findIndex(({ attempt, counted }) => counted && attempt === record.attempt);
    const ours = observationOf(replayed.attempts[index], replayed);
    const mine = ours === null ? null : rounded(wireFields(ours));
    const names: (Name | "step")[] = [...(copy.step === recorded.step ? [] : ["step" as const]), ...differences(copy, recorded)];
    return names
      .filter((name) => copy[name] !== computed[name] && copy[name] !== mine?.[name])
      .map((name) => ({ where: `attempts.json attempt ${record.attempt} pdi ${name}`, recorded: copy[name], ours: mine?.[name] ?? null, because: null }));
  });
}

const short = (fields: PdiFields): string => `step ${fields.step}, weighted ${rounded(fields).weighted_pdi}, ${fields.level ?? (fields.triggered ? "triggered" : "no intervention")}`;
