import type { PdiFields } from "../../formats/trajectory/events.js";
import type { comparedPdiNames, PdiReport } from "../../formats/trajectory/pdi-report.js";
import type { Recording } from "../../formats/trajectory/read-recording.js";
import { differences } from "../pdi.js";
import type { Replayed } from "./drive.js";

/** What `pdi` computes from a recording's own texts, beside what is recorded. */
export type Observation = PdiReport["records"][number];
export type PdiName = (typeof comparedPdiNames)[number] | "step";

const STEP_NAMES: ReadonlySet<PdiName> = new Set(["step", "weight", "weighted_pdi", "triggered", "level"]);
const OLDER_FIRST_STEP = -1;
const OLDER = "spark.md section 3: our own step starts at 0, that of an older release, as recorded here, at -1";

/** A recorded observation that ours lacks, and the deviation that demands it. */
export interface Lacking {
  because: string;
  /** The same in short, for what follows from it. */
  short: string;
  kind: "reflection" | "attempt";
}

/** Names of different values, the step among them. */
export const differingNames = (ours: PdiFields, recorded: PdiFields): PdiName[] => [
  ...(ours.step === recorded.step ? [] : (["step"] as const)),
  ...differences(ours, recorded),
];

/**
 * The deviation that leaves ours without an observation: a recorded reply that ours refuses, or an attempt that ours does not score.
 * `index` is the place of the observation's attempt in the recording.
 */
export function whyLacking({ attempt }: Observation, recording: Recording, { attempts, memos }: Replayed, index: number): Lacking | null {
  const [recorded, ours] = [recording.attempts[index], attempts[index]];
  if (recorded === undefined || ours === undefined) return null;
  if (recorded.verdict === null && ours.status === "INFRA_ERROR") {
    const because = `spark.md section 2: attempt ${attempt} is an infrastructure failure and no failed attempt to reflect on`;
    return { because, short: because, kind: "attempt" };
  }
  const memo = memos.find((each) => each.attempt === ours.attempt);
  // A reply that the recording lacks was not refused for what it says.
  if (memo === undefined || memo.accepted || !recording.reflections.has(attempt)) return null;
  const short = `spark.md section 6.2: the reflection on attempt ${attempt} was refused and the memo before it kept`;
  return { because: `${short}: ${memo.problems[0]?.slice(0, 80)}`, short, kind: "reflection" };
}

/** One observation with everything that a reason for a difference can rest on. */
export interface Explained {
  /** What the recording's own texts give, its steps counted from the first one recorded. */
  right: PdiFields;
  recorded: PdiFields;
  ours: PdiFields | null;
  /** What the same texts give under the deviations. */
  expected: PdiFields | null;
  firstStep: number;
  missing: Lacking | null;
  /** What ours lacks before this one. */
  before: readonly Lacking[];
}

/**
 * Why a value is another in ours, or why ours has none (`null` for a name: the whole observation). Nothing explains a recorded value that
 * does not follow from the recorded texts, or one of ours that does not follow from them under the deviations.
 */
export function explain(name: PdiName | null, { right, recorded, ours, expected, firstStep, missing, before }: Explained): string | null {
  const wrong = differingNames(recorded, right);
  if (name === null ? wrong.length > 0 : wrong.includes(name)) return null;
  if (missing !== null) return missing.because;
  if (name === null || ours === null || expected === null || differingNames(ours, expected).includes(name)) return null;
  const older = firstStep === OLDER_FIRST_STEP && STEP_NAMES.has(name) ? [OLDER] : [];
  return [...older, ...before.map(({ short }) => short)].join("; ") || null;
}

/** Where a recording's steps start: at 0, or at -1 in an older release; anything else recorded is wrong. */
export const firstStepOf = (observations: readonly Observation[]): number =>
  observations.find(({ recorded }) => recorded !== null)?.recorded?.step === OLDER_FIRST_STEP ? OLDER_FIRST_STEP : 0;
