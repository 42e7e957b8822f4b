import type { PdiFields } from "../formats/trajectory/events.js";
import { comparedPdiNames, type PdiReport } from "../formats/trajectory/pdi-report.js";
import { type PdiSeries, readPdi } from "../formats/trajectory/read-pdi.js";
import { observePdi, trajectoryVocabulary } from "../metrics/pdi.js";
import { retrospectivePdi } from "../metrics/retrospective-pdi.js";
import type { PdiMethod, PdiValues } from "../state/pdi.js";
import { renderPdi } from "./pdi-text.js";

export interface PdiOptions {
  path: string;
  /** Without it, each run's own method; token_overlap where none is recorded. */
  method?: PdiMethod | undefined;
  /** Also the retrospective score of the tasks that ended with a skill. */
  retrospective?: boolean | undefined;
}

const fourDecimals = (value: number): number => Number(value.toFixed(4)) + 0;

/** An observation in wire names, whole precision. */
export const wireFields = (values: PdiValues): PdiFields => ({
  step: values.step,
  proxy_exec: values.proxyExec,
  proxy_plan: values.proxyPlan,
  proxy_oss: values.proxyOss,
  raw_pdi: values.rawPdi,
  weight: values.weight,
  weighted_pdi: values.weightedPdi,
  triggered: values.triggered,
  level: values.level,
});

/** Half a unit of the fourth decimal, with room for the recorder's own rounding of a tie. */
const TOLERANCE = 0.5e-4 + 1e-9;

/** Names whose values differ in four decimals. */
export const differences = (computed: PdiFields, recorded: PdiFields): PdiReport["records"][number]["differs"] =>
  comparedPdiNames.filter((name) => {
    const [ours, theirs] = [computed[name], recorded[name]];
    return typeof ours === "number" && typeof theirs === "number" ? Math.abs(ours - theirs) > TOLERANCE : ours !== theirs;
  });

/** The numbers to four decimals, as the release records them. */
export const rounded = (fields: PdiFields): PdiFields =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === "number" ? fourDecimals(value) : value]),
  ) as PdiFields;

const recordsOf = (series: PdiSeries, method: PdiMethod): PdiReport["records"] => {
  const history: PdiValues[] = [];
  let vocabulary: ReadonlySet<string> = new Set();
  return series.observations.map((observation) => {
    const { attempt, recorded } = observation;
    if (method === "js_divergence") vocabulary = trajectoryVocabulary([observation], vocabulary);
    const values = observePdi(history, {
      ...observation,
      method,
      ...(recorded === null ? {} : { step: recorded.step }),
      vocabulary,
    });
    history.push(values);
    const computed = wireFields(values);
    const differs = recorded === null ? [] : differences(computed, recorded);
    return { source: series.source, task: series.task, attempt, method, computed: rounded(computed), recorded, differs };
  });
};

const retrospectiveOf = (all: readonly PdiSeries[], method: PdiMethod | undefined): NonNullable<PdiReport["retrospective"]> => {
  const finished = all.flatMap((series) => (series.finished === null ? [] : [{ series, finished: series.finished }]));
  const scores = retrospectivePdi(
    finished.map(({ series, finished: { skill, commands, attempts, outputCharacters } }) => ({
      task: series.task,
      skill,
      commands,
      attempts,
      outputCharacters,
      memos: series.observations.map((each) => each.memoAfter),
      failedTests: series.observations.map((each) => each.failedTests),
    })),
    method === "js_divergence_release" ? method : "js_divergence",
  );
  return scores.map(({ task, phiExec, phiPlan, phiOss, ...score }, index) => ({
    source: finished[index]?.series.source ?? "",
    task,
    phi_exec: fourDecimals(phiExec),
    phi_plan: fourDecimals(phiPlan),
    phi_oss: fourDecimals(phiOss),
    ...score,
    pdi: fourDecimals(score.pdi),
    slope: score.slope === null ? null : fourDecimals(score.slope),
    compression: score.compression === null ? null : fourDecimals(score.compression),
  }));
};

/**
 * `spark-skills pdi`: computes PDI anew from a log, a folder of logs or a snapshots file and compares it with what was recorded.
 * Exit code 5 when a recorded value differs in four decimals. Throws SparkError `file-missing` or `file-invalid`.
 */
export async function runPdi({ path, method, retrospective }: PdiOptions): Promise<{ report: PdiReport; text: string; exitCode: 0 | 5 }> {
  const all = await readPdi(path);
  const records = all.flatMap((series) =>
    recordsOf(series, method ?? series.observations.find((each) => each.recordedMethod)?.recordedMethod ?? "token_overlap"),
  );
  const methods = new Set(records.map((record) => record.method));
  const report: PdiReport = {
    method: method ?? (methods.size > 1 ? "recorded" : ([...methods][0] ?? "token_overlap")),
    records,
    compared: records.filter((record) => record.recorded !== null).length,
    differing: records.filter((record) => record.differs.length > 0).length,
    ...(retrospective ? { retrospective: retrospectiveOf(all, method) } : {}),
  };
  return { report, text: renderPdi(report), exitCode: report.differing > 0 ? 5 : 0 };
}
