import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { isLocked } from "../formats/run-lock.js";
import { lazyProviders } from "../graphs/capabilities.js";
import { SparkError } from "../state/errors.js";
import type { Env } from "./generation/plan.js";
import type { Output } from "./output.js";
import { listRuns } from "./runs.js";

export interface CleanFlags {
  outputDir: string;
  run?: string;
  /** Also remove the folders of finished runs. */
  runs?: boolean;
  yes?: boolean;
}

/**
 * Removes containers and snapshot images of the runs in a folder, and old runs when asked. What a living run uses is spared: its lock
 * beats. The lock of a run in another folder cannot be seen, so what it left is removed only when it is named, or has passed its hard end.
 */
export async function runClean(flags: CleanFlags, env: Env, output: Output): Promise<number> {
  const docker = await lazyProviders(env).docker();
  const engine = await docker.available();
  const things = engine.ok ? await docker.list() : [];
  if (!engine.ok) output.say(`no Docker engine: ${engine.reason}; only run folders can be cleaned`);
  const isHere = (run: string) => existsSync(join(resolve(flags.outputDir), run));
  const names = [...new Set(things.map(({ run }) => run))].filter((run) => (flags.run === undefined ? isHere(run) : run === flags.run));
  const beating = new Set<string>();
  for (const run of names) if (await isLocked(join(resolve(flags.outputDir), run))) beating.add(run);
  const removable = names.filter((run) => !beating.has(run));
  const folders = flags.runs
    ? (await listRuns(flags.outputDir)).filter(({ run, state }) => state !== "running" && (flags.run === undefined || run === flags.run))
    : [];
  for (const run of beating) output.say(`spared: run ${run} is being worked on`);
  const elsewhere = flags.run === undefined ? things.filter(({ run }) => !isHere(run)) : [];
  if (elsewhere.length > 0)
    output.say(
      `not touched: ${elsewhere.length} container(s) and snapshot(s) of runs in other folders (${[...new Set(elsewhere.map(({ run }) => run))].slice(0, 5).join(", ")}); name the folder with -o, or the run with --run`,
    );
  const count = things.filter(({ run }) => removable.includes(run)).length;
  if (count === 0 && folders.length === 0) {
    output.data(output.json ? JSON.stringify({ removed: 0, runs: [] }) : "nothing to clean");
    return 0;
  }
  if (
    !flags.yes &&
    !(await confirmed(
      `remove ${count} container(s) and snapshot(s) of ${removable.length} run(s)${folders.length === 0 ? "" : ` and the folders of ${folders.map(({ run }) => run).join(", ")}`}?`,
    ))
  ) {
    output.say("nothing was removed");
    return 0;
  }
  let removed = 0;
  for (const run of removable) removed += await docker.removeRun(run);
  if (engine.ok) removed += await docker.reap();
  for (const { dir } of folders) await rm(dir, { recursive: true, force: true });
  output.data(
    output.json
      ? JSON.stringify({ removed, runs: folders.map(({ run }) => run) })
      : `removed ${removed} container(s) and snapshot(s)${folders.length === 0 ? "" : ` and ${folders.length} run folder(s)`}`,
  );
  return 0;
}

async function confirmed(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) throw new SparkError(`${question} There is no terminal to ask in: pass --yes`, { code: "usage" });
  const { confirm, isCancel } = await import("@clack/prompts");
  const answer = await confirm({ message: question, initialValue: false, output: process.stderr });
  return !isCancel(answer) && answer;
}
