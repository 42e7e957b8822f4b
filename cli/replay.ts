import type { ReplayDifference, ReplayReport } from "../formats/replay-report.js";
import { readPdi } from "../formats/trajectory/read-pdi.js";
import { readRecording } from "../formats/trajectory/read-recording.js";
import { EXIT_NO } from "./output.js";
import { runPdi } from "./pdi.js";
import { compareAttempts } from "./replay/compare-attempts.js";
import { comparePdi } from "./replay/compare-pdi.js";
import { compareSkill } from "./replay/compare-skill.js";
import { driveGraph } from "./replay/drive.js";

export interface ReplayOptions {
  /** Folder of a recorded run, or its trajectory.jsonl. */
  path: string;
}

/**
 * `spark-skills replay`: drives the real graph with what a run recorded of its agent, verifier and models, and compares statuses, rewards,
 * PDI history, interventions and the distilled text. Exit code 5 when a difference is not demanded by spark.md. Throws SparkError
 * `file-missing` or `file-invalid`.
 */
export async function runReplay({ path }: ReplayOptions): Promise<{ report: ReplayReport; text: string; exitCode: 0 | 5 }> {
  const recording = await readRecording(path);
  const [series] = await readPdi(recording.source);
  const { records } = (await runPdi({ path: recording.source, method: recording.pdiMethod })).report;
  const replayed = await driveGraph(recording);
  const differences = [
    ...compareAttempts(recording, replayed),
    ...comparePdi(recording, replayed, series!, records),
    ...compareSkill(recording, replayed),
  ];
  const unexplained = differences.filter(({ because }) => because === null).length;
  const report: ReplayReport = { attempts: recording.attempts.length, agrees: unexplained === 0, differences, unexplained };
  return { report, text: renderReplay(recording.source, report), exitCode: report.agrees ? 0 : EXIT_NO };
}

/** The differences one by one with the reason under each, then the verdict. */
function renderReplay(source: string, { agrees, attempts, differences, unexplained }: ReplayReport): string {
  const explained = differences.length - unexplained;
  return [
    `${source}: ${attempts} recorded attempt${attempts === 1 ? "" : "s"} driven through the graph`,
    ...differences.flatMap(lines),
    `${agrees ? "agrees" : "differs"}: ${explained} demanded deviation${explained === 1 ? "" : "s"}, ${unexplained} unexplained`,
  ].join("\n");
}

const lines = ({ where, recorded, ours, because }: ReplayDifference): string[] => [
  `  ${where}: recorded ${recorded ?? "nothing"}, ours ${ours ?? "nothing"}`,
  `    ${because === null ? "UNEXPLAINED" : `because of ${because}`}`,
];
