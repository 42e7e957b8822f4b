import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { MemorySaver } from "@langchain/langgraph";
import { LOG_FILE } from "../formats/trajectory/run-log.js";
import { openCheckpointer } from "../graphs/checkpointer.js";
import { SparkError } from "../state/errors.js";
import { demoLines } from "./demo/lines.js";
import { createDemoModel, DEMO_MODEL } from "./demo/teacher.js";
import { newRunName, planRun } from "./generation/plan.js";
import { startRun } from "./generation/run.js";
import { EXIT_CODES } from "./output.js";

export interface DemoOptions {
  /** Folder of the runs. */
  runsDir: string;
  sandbox: "auto" | "docker" | "virtual";
  /** Prints one line. */
  out(line: string): void;
  /** Default `process.env`. */
  env?: Readonly<Record<string, string | undefined>>;
}

const TASK = "log-report";

/**
 * The main job on one example task with a teacher that plays a script; everything else is the real thing. Needs neither key nor Docker.
 * Returns the exit code: 0 when a skill was published.
 */
export async function runDemo({ runsDir, sandbox, out, env = process.env }: DemoOptions): Promise<number> {
  out(
    "spark-skills demo: the teacher is a SCRIPT, no model is asked. Its commands really run in a sandbox, the task's own verifier really judges them,",
  );
  out("and reflection, PDI, intervention, distillation and gate are the ones of `spark-skills generate`.");
  out("");
  const task = taskDirectory();
  const config = await planRun(
    {
      paths: [task],
      outDir: runsDir,
      parallel: 1,
      runName: `demo_${newRunName(new Date())}`,
      settings: { model: DEMO_MODEL, sandbox, maxAttempts: 3 },
    },
    {},
  );
  out(`task      ${shown(task)}`);
  out("preflight the task's own solution has to earn full reward before a teacher is asked; a success is remembered");
  const model = createDemoModel();
  const print = demoLines(out);
  const { report, exitCode } = await startRun(runsDir, config, {
    env,
    capabilities: { model: async () => ({ model: model as never, id: DEMO_MODEL, costUsd: () => 0 }) },
    checkpointer: (dir, url) => checkpointerOrMemory(dir, url, out),
    observer: {
      line: (_task, line) => print(line),
      // What a script has begun no model can resume, so that hint is left out.
      say: (text) => void (text.startsWith("stopped by") ? undefined : out(text.replace(/^run: /, "run       "))),
      task: () => {},
    },
  });
  const [result] = report.tasks;
  if (result?.skill === undefined || result.skill === null) {
    out("");
    out(
      `no skill was published: ${result?.error === null || result?.error === undefined ? "the task was not solved" : `${result.error.code}: ${result.error.message}`}`,
    );
    out(`the run is in ${report.dir}`);
    return exitCode === 0 ? EXIT_CODES.error : exitCode;
  }
  out("");
  out("Where to look");
  out(`  the skill          ${shown(join(result.skill, "SKILL.md"))}`);
  out(`  where it is from   ${shown(`${result.skill}.provenance.json`)}`);
  out(`  every event        ${shown(join(report.dir, TASK, LOG_FILE))}`);
  out(`  an attempt         ${shown(join(report.dir, TASK, `${TASK}__attempt-2`))}`);
  out("");
  out(`The same with a model of yours: OPENAI_API_KEY=... spark-skills generate -p ${shown(task)} -m MODEL`);
  return exitCode;
}

/** A path as somebody in the working directory would write it. */
function shown(path: string): string {
  const near = relative(process.cwd(), path);
  return near === "" || near.startsWith("..") ? path : near;
}

/** The example's folder, from the sources and from the installed package. */
function taskDirectory(): string {
  const candidates = ["../examples/tasks/", "../../examples/tasks/"].map((up) => fileURLToPath(new URL(up + TASK, import.meta.url)));
  const found = candidates.find((path) => existsSync(join(path, "task.toml")));
  if (found === undefined)
    throw new SparkError(`the demo's task is missing: looked for ${candidates.join(" and ")}; install the package again`, {
      code: "file-missing",
    });
  return found;
}

/** SQLite in the run's folder; where its binary could not be built, memory: the demo is not resumed. */
export async function checkpointerOrMemory(
  runDir: string,
  url: string | null,
  out: DemoOptions["out"],
): ReturnType<typeof openCheckpointer> {
  try {
    return await openCheckpointer(runDir, url);
  } catch (error) {
    if (!SparkError.isInstance(error) || error.code !== "checkpointer-missing") throw error;
    out(
      "state     in memory: the SQLite saver has no binary here (`npm rebuild better-sqlite3` makes it), so this run could not be resumed",
    );
    return { saver: new MemorySaver(), close: async () => {} };
  }
}
