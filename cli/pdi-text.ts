import type { PdiFields } from "../formats/trajectory/events.js";
import type { PdiReport } from "../formats/trajectory/pdi-report.js";

type PdiReportRecord = PdiReport["records"][number];

const columns = [
  ["exec", "proxy_exec"],
  ["plan", "proxy_plan"],
  ["oss", "proxy_oss"],
  ["raw", "raw_pdi"],
  ["weight", "weight"],
  ["weighted", "weighted_pdi"],
] as const;

const WIDTH = 10;
const cell = (text: string): string => text.padStart(WIDTH);
const number = (value: number): string => value.toFixed(4);
const row = (label: string, cells: readonly string[], last: string): string =>
  `  ${label.padEnd(12)}${cells.map(cell).join("")}  ${last}`.trimEnd();

const level = (fields: PdiFields): string => fields.level ?? (fields.triggered ? "triggered" : "-");

const valuesRow = (label: string, fields: PdiFields): string =>
  row(
    label,
    columns.map(([, name]) => number(fields[name])),
    level(fields),
  );

const differenceRow = ({ computed, recorded, differs }: PdiReportRecord & { recorded: PdiFields }): string =>
  row(
    "difference",
    columns.map(([, name]) => (differs.includes(name) ? (computed[name] - recorded[name]).toFixed(4) : "-")),
    differs.includes("triggered") || differs.includes("level")
      ? `${level(recorded)} -> ${level(computed)}`
      : differs.length > 0
        ? "-"
        : "none",
  );

const blockOf = (record: PdiReportRecord): string[] => [
  row(
    `attempt ${record.attempt}`,
    columns.map(([title]) => title),
    `level (step ${record.computed.step})`,
  ),
  valuesRow("computed", record.computed),
  ...(record.recorded === null ? [] : [valuesRow("recorded", record.recorded), differenceRow({ ...record, recorded: record.recorded })]),
];

const retrospectiveLines = (scores: NonNullable<PdiReport["retrospective"]>): string[] => [
  "",
  "retrospective, a score a finished task (read it beside the number of attempts, which it follows closely)",
  `  ${["phi exec", "phi plan", "phi oss", "PDI", "attempts"].map(cell).join("")}  ${cell("shrink")}  memos        task`,
  ...scores.map((score) => {
    const numbers = [score.phi_exec, score.phi_plan, score.phi_oss, score.pdi].map((value) => cell(number(value))).join("");
    const shrink = cell(score.compression === null ? "-" : `${score.compression.toFixed(1)}x`);
    return `  ${numbers}${cell(String(score.attempts))}  ${shrink}  ${(score.direction ?? "-").padEnd(11)}  ${score.task} (${score.group})`;
  }),
];

/** A PDI report for a terminal: per attempt what was computed, what was recorded and the difference. */
export function renderPdi(report: PdiReport): string {
  const lines: string[] = [];
  let heading = "";
  for (const record of report.records) {
    const next = `${record.task}  ${record.source}  (${record.method})`;
    if (next !== heading) lines.push(...(heading === "" ? [] : [""]), next);
    heading = next;
    lines.push(...blockOf(record));
  }
  if (report.records.length === 0) lines.push("no reflection in this log: nothing to compute");
  if (report.retrospective !== undefined) lines.push(...retrospectiveLines(report.retrospective));
  const verdict =
    report.compared === 0
      ? "nothing recorded to compare with"
      : `${report.differing} of ${report.compared} recorded values differ in four decimals`;
  lines.push("", `${report.records.length} computed; ${verdict}`);
  return `${lines.join("\n")}\n`;
}
