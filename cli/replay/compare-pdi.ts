import type { ReplayDifference } from "../../formats/replay-report.js";
import type { PdiFields } from "../../formats/trajectory/events.js";
import type { comparedPdiNames, PdiReport } from "../../formats/trajectory/pdi-report.js";
import type { PdiSeries } from "../../formats/trajectory/read-pdi.js";
import type { Recording } from "../../formats/trajectory/read-recording.js";
import type { AttemptRecord } from "../../state/attempt.js";
import type { PdiRecord } from "../../state/pdi.js";
import { differences, rounded, wireFields } from "../pdi.js";
import type { Replayed } from "./drive.js";
import { expectedPdi } from "./expected-pdi.js";

/** What `pdi` computes from a recording's own texts, beside what is recorded. */
type Observation = PdiReport["records"][number];
type Name = (typeof comparedPdiNames)[number] | "step";

const STEP_NAMES: ReadonlySet<Name> = new Set(["step", "weight", "weighted_pdi", "triggered", "level"]);
const OLD_FIRST_STEP = "spark.md section 3: our own step starts at 0, that of an older release, as recorded here, at -1";

/** A reflection of the recording that ours has no observation of, and the deviation that demands it. */
interface Lacking {
  because: string;
  /** The same in short, for what follows from it. */
  short: string;
  kind: "reflection" | "attempt";
}

/**
 * PDI history and interventions. A difference is explained when a demanded deviation stands before it in this run, the recorded value follows
 * from the recorded texts, and ours follows from the same texts under that deviation.
 */
export function comparePdi(
  recording: Recording,
  replayed: Replayed,
  series: PdiSeries,
  observations: readonly Observation[],
): ReplayDifference[] {
  const found: ReplayDifference[] = [];
  const firstStep = observations.find(({ recorded }) => recorded !== null)?.recorded?.step ?? 0;
  const indexOf = (observation: Observation) =>
    recording.attempts.findIndex(({ attempt, counted }) => counted && attempt === observation.attempt);
  const lacking = new Map<number, Lacking>();
  for (const observation of observations) {
    const why = whyLacking(observation, recording, replayed, indexOf(observation));
    if (why !== null) lacking.set(observation.attempt, why);
  }
  const numbers = (kind: Lacking["kind"]) => new Set([...lacking].flatMap(([attempt, why]) => (why.kind === kind ? [attempt] : [])));
  const expected = expectedPdi(series, recording.pdiMethod, { reflections: numbers("reflection"), attempts: numbers("attempt") });

  for (const observation of observations) {
    const { attempt, recorded } = observation;
    const where = `attempt ${attempt}`;
    const record = recordOf(replayed.attempts[indexOf(observation)], replayed.pdi);
    const ours = record === null ? null : wireFields(record);
    const missing = lacking.get(attempt);
    const before = [...lacking].filter(([earlier]) => earlier < attempt).map(([, why]) => why);
    const whyOf = (name: Name) =>
      missing !== undefined ? missing.because : explain(name, { observation, ours, expected: expected.get(attempt), firstStep, before });
    if (recorded === null || ours === null) {
      if (recorded !== ours)
        found.push({
          where: `${where} pdi`,
          recorded: recorded && shown(recorded),
          ours: ours && shown(ours),
          because: missing?.because ?? null,
        });
    } else {
      const names = differingNames(ours, recorded).filter((name) => name !== "level" || recording.pdi !== "on");
      found.push(
        ...names.map((name) => ({
          where: `${where} pdi ${name}`,
          recorded: recorded[name],
          ours: rounded(ours)[name],
          because: whyOf(name),
        })),
      );
    }
    found.push(...compareIntervention(observation, recording, replayed, indexOf(observation), whyOf));
    found.push(...compareCopy(observation, recording.copies.file?.pdi?.history[observations.indexOf(observation)], ours));
  }
  const known = new Set(observations.map((observation) => recordOf(replayed.attempts[indexOf(observation)], replayed.pdi)));
  const alone = replayed.pdi.filter((record) => !known.has(record));
  return [
    ...found,
    ...alone.map((record) => ({ where: `attempt ${record.attempt} pdi`, recorded: null, ours: shown(wireFields(record)), because: null })),
  ];
}

/** Names of different values, the step among them. */
const differingNames = (ours: PdiFields, recorded: PdiFields): Name[] => [
  ...(ours.step === recorded.step ? [] : (["step"] as const)),
  ...differences(ours, recorded),
];

/** Ours for a recorded attempt; one that we do not score shares its number with the attempt that follows, so it has none. */
const recordOf = (attempt: AttemptRecord | undefined, pdi: readonly PdiRecord[]): PdiRecord | null =>
  attempt === undefined || attempt.status === "INFRA_ERROR" ? null : (pdi.find((record) => record.attempt === attempt.attempt) ?? null);

/** The deviation that leaves ours without an observation: a recorded reply that ours refuses, or an attempt that ours does not score. */
function whyLacking(
  { attempt, differs, recorded: values }: Observation,
  recording: Recording,
  { attempts, memos }: Replayed,
  index: number,
): Lacking | null {
  const [recorded, ours] = [recording.attempts[index], attempts[index]];
  if (values === null || differs.length > 0 || recorded === undefined || ours === undefined) return null;
  if (recorded.verdict === null && ours.status === "INFRA_ERROR") {
    const because = `spark.md section 2: attempt ${attempt} is an infrastructure failure and no failed attempt to reflect on`;
    return { because, short: because, kind: "attempt" };
  }
  const memo = memos.find((each) => each.attempt === ours.attempt);
  if (memo === undefined || memo.accepted || !recording.reflections.has(attempt)) return null;
  const short = `spark.md section 6.2: the reflection on attempt ${attempt} was refused and the memo before it kept`;
  return { because: `${short}: ${memo.problems[0]?.slice(0, 80)}`, short, kind: "reflection" };
}

interface Explained {
  observation: Observation;
  ours: PdiFields | null;
  expected: PdiFields | undefined;
  firstStep: number;
  /** Reflections before this one that ours has no observation of. */
  before: readonly Lacking[];
}

/** Why a value of an observation that both have is another in ours; null when no deviation leads to it. */
function explain(name: Name, { observation, ours, expected, firstStep, before }: Explained): string | null {
  if (ours === null || expected === undefined || differingNames(ours, expected).includes(name)) return null;
  const isOlder = firstStep === -1;
  const isRecordedRight =
    name === "step"
      ? (isOlder || firstStep === 0) && observation.recorded!.step - ours.step === before.length + firstStep
      : !observation.differs.includes(name);
  if (!isRecordedRight) return null;
  const reasons = [...(isOlder && STEP_NAMES.has(name) ? [OLD_FIRST_STEP] : []), ...before.map(({ short }) => short)];
  return reasons.length === 0 ? null : reasons.join("; ");
}

/** What the teacher was told after an attempt; in `observe` nobody is told anything, and the level is compared as a value. */
function compareIntervention(
  { attempt, recorded }: Observation,
  recording: Recording,
  { attempts, guidance }: Replayed,
  index: number,
  whyOf: (name: Name) => string | null,
): ReplayDifference[] {
  if (recording.pdi !== "on" || recorded === null) return [];
  const ours = attempts[index];
  const level =
    ours === undefined || ours.status === "INFRA_ERROR"
      ? null
      : (guidance.find(({ afterAttempt }) => afterAttempt === ours.attempt)?.level ?? null);
  return level === recorded.level
    ? []
    : [{ where: `attempt ${attempt} intervention`, recorded: recorded.level, ours: level, because: whyOf("level") }];
}

/** `attempts.json` repeats the history: what it says otherwise than the log must be what the log's texts give, or what ours gives. */
function compareCopy(
  { attempt, computed, recorded }: Observation,
  copy: PdiFields | undefined,
  ours: PdiFields | null,
): ReplayDifference[] {
  if (copy === undefined || recorded === null) return [];
  const mine = ours && rounded(ours);
  return differingNames(copy, recorded)
    .filter((name) => copy[name] !== computed[name] && copy[name] !== mine?.[name])
    .map((name) => ({
      where: `attempts.json attempt ${attempt} pdi ${name}`,
      recorded: copy[name],
      ours: mine?.[name] ?? null,
      because: null,
    }));
}

const shown = (fields: PdiFields): string =>
  `step ${fields.step}, weighted ${rounded(fields).weighted_pdi}, ${fields.level ?? "no intervention"}`;
