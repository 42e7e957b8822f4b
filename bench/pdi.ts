/**
 * PDI over the recorded snapshots, each method, against reading the same file as JSON in the same run. Run: npm run bench:pdi -- [snapshots.jsonl]
 * Milliseconds depend on the machine; the ratio to the baseline is what docs/performance.md keeps.
 */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { type PdiSeries, readPdi } from "../formats/trajectory/read-pdi.js";
import { observePdi, trajectoryVocabulary } from "../metrics/pdi.js";
import { type PdiMethod, type PdiValues, pdiMethodSchema } from "../state/pdi.js";

const WARMUP_PASSES = 3;
const PASSES = 15;

const path = resolve(process.argv[2] ?? resolve(import.meta.dirname, "../../shared/recorded/pdi-snapshots.jsonl"));
const text = readFileSync(path, "utf8");
const series = await readPdi(path);
const observations = series.reduce((sum, each) => sum + each.observations.length, 0);

const computeAll = (all: readonly PdiSeries[], method: PdiMethod): number => {
  let triggered = 0;
  for (const { observations: reflections } of all) {
    const history: PdiValues[] = [];
    let vocabulary: ReadonlySet<string> = new Set();
    for (const [index, reflection] of reflections.entries()) {
      if (method === "js_divergence") vocabulary = trajectoryVocabulary([reflection], vocabulary);
      const values = observePdi(history, { ...reflection, method, step: reflection.recorded?.step ?? index, vocabulary });
      history.push(values);
      triggered += Number(values.triggered);
    }
  }
  return triggered;
};

const medianMs = (work: () => unknown): number => {
  for (let pass = 0; pass < WARMUP_PASSES; pass += 1) work();
  const times = Array.from({ length: PASSES }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  }).sort((a, b) => a - b);
  return times[Math.floor(PASSES / 2)] as number;
};

const baselineMs = medianMs(() =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line)),
);
const rows = [
  { what: "JSON.parse of the file (baseline)", ms: baselineMs, triggered: "" },
  ...pdiMethodSchema.options.map((method) => ({
    what: `PDI, ${method}`,
    ms: medianMs(() => computeAll(series, method)),
    triggered: String(computeAll(series, method)),
  })),
];

console.log(
  `${observations} observations of ${series.length} tasks, ${(text.length / 1e6).toFixed(2)} M characters, median of ${PASSES} passes, Node ${process.version}\n`,
);
console.log("| what | ms | µs an observation | times the baseline | triggered |");
console.log("|---|---:|---:|---:|---:|");
for (const { what, ms, triggered } of rows) {
  console.log(
    `| ${what} | ${ms.toFixed(2)} | ${((ms * 1000) / observations).toFixed(0)} | ${(ms / baselineMs).toFixed(1)} | ${triggered} |`,
  );
}
