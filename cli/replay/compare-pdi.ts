import type { ReplayDifference } from "../../formats/replay-report.js";
import type { PdiFields } from "../../formats/trajectory/events.js";
import type { PdiSeries } from "../../formats/trajectory/read-pdi.js";
import type { Recording } from "../../formats/trajectory/read-recording.js";
import { rounded, wireFields } from "../pdi.js";
import type { Replayed } from "./drive.js";
import { expectedPdi } from "./expected-pdi.js";
import { differingNames, type Explained, explain, firstStepOf, type Lacking, type Observation, whyLacking } from "./pdi-deviations.js";

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
  const indices = observations.map((each) => recording.attempts.findIndex(({ attempt, counted }) => counted && attempt === each.attempt));
  const missing = observations.map((each, at) => whyLacking(each, recording, replayed, indices[at]!));
  const lacking = (kind: Lacking["kind"]) =>
    new Set(observations.filter((_, at) => missing[at]?.kind === kind).map(({ attempt }) => attempt));
  const expected = expectedPdi(series, recording.pdiMethod, { reflections: lacking("reflection"), attempts: lacking("attempt") });
  const firstStep = firstStepOf(observations);
  const seen = new Set<string>();

  const found = observations.flatMap((observation, at): ReplayDifference[] => {
    const { attempt, computed, recorded } = observation;
    const ours = recordsOf(replayed, indices[at]!);
    if (ours.pdi !== null) seen.add(ours.pdi.id);
    const fields = ours.pdi && wireFields(ours.pdi);
    const where = `attempt ${attempt}`;
    if (recorded === null) return fields === null ? [] : [{ where: `${where} pdi`, recorded: null, ours: shown(fields), because: null }];
    const facts: Explained = {
      right: { ...computed, step: firstStep + at },
      recorded,
      ours: fields,
      expected: expected.get(attempt) ?? null,
      firstStep,
      missing: missing[at]!,
      before: missing.slice(0, at).filter((each) => each !== null),
    };
    return [
      ...(fields === null
        ? [{ where: `${where} pdi`, recorded: shown(recorded), ours: null, because: explain(null, facts) }]
        : compareValues(where, fields, facts, recording.pdi === "on")),
      ...(recording.pdi === "on" && ours.level !== recorded.level
        ? [{ where: `${where} intervention`, recorded: recorded.level, ours: ours.level, because: explain("level", facts) }]
        : []),
      ...compareCopy(`attempts.json ${where}`, recording.copies.file?.pdi?.history[at], facts),
    ];
  });
  const alone = replayed.pdi.filter(({ id }) => !seen.has(id));
  return [
    ...found,
    ...alone.map((record) => ({ where: `attempt ${record.attempt} pdi`, recorded: null, ours: shown(wireFields(record)), because: null })),
  ];
}

/** Ours for a recorded attempt; one that we do not score shares its number with the attempt that follows, so it has none. */
function recordsOf({ attempts, guidance, pdi }: Replayed, index: number) {
  const ours = attempts[index];
  if (ours === undefined || ours.status === "INFRA_ERROR") return { pdi: null, level: null };
  return {
    pdi: pdi.find(({ attempt }) => attempt === ours.attempt) ?? null,
    level: guidance.find(({ afterAttempt }) => afterAttempt === ours.attempt)?.level ?? null,
  };
}

/** Value by value. Where interventions are made, the level is compared as what the teacher was told; in `observe` nobody is told anything. */
function compareValues(where: string, ours: PdiFields, facts: Explained, intervenes: boolean): ReplayDifference[] {
  return differingNames(ours, facts.recorded)
    .filter((name) => name !== "level" || !intervenes)
    .map((name) => ({
      where: `${where} pdi ${name}`,
      recorded: facts.recorded[name],
      ours: rounded(ours)[name],
      because: explain(name, facts),
    }));
}

/** `attempts.json` repeats the history: where it differs from the log, it must be what the log's texts give, or what ours gives. */
function compareCopy(where: string, copy: PdiFields | undefined, { ours, recorded, right }: Explained): ReplayDifference[] {
  if (copy === undefined) return [];
  const wrong = new Set(differingNames(copy, right));
  const mine = ours && rounded(ours);
  return differingNames(copy, recorded)
    .filter((name) => wrong.has(name) && copy[name] !== mine?.[name])
    .map((name) => ({ where: `${where} pdi ${name}`, recorded: copy[name], ours: mine?.[name] ?? null, because: null }));
}

const shown = (fields: PdiFields): string =>
  `step ${fields.step}, weighted ${rounded(fields).weighted_pdi}, ${fields.level ?? "no intervention"}`;
