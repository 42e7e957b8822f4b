import { styleText } from "node:util";
import type { TaskReport } from "../../formats/generation-report.js";
import type { IdentifiedLine } from "../../formats/trajectory/log-file.js";
import type { RunObserver } from "./run.js";

interface Row {
  cells: string[];
  doing: string;
  done: string;
}

const CELLS: Record<string, string> = { PASS: "✔", PARTIAL: "◐", FAIL: "✘", ERROR: "!", INFRA_ERROR: "?" };
const FRAME_MS = 250;

/** One plain sentence for a log line, null for what only matters in the record. */
export function sentenceOf(line: IdentifiedLine): string | null {
  const attempt = typeof line["attempt"] === "number" ? line["attempt"] + 1 : "";
  switch (line.type) {
    case "attempt_start":
      return `attempt ${attempt} begins`;
    case "execution_result":
      return `attempt ${attempt}: ${line["status"]}, reward ${line["reward"]}, ${line["n_passed"]}/${line["n_tests"]} tests (${line["backend"]}, verifier ${line["verifier"]})`;
    case "infra_failure":
      return `attempt ${attempt}: not scored, ${(line["error"] as { message: string }).message}`;
    case "reflect_call":
      return line["refused"] ? `reflection refused: ${String(line["refused"]).slice(0, 200)}` : `memo rewritten after attempt ${attempt}`;
    case "pdi_snapshot":
      return `PDI after attempt ${attempt}: ${Number(line["weighted_pdi"]).toFixed(3)}${line["triggered"] ? `, ${line["level"]} intervention due` : ""}`;
    case "intervention":
      return `${line["level"]} intervention for the next attempt`;
    case "skill_gen_call":
      return line["refused"] ? `distillation refused: ${String(line["refused"]).slice(0, 200)}` : "skill distilled";
    case "gate":
      return line["passed"]
        ? `gate passed: ${line["path"]}`
        : `gate refused the skill: ${(line["findings"] as { severity: string; message: string }[])
            .filter((f) => f.severity === "error")
            .map((f) => f.message)
            .join("; ")
            .slice(0, 300)}`;
    default:
      return null;
  }
}

/** Plain lines: `task: what happened`. For pipes, CI and people who pipe stderr to a file. */
export const plainProgress = (say: (text: string) => void): RunObserver => ({
  say,
  line(task, line) {
    const sentence = sentenceOf(line);
    if (sentence !== null) say(`${task}: ${sentence}`);
  },
  task(task, state, report) {
    if (state === "finished" && report) say(`${task}: ${summaryOf(report)}`);
  },
});

const summaryOf = (report: TaskReport): string =>
  `${report.status} after ${report.attempts} attempt(s)${report.skill === null ? "" : `, skill ${report.skill}`}${report.error === null ? "" : `: ${report.error.message.slice(0, 300)}`}`;

/** A live grid of tasks × attempts. `dispose` leaves the last frame on the screen. */
export async function gridProgress(
  tasks: readonly string[],
  stream: NodeJS.WriteStream,
): Promise<{ observer: RunObserver; dispose(): void }> {
  const { createLogUpdate } = await import("log-update");
  const update = createLogUpdate(stream);
  const rows = new Map<string, Row>(tasks.map((task) => [task, { cells: [], doing: "", done: "" }]));
  const width = Math.min(32, Math.max(4, ...tasks.map((task) => task.length)));
  const draw = () => {
    const lines = [...rows].map(([task, row]) =>
      `${task.slice(0, width).padEnd(width)}  ${row.cells.join(" ").padEnd(12)}  ${row.done || row.doing}`.slice(
        0,
        (stream.columns ?? 80) - 1,
      ),
    );
    update([styleText("bold", `${"task".padEnd(width)}  ${"attempts".padEnd(12)}  now`), ...lines].join("\n"));
  };
  const timer = setInterval(draw, FRAME_MS);
  const observer: RunObserver = {
    say(text) {
      update.clear();
      stream.write(`${text}\n`);
      draw();
    },
    line(task, line) {
      const row = rows.get(task);
      if (row === undefined) return;
      if (line.type === "execution_result") row.cells.push(CELLS[String(line["status"])] ?? "·");
      if (line.type === "infra_failure") row.cells.push(CELLS["INFRA_ERROR"]!);
      if (line.type === "command") row.doing = `$ ${String(line["command"]).split("\n")[0]}`;
      row.doing = sentenceOf(line) ?? row.doing;
    },
    task(task, state, report) {
      const row = rows.get(task);
      if (row !== undefined && state === "finished" && report) row.done = summaryOf(report);
    },
  };
  return {
    observer,
    dispose() {
      clearInterval(timer);
      draw();
      update.done();
    },
  };
}
