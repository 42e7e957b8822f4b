// Compares real Harbor with this package, task by task. Called by interop.sh; `npm run build` comes first.
//   node .ci/interop.mjs --harbor FILE --skills-ref FILE [--runs DIR] [--only NAME,NAME] [--out DIR] [--harbor-jobs DIR] [--dist DIR] [--fixtures-only]
// --runs: published skills and trial directories below it are validated too. --harbor-jobs: take these jobs of an earlier run in place of new ones.
// --fixtures-only: Harbor alone, against what the fixtures say. Exit 1 on any disagreement.
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { parseArgs, promisify } from "node:util";

const run = promisify(execFile);
const root = resolve(import.meta.dirname, "..");
const AGENTS = ["oracle", "nop"];
// A trial of Harbor mostly waits for its container to stop (10 s).
const HARBOR_CONCURRENCY = 6;
const OUR_CONCURRENCY = 2;
const JOB_LIMIT_MS = 40 * 60_000;
const TRIAL_LIMIT_MS = 5 * 60_000;

const { values: options } = parseArgs({
  options: {
    harbor: { type: "string" },
    "skills-ref": { type: "string" },
    runs: { type: "string" },
    only: { type: "string" },
    out: { type: "string" },
    "harbor-jobs": { type: "string" },
    dist: { type: "string", default: join(root, "dist") },
    "fixtures-only": { type: "boolean", default: false },
  },
});
if (!options.harbor) throw new Error("--harbor is missing: interop.sh passes it");
const only = options.only?.split(",");
const out = resolve(options.out ?? (await mkdtemp(join(tmpdir(), "spark-interop-"))));

const { readJob } = await import(join(options.dist, "formats/harbor/read-trial.js"));
const { readTask } = await import(join(options.dist, "formats/harbor/read-task.js"));

let problems = 0;
const say = (text) => console.log(text);
const disagree = (text) => {
  problems += 1;
  say(`  DISAGREE  ${text}`);
};
const same = (a, b) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
const sorted = (value) =>
  value && typeof value === "object" ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;

for (const dataset of await datasets()) {
  say(`${dataset.dir}: ${dataset.tasks.length} tasks`);
  const [theirs, ours] = [await harborTrials(dataset), options["fixtures-only"] ? null : await ourTrials(dataset)];
  await compare(dataset, theirs, ours);
}
if (options.runs) await validateRuns(resolve(options.runs));
say(problems === 0 ? "interop: no disagreement" : `interop: ${problems} disagreements`);
process.exitCode = problems === 0 ? 0 : 1;

/** Directories of tasks with what each task must earn: expected.json where there is one, else oracle 1 and nop 0. */
async function datasets() {
  const found = [];
  for (const dir of ["examples/tasks", "test/fixtures/tasks/keys"].map((path) => join(root, path))) {
    if (!existsSync(dir)) continue;
    const given = existsSync(join(dir, "expected.json")) ? JSON.parse(await readFile(join(dir, "expected.json"), "utf8")) : {};
    const names = (await readdir(dir)).filter((name) => existsSync(join(dir, name, "task.toml")) && (!only || only.includes(name)));
    const tasks = names.sort().map((name) => ({ name, dir: join(dir, name), oracle: 1, nop: 0, ...given[name] }));
    if (tasks.length > 0) found.push({ dir, tasks });
  }
  return found;
}

/** Harbor's trials of a dataset by agent and task, as our reader sees its job directories. */
async function harborTrials({ dir, tasks }) {
  const trials = {};
  const runnable = tasks.filter((task) => !task.harbor);
  for (const task of tasks.filter((one) => one.harbor)) say(`  SKIPPED in Harbor: ${task.name}: Harbor ${task.harbor}`);
  for (const agent of AGENTS) {
    trials[agent] = {};
    if (runnable.length === 0) continue;
    const name = `${basename(dir)}-${agent}`;
    const jobs = options["harbor-jobs"] ? resolve(options["harbor-jobs"]) : join(out, "harbor");
    if (!options["harbor-jobs"]) {
      const filter = runnable.flatMap((task) => ["-i", task.name]);
      await mkdir(jobs, { recursive: true });
      await runQuietly(
        options.harbor,
        ["run", "-p", dir, "-a", agent, "-o", jobs, "--job-name", name, "-n", String(HARBOR_CONCURRENCY), "-q", "-y", ...filter],
        runnable,
      );
    }
    for (const trial of (await readJob(join(jobs, name))).trials) {
      const config = JSON.parse(await readFile(join(trial.dir, "config.json"), "utf8"));
      trials[agent][basename(config.task.path)] = trial;
    }
  }
  return trials;
}

/** A process with the variables that templates of these tasks read; its output is shown only when it fails. */
async function runQuietly(command, args, tasks) {
  const environment = Object.assign({}, ...tasks.map((task) => task.environment ?? {}));
  try {
    await run(command, args, { env: { ...process.env, ...environment }, timeout: JOB_LIMIT_MS, maxBuffer: 64 << 20 });
  } catch (error) {
    disagree(`${basename(command)} ${args.join(" ")} failed: ${String(error.stderr || error.stdout || error.message).slice(-2_000)}`);
  }
}

async function ourTrials({ dir, tasks }) {
  const trials = Object.fromEntries(AGENTS.map((agent) => [agent, {}]));
  const queue = AGENTS.flatMap((agent) => tasks.map((task) => ({ agent, task })));
  const worker = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const { agent, task } = next;
      trials[agent][task.name] = await ourTrial(task, agent, join(out, "ours", basename(dir), agent, task.name));
    }
  };
  await Promise.all(Array.from({ length: OUR_CONCURRENCY }, worker));
  return trials;
}

/** What `trial --json` printed, also when it ended with another exit code than 0. */
async function ourTrial(task, agent, place) {
  const args = ["trial", "-p", task.dir, "-a", agent, "--json", "-o", place];
  for (const skill of task.skills ?? []) args.push("--skill", resolve(task.dir, skill));
  for (const name of Object.keys(task.environment ?? {})) args.push("--allow-env", name);
  const started = Date.now();
  const trial = await run(process.execPath, [join(options.dist, "cli/main.js"), ...args], {
    env: { ...process.env, ...task.environment },
    timeout: TRIAL_LIMIT_MS,
    killSignal: "SIGKILL",
    maxBuffer: 64 << 20,
  }).then(
    ({ stdout }) => JSON.parse(stdout),
    (error) => parsed(error.stdout) ?? { error: { code: "crash", message: String(error.stderr || error.message).slice(-500) } },
  );
  const seconds = (Date.now() - started) / 1000;
  if (task.withinSec && seconds > task.withinSec)
    disagree(`${task.name} ${agent}: took us ${seconds} s, its limit must end it within ${task.withinSec}`);
  return trial;
}

async function isFile(path) {
  return await lstat(path).then(
    (entry) => entry.isFile(),
    () => false,
  );
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function compare({ tasks }, theirs, ours) {
  const dirs = AGENTS.flatMap((agent) => tasks.flatMap((task) => [theirs[agent][task.name]?.dir, ours?.[agent][task.name]?.dir])).filter(
    Boolean,
  );
  const models = await readWithHarbor(
    tasks.map((task) => task.dir),
    dirs,
  );
  for (const task of tasks) {
    const { digest } = await readTask(task.dir);
    if (digest !== models.tasks[task.dir]) disagree(`${task.name}: digest ${digest}, Harbor ${models.tasks[task.dir]}`);
    for (const agent of AGENTS) {
      const where = `${task.name} ${agent}`;
      const before = problems;
      const harbor = theirs[agent][task.name];
      const own = ours?.[agent][task.name];
      if (!harbor && !task.harbor) disagree(`${where}: Harbor has no trial of it`);
      if (harbor && harbor.reward !== task[agent])
        disagree(
          `${where}: Harbor's reward ${harbor.reward} (${harbor.exception?.type ?? "no exception"}: ${harbor.exception?.message.slice(0, 300) ?? ""}), expected ${task[agent]}`,
        );
      if (harbor && !same(harbor.rewards, models.trials[harbor.dir].rewards))
        disagree(
          `${where}: we read ${JSON.stringify(harbor.rewards)} from Harbor's directory, Harbor ${JSON.stringify(models.trials[harbor.dir].rewards)}`,
        );
      if (own) compareOwn(where, task, agent, own, harbor, own.dir ? models.trials[own.dir] : null);
      for (const dir of agent === "oracle" ? [harbor?.dir, own?.dir].filter(Boolean) : []) {
        for (const path of task.artifacts ?? []) if (!(await isFile(join(dir, path)))) disagree(`${where}: ${path} is no file in ${dir}`);
        for (const path of task.notArtifacts ?? []) if (existsSync(join(dir, path))) disagree(`${where}: ${path} stands in ${dir}`);
      }
      if (problems === before && own && harbor) say(`agree: ${where}, reward ${harbor.reward}`);
    }
  }
}

function compareOwn(where, task, agent, own, harbor, model) {
  const reward = own.reward ?? null;
  if (reward !== task[agent])
    disagree(`${where}: our reward ${reward} (${own.error?.code ?? "no error"}: ${own.error?.message ?? ""}), expected ${task[agent]}`);
  if (harbor && reward !== harbor.reward) disagree(`${where}: our reward ${reward}, Harbor's ${harbor.reward}`);
  if (harbor && !same(own.rewards ?? null, harbor.rewards))
    disagree(`${where}: our rewards ${JSON.stringify(own.rewards)}, Harbor's ${JSON.stringify(harbor.rewards)}`);
  if (!model) return disagree(`${where}: no trial directory of ours: ${JSON.stringify(own.error ?? own).slice(0, 500)}`);
  for (const problem of model.problems) disagree(`${where}: Harbor cannot read our ${own.dir}: ${problem}`);
  if (model.problems.length === 0 && !same(model.rewards, own.rewards ?? null))
    disagree(`${where}: Harbor reads ${JSON.stringify(model.rewards)} in our directory, we said ${JSON.stringify(own.rewards)}`);
}

/** What Harbor's Python says about task and trial directories. */
function readWithHarbor(tasks, trials) {
  return new Promise((fulfil, reject) => {
    const child = spawn(join(dirname(options.harbor), "python"), [join(import.meta.dirname, "interop-models.py")], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
    });
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? fulfil(JSON.parse(text)) : reject(new Error(`interop-models.py ended with ${code}`))));
    child.stdin.end(JSON.stringify({ tasks, trials }));
  });
}

/** Every published skill passes the Agent Skills validator; every trial directory loads in Harbor with the rewards that we read. */
async function validateRuns(dir) {
  const skills = [];
  const trials = [];
  for (const entry of await readdir(dir, { recursive: true, withFileTypes: true })) {
    const parent = entry.parentPath;
    if (entry.name === "SKILL.md" && basename(dirname(parent)) === "skills" && basename(dirname(dirname(parent))) !== "environment")
      skills.push(parent);
    if (entry.name === "result.json" && existsSync(join(parent, "config.json"))) trials.push(parent);
  }
  for (const skill of skills) {
    if (!options["skills-ref"]) throw new Error("--skills-ref is missing: interop.sh passes it");
    await run(options["skills-ref"], ["validate", skill]).catch((error) =>
      disagree(`${skill}: ${error.stderr || error.stdout || error.message}`),
    );
  }
  const models = await readWithHarbor([], trials);
  for (const [trial, { problems: found }] of Object.entries(models.trials))
    for (const problem of found) disagree(`Harbor cannot read ${trial}: ${problem}`);
  say(
    `${dir}: ${skills.length} skills and ${trials.length} trials, ${Object.values(models.trials).filter(({ trajectory }) => trajectory).length} with a trajectory`,
  );
}
