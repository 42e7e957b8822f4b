import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { GenerationReport } from "../../formats/generation-report.js";
import { generationReportSchema } from "../../formats/generation-report.js";
import { type LogReading, readWholeLog } from "../../formats/trajectory/read-log.js";
import { LOG_FILE } from "../../formats/trajectory/run-log.js";

const root = resolve(import.meta.dirname, "../..");
/** The built command, as it is installed; another build for those who work on several at once. */
const command = process.env.SPARK_SKILLS_E2E_COMMAND ?? join(root, "dist/cli/main.js");
if (!existsSync(command)) throw new Error(`${command} is missing: \`npm run build\` first (npm test does)`);

/** No command of these tests takes so long, even on a machine that others use. */
const LIMIT_MS = 240_000;
/** What a child may see of this process's environment: how to find programs, the engine and a home, no key and no model. */
const INHERITED = ["PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "XDG_RUNTIME_DIR", "TMPDIR"];

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface CommandProcess {
  child: ChildProcess;
  ended: Promise<Ended>;
  stderr(): string;
  /** Resolves when stderr matches; rejects when the process ends before. */
  said(pattern: RegExp): Promise<void>;
}

export interface CommandPlace extends AsyncDisposable {
  /** Working directory of the commands; `runs` is in it. */
  dir: string;
  /** A path in it. */
  path(...parts: string[]): string;
  start(args: string[], env?: Record<string, string>): CommandProcess;
  run(args: string[], env?: Record<string, string>): Promise<Ended>;
  /** A Harbor task in `tasks/NAME`; see {@link readyTask}. */
  task(name: string, files?: Record<string, string>): Promise<string>;
  log(run: string, task: string): Promise<LogReading>;
}

/**
 * A small task that Docker and the embedded sandbox run: the word "ready" has to stand in a file. A Dockerfile with a RUN line, for one,
 * needs Docker.
 */
const readyTask: Record<string, string> = {
  "instruction.md": "Write the word ready, and nothing else, to the file answer.txt in your working directory.\n",
  "task.toml":
    'version = "1.0"\n\n[metadata]\n\n[agent]\ntimeout_sec = 600.0\n\n[verifier]\ntimeout_sec = 120.0\n\n[environment]\nallow_internet = false\n',
  "environment/Dockerfile": "FROM python:3.12-slim\nWORKDIR /app\n",
  "solution/solve.sh": "#!/bin/bash\nprintf ready > /app/answer.txt\n",
  "tests/test.sh": `#!/bin/bash
mkdir -p /logs/verifier
if [ "$(cat /app/answer.txt)" = ready ]; then reward=1; status=passed; else reward=0; status=failed; fi
echo "$reward" > /logs/verifier/reward.txt
printf '{"results":{"tool":{"name":"sh"},"summary":{},"tests":[{"name":"test_answer","status":"%s","duration":1,"message":"answer.txt does not say ready"}]}}' "$status" > /logs/verifier/ctrf.json
`,
};

/** A folder of its own, in which the command runs as a user would run it. */
export async function openPlace(environment: Record<string, string> = {}): Promise<CommandPlace> {
  const dir = await mkdtemp(join(tmpdir(), "spark-e2e-"));
  const path = (...parts: string[]) => join(dir, ...parts);
  const base = {
    ...Object.fromEntries(INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))),
    // The preflights of this folder's runs alone.
    XDG_CACHE_HOME: path("cache"),
    ...environment,
  };
  const running = new Set<ChildProcess>();
  const start: CommandPlace["start"] = (args, env = {}) => {
    const child = spawn(process.execPath, [command, ...args], { cwd: dir, env: { ...base, ...env }, stdio: ["ignore", "pipe", "pipe"] });
    running.add(child);
    const output = { stdout: "", stderr: "" };
    const listeners = new Set<() => void>();
    for (const name of ["stdout", "stderr"] as const)
      child[name]!.setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
        for (const listener of listeners) listener();
      });
    const ended = new Promise<Ended>((resolveEnd) => {
      const timer = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
      child.once("close", (code, signal) => {
        clearTimeout(timer);
        running.delete(child);
        resolveEnd({ code, signal, ...output });
      });
    });
    return {
      child,
      ended,
      stderr: () => output.stderr,
      said: (pattern) =>
        new Promise((found, failed) => {
          const look = () => {
            if (pattern.test(output.stderr)) found();
          };
          listeners.add(look);
          void ended.then(({ code }) => failed(new Error(`ended with ${code} before it said ${pattern}:\n${output.stderr}`)));
          look();
        }),
    };
  };
  return {
    dir,
    path,
    start,
    run: (args, env) => start(args, env).ended,
    async task(name, files = {}) {
      for (const [file, text] of Object.entries({ ...readyTask, ...files })) {
        const target = path("tasks", name, file);
        await mkdir(join(target, ".."), { recursive: true });
        await writeFile(target, text, { mode: file.endsWith(".sh") ? 0o755 : 0o644 });
      }
      return path("tasks", name);
    },
    log: (run, task) => readWholeLog(path("runs", run, task, LOG_FILE)),
    async [Symbol.asyncDispose]() {
      for (const child of running) child.kill("SIGKILL");
      await rm(dir, { recursive: true, force: true });
    },
  };
}

/** What `generate --json` printed: one object, nothing else, as promised to scripts. */
export function reportOf({ stdout, stderr }: Ended): GenerationReport {
  if (!/^\{.*\}\n$/.test(stdout)) throw new Error(`no single JSON object on stdout: ${stdout.slice(0, 500)}\nstderr: ${stderr}`);
  return generationReportSchema.parse(JSON.parse(stdout));
}

/** The error object that `--json` printed. */
export function errorOf({ stdout, stderr }: Ended): { code: string; message: string } {
  const lines = stdout.trim().split("\n");
  if (lines.length !== 1) throw new Error(`one line was expected on stdout: ${stdout}\nstderr: ${stderr}`);
  const { error } = JSON.parse(lines[0]!) as { error: { code: string; message: string } };
  return { code: error.code, message: error.message };
}

/** What a log tells a reader, without times, ids and costs: its lines by type, attempt and content. */
export const storyOf = ({ lines }: LogReading): string[] =>
  lines.map((line) => {
    const told = line as unknown as Record<string, unknown>;
    const parts = [
      "attempt",
      "retry",
      "index",
      "command",
      "exit_code",
      "status",
      "reward",
      "n_passed",
      "node",
      "passed",
      "refused",
      "total_attempts",
    ];
    return [
      line.type,
      ...parts.flatMap((key) => (told[key] === undefined || told[key] === null ? [] : [`${key}=${String(told[key])}`])),
    ].join(" ");
  });

/** Identities that stand twice in a folded log: always none. */
export const doubled = ({ lines }: LogReading): string[] => {
  const ids = lines.map(({ id }) => id);
  return ids.filter((id, index) => id !== undefined && ids.indexOf(id) !== index) as string[];
};
