/**
 * A whole oracle trial with a cached image, ours against real Harbor on the same task, alternating in the same run.
 * Run: HARBOR=/path/to/harbor npm run bench:oracle-trial -- [task] [rounds]   (build first; ../shared/tools/harbor-up.sh prints HARBOR=…)
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { median, printTable, timed } from "./table.js";

const harbor = process.env["HARBOR"];
const task = resolve(process.argv[2] ?? "examples/tasks/log-report");
const rounds = Number(process.argv[3] ?? 3);
const dir = mkdtempSync(join(tmpdir(), "spark-bench-"));
const run = (file: string, args: readonly string[]) => execFileSync(file, args, { stdio: ["ignore", "ignore", "inherit"] });
const ours = async () =>
  run(process.execPath, ["dist/cli/main.js", "trial", "-p", task, "-a", "oracle", "-o", join(dir, "ours"), "--json"]);
let job = 0;
const theirs = async () =>
  run(harbor!, ["run", "-p", task, "-a", "oracle", "-o", join(dir, "jobs"), "--job-name", `bench-${job++}`, "-q", "-y"]);

await ours();
const times: Record<string, number[]> = { "spark-skills": [], Harbor: [] };
for (let round = 0; round < rounds; round += 1) {
  times["spark-skills"]!.push(await timed(ours));
  if (harbor) times["Harbor"]!.push(await timed(theirs));
}
rmSync(dir, { recursive: true, force: true });
const base = median(times["Harbor"]!);
printTable(
  `One oracle trial of ${task.split("/").at(-1)}, whole process, ${rounds} rounds, alternating`,
  Object.entries(times)
    .filter(([, list]) => list.length > 0)
    .map(([name, list]) => ({
      runner: name,
      "median s": (median(list) / 1000).toFixed(2),
      "share of Harbor's": harbor ? (median(list) / base).toFixed(3) : "-",
    })),
);
if (!harbor) process.stderr.write("HARBOR is not set: only our own time was measured\n");
