#!/usr/bin/env node
import { existsSync, readFileSync } from "node:fs";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { SparkError } from "../state/errors.js";
import { createOutput, EXIT_CODES, type Output, reportError } from "./output.js";

// Only commander is loaded here: --help answers at once, each command imports what it needs when it runs.

const number = (least: number, whole: boolean) => (text: string) => {
  const value = Number(text);
  if (!Number.isFinite(value) || value < least || (whole && !Number.isInteger(value)))
    throw new InvalidArgumentError(`expected ${whole ? "a whole number" : "a number"} of at least ${least}, got ${text}`);
  return value;
};
const positive = (text: string) => {
  const value = number(0, false)(text);
  if (value === 0) throw new InvalidArgumentError("expected a number above 0");
  return value;
};
const collect = (value: string, before: string[] | undefined) => [...(before ?? []), value];

const UNITS: Record<string, number> = { "": 1, s: 1, m: 60, h: 3600 };
/** `90`, `90s`, `10m`, `1h` → seconds. */
const duration = (text: string) => {
  const match = /^(\d+(?:\.\d+)?)([smh]?)$/.exec(text);
  if (match === null) throw new InvalidArgumentError(`expected a duration such as 90s, 10m or 1h, got ${text}`);
  return Number(match[1]) * UNITS[match[2] ?? ""]!;
};

const sandbox = () => new Option("--sandbox <kind>", "where tasks run").choices(["auto", "docker", "virtual"]);
const verifier = () =>
  new Option("--verifier <mode>", "where tests run: a fresh container, or the agent's own").choices(["auto", "fresh", "shared"]);
const json = () => new Option("--json", "one JSON object on stdout");
const outputDir = (what: string) => new Option("-o, --output-dir <dir>", what).default("runs");

/** Runs a command's function with its output and turns what it throws into an exit code. */
function action(run: (args: { positional: string[]; flags: never; output: Output }) => Promise<number>) {
  return async (...args: unknown[]) => {
    const command = args.at(-1) as Command;
    const flags = command.opts() as { json?: boolean; outputFormat?: string };
    const output = createOutput(flags.json === true || flags.outputFormat === "stream-json");
    // Idle sockets to the engine do not hold the process; a command that still works must.
    const working = setInterval(() => {}, 60_000);
    try {
      process.exitCode = await run({ positional: command.args, flags: flags as never, output });
    } catch (error) {
      process.exitCode = reportError(error, output);
    } finally {
      clearInterval(working);
    }
  };
}

function createProgram(): Command {
  const { version } = JSON.parse(
    readFileSync(new URL(import.meta.url.endsWith(".ts") ? "../package.json" : "../../package.json", import.meta.url), "utf8"),
  ) as { version: string };
  const program = new Command("spark-skills")
    .description("Turns agent trajectories that an environment has verified into reusable Agent Skills.")
    .version(version, "-V, --version")
    .showHelpAfterError("(add --help for the options)")
    .exitOverride()
    .configureHelp({ sortSubcommands: false });

  program
    .command("generate")
    .description("explore tasks with a teacher until the verifier accepts, then distil a checked skill")
    .option("-p, --path <dir...>", "task directory, or a directory of tasks")
    .option("-t, --task-name <glob>", "only tasks with this name")
    .option("-x, --exclude-task-name <glob>", "not tasks with this name")
    .option("-l, --n-tasks <n>", "at most so many tasks", number(1, true))
    .option("-m, --model <model>", "teacher; default SPARK_MODEL")
    .option("--summary-model <model>", "model that reflects and distils; default the teacher")
    .option("--models <file>", "YAML: name, model, baseUrl, apiKeyEnv, price, options")
    .option("-k, --n-attempts <n>", "scored attempts a task (3)", number(1, true))
    .option("-n, --n-concurrent <n>", "tasks at a time (1)", number(1, true))
    .addOption(outputDir("folder of the runs"))
    .option("--run-name <name>", "default a timestamp")
    .addOption(new Option("--pdi <mode>", "watch and steer by PDI (on)").choices(["off", "observe", "on"]))
    .addOption(new Option("--pdi-method <method>", "(token_overlap)").choices(["token_overlap", "js_divergence", "js_divergence_release"]))
    .addOption(sandbox())
    .addOption(verifier())
    .option("--no-preflight", "do not run the oracle before the agent")
    .option("--timeout-multiplier <x>", "scales the task's limits", positive)
    .option("--max-steps <n>", "model calls of an attempt (100)", number(1, true))
    .option("--budgets <file>", "YAML with character, token and task budgets")
    .option("--shuffle", "random order of tasks")
    .option("--shared-result-dir <dir>", "skip tasks that another model has solved")
    .option("--max-cost-usd <x>", "cap of the whole run", positive)
    .option("--prices <file>", "YAML: prices by model id")
    .option("--max-tokens <n>", "cap of the whole run", number(1, true))
    .option("--show-verifier", "show the teacher the verifier without its expected values")
    .option("--allow-env <name>", "a variable that task templates may read", collect)
    .option("--lease <duration>", "how long a container outlives a crash (10m)", duration)
    .option("--checkpoint <url>", "Postgres instead of SQLite")
    .option("--resume <run>", "go on with a run")
    .option("--dry-run", "say what would run and its greatest cost; start nothing")
    .addOption(json())
    .addOption(new Option("--output-format <format>", "").choices(["text", "json", "stream-json"]).default("text"))
    .action(
      action(async ({ flags, output }) => {
        const { runGenerate } = await import("./generate.js");
        const format = (flags as { outputFormat: string }).outputFormat;
        return runGenerate(flags, process.env, format === "json" ? { ...output, json: true } : output);
      }),
    );

  program
    .command("trial")
    .description("run one agent once on one task and let the verifier judge")
    .requiredOption("-p, --path <dir>", "task directory")
    .addOption(new Option("-a, --agent <agent>", "who works").choices(["oracle", "nop", "spark"]).default("spark"))
    .option("-m, --model <model>", "for spark; default SPARK_MODEL")
    .option("--models <file>", "YAML with models")
    .option("--skill <dir>", "a skill for the agent", collect)
    .addOption(sandbox())
    .addOption(verifier())
    .option("--no-preflight", "do not run the oracle before the agent")
    .option("--timeout-multiplier <x>", "scales the task's limits", positive)
    .option("--max-steps <n>", "model calls (100)", number(1, true))
    .option("--allow-env <name>", "a variable that task templates may read", collect)
    .addOption(outputDir("folder of the trial directory"))
    .addOption(json())
    .action(action(async ({ flags, output }) => (await import("./trial.js")).runTrialCommand(flags, process.env, output)));

  program
    .command("distill")
    .argument("<run/task>", "folder of a task in a run")
    .description("make a skill from a stored success, without a teacher")
    .option("-m, --model <model>", "default the run's summary model")
    .addOption(outputDir("folder of the runs"))
    .addOption(json())
    .action(
      action(async ({ positional, flags, output }) =>
        (await import("./distill.js")).runDistill(positional[0]!, flags, process.env, output),
      ),
    );

  program
    .command("check")
    .argument("<skill-dir>", "directory with a SKILL.md")
    .description("the gate's checks on any skill; exit 5 when it fails")
    .option("--task <dir>", "the task it was made from: also looks for its answers")
    .addOption(json())
    .action(
      action(async ({ positional, flags, output }) => {
        const { runCheck } = await import("./check.js");
        const { task } = flags as { task?: string };
        return print(await runCheck({ skillDir: positional[0]!, ...(task === undefined ? {} : { task }) }), output);
      }),
    );

  program
    .command("pdi")
    .argument("<path>", "trajectory.jsonl, a folder of them, or a snapshots file")
    .description("compute PDI over recorded runs and compare with what was recorded; exit 5 on a difference")
    .addOption(
      new Option("--method <method>", "default the recorded one").choices(["token_overlap", "js_divergence", "js_divergence_release"]),
    )
    .option("--retrospective", "also the score of finished tasks")
    .addOption(json())
    .action(
      action(async ({ positional, flags, output }) => {
        const { runPdi } = await import("./pdi.js");
        return print(await runPdi({ path: positional[0]!, ...(flags as object) }), output);
      }),
    );

  program
    .command("replay")
    .argument("<run>", "folder with trajectory.jsonl and attempts.json")
    .description("drive the real graph with a recorded run and compare; exit 5 when something is unexplained")
    .addOption(json())
    .action(
      action(async ({ positional, output }) => {
        const { runReplay } = await import("./replay.js");
        return print(await runReplay({ path: positional[0]! }), output);
      }),
    );

  program
    .command("runs")
    .description("list runs with state and cost")
    .addOption(outputDir("folder of the runs"))
    .addOption(json())
    .action(action(async ({ flags, output }) => (await import("./runs.js")).runRuns(flags, output)));

  program
    .command("clean")
    .description("remove containers and snapshots that a crash left, and old runs")
    .option("--run <run>", "only of this run")
    .option("--runs", "also the folders of runs that nobody works on")
    .option("-y, --yes", "do not ask")
    .addOption(outputDir("folder of the runs"))
    .addOption(json())
    .action(action(async ({ flags, output }) => (await import("./clean.js")).runClean(flags, process.env, output)));

  program
    .command("doctor")
    .description("check Node, Docker, disk, SQLite, key, endpoint and model")
    .option("-m, --model <model>", "default SPARK_MODEL")
    .addOption(json())
    .action(action(async ({ flags, output }) => (await import("./doctor.js")).runDoctor(flags, process.env, output)));

  program
    .command("demo")
    .description("the main job with a scripted teacher: no key, no Docker needed")
    .addOption(sandbox())
    .addOption(outputDir("folder of the run"))
    .action(
      action(async ({ flags, output }) => {
        const { runDemo } = await import("./demo.js");
        const { outputDir: runsDir, sandbox: choice } = flags as { outputDir: string; sandbox?: "auto" | "docker" | "virtual" };
        return runDemo({ runsDir, sandbox: choice ?? "virtual", out: output.data });
      }),
    );

  return program;
}

/** What the reading commands return: an object for programs, a text for people, an exit code. */
function print({ report, text, exitCode }: { report: object; text: string; exitCode: number }, output: Output): number {
  output.data(output.json ? JSON.stringify(report) : text);
  return exitCode;
}

async function main(): Promise<void> {
  if (existsSync(".env")) process.loadEnvFile(".env");
  try {
    await createProgram().parseAsync();
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help and version end with 0; every other complaint of commander is a usage error and was printed.
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_CODES.usage;
    if (process.exitCode !== 0 && (process.argv.includes("--json") || process.argv.includes("stream-json")))
      reportError(new SparkError(error.message, { code: "usage" }), createOutput(true));
  }
}

await main();
