import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type GenerationReport, generationReportSchema } from "../formats/generation-report.js";
import { CONFIG_FILE, readRunConfig } from "../formats/run-config.js";
import { isLocked } from "../formats/run-lock.js";
import { messageOf } from "../state/errors.js";
import { addUsage, noUsage } from "../state/model.js";
import { usageOfTask } from "./generation/report.js";
import { REPORT_FILE } from "./generation/run.js";
import type { Output } from "./output.js";

export interface RunSummary {
  run: string;
  dir: string;
  state: "running" | "finished" | "stopped" | "interrupted" | "broken";
  tasks: number;
  solved: number;
  costUsd: number | null;
  startedAt: string | null;
}

/** Every run below a folder, oldest first. A folder that cannot be read is listed as broken. */
export async function listRuns(outputDir: string): Promise<RunSummary[]> {
  const root = resolve(outputDir);
  const names = existsSync(root)
    ? (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name)
    : [];
  const dirs = names
    .sort()
    .map((name) => join(root, name))
    .filter((dir) => existsSync(join(dir, CONFIG_FILE)));
  return Promise.all(dirs.map(summaryOf));
}

async function summaryOf(dir: string): Promise<RunSummary> {
  try {
    const config = await readRunConfig(dir);
    const report = await reportOf(dir);
    const usage = (await Promise.all(config.tasks.map(({ task }) => usageOfTask(dir, task)))).reduce(addUsage, noUsage);
    const state = (await isLocked(dir)) ? "running" : report === null ? "interrupted" : report.stoppedBy === null ? "finished" : "stopped";
    return {
      run: config.run,
      dir,
      state,
      tasks: config.tasks.length,
      solved: report?.tasks.filter(({ status }) => status === "solved").length ?? 0,
      costUsd: usage.costUsd,
      startedAt: config.startedAt,
    };
  } catch (error) {
    return { run: `${dir} (${messageOf(error)})`, dir, state: "broken", tasks: 0, solved: 0, costUsd: null, startedAt: null };
  }
}

async function reportOf(dir: string): Promise<GenerationReport | null> {
  const text = await readFile(join(dir, REPORT_FILE), "utf8").catch(() => null);
  return text === null ? null : generationReportSchema.parse(JSON.parse(text));
}

export async function runRuns({ outputDir }: { outputDir: string }, output: Output): Promise<number> {
  const runs = await listRuns(outputDir);
  if (output.json) output.data(JSON.stringify({ runs }));
  else if (runs.length === 0) output.say(`no runs in ${resolve(outputDir)}`);
  else
    for (const run of runs)
      output.data(
        `${run.state.padEnd(11)} ${run.run}  ${run.solved}/${run.tasks} solved  ${run.costUsd === null ? "cost unknown" : `$${run.costUsd.toFixed(4)}`}`,
      );
  return 0;
}
