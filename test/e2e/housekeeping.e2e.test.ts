import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { doctorReportSchema } from "../../formats/doctor-report.js";
import { createBox, noDocker, provider, testRun } from "../integration/docker-engine.js";
import { type CommandPlace, type CommandProcess, errorOf, openPlace, reportOf } from "../support/command-line.js";
import { type ModelEndpoint, startModelEndpoint } from "../support/model-endpoint.js";
import { sayReady, scriptedTeacher } from "../support/scripted-teacher.js";

let place: CommandPlace;
let endpoint: ModelEndpoint;
let isHanging = false;
beforeAll(async () => {
  place = await openPlace();
  const reply = scriptedTeacher({ solve: () => sayReady });
  endpoint = await startModelEndpoint({ reply: (request, index) => (isHanging ? { fault: "hang" } : reply(request, index)) });
  await place.task("hello");
});
afterAll(async () => {
  await endpoint.close();
  await place[Symbol.asyncDispose]();
});
const begin = (run: string, sandbox: string): CommandProcess =>
  place.start(["generate", "-p", "tasks/hello", "-m", "scripted", "--sandbox", sandbox, "--run-name", run, "--json"], {
    OPENAI_BASE_URL: endpoint.url,
  });
/** A run that waits for its model for ever. */
const hanging = async (run: string, sandbox: string): Promise<CommandProcess> => {
  isHanging = true;
  const before = endpoint.requests.length;
  const process = begin(run, sandbox);
  while (endpoint.requests.length === before) await sleep(15);
  return process;
};
const statesOf = async () => {
  const { stdout } = await place.run(["runs", "--json"]);
  return Object.fromEntries((JSON.parse(stdout) as { runs: { run: string; state: string }[] }).runs.map(({ run, state }) => [run, state]));
};

describe("runs", () => {
  it("lists finished, running, stopped, interrupted and broken ones, oldest name first, with what they cost", async () => {
    const done = await begin("a-finished", "virtual").ended;
    expect(done.code, done.stderr).toBe(0);
    const running = await hanging("b-running", "virtual");
    const killed = await hanging("c-interrupted", "virtual");
    killed.child.kill("SIGKILL");
    await killed.ended;
    const { mkdir } = await import("node:fs/promises");
    await mkdir(place.path("runs", "d-broken"), { recursive: true });
    await writeFile(place.path("runs", "d-broken", "config.json"), "{");
    const { stdout } = await place.run(["runs", "--json"]);
    const { runs: listed } = JSON.parse(stdout) as {
      runs: {
        run: string;
        dir: string;
        state: string;
        tasks: number;
        solved: number;
        costUsd: number | null;
      }[];
    };
    expect(listed.map(({ dir, state }) => [dir, state])).toEqual([
      [place.path("runs", "a-finished"), "finished"],
      [place.path("runs", "b-running"), "running"],
      [place.path("runs", "c-interrupted"), "interrupted"],
      [place.path("runs", "d-broken"), "broken"],
    ]);
    expect(listed[0]).toMatchObject({ run: "a-finished", tasks: 1, solved: 1, costUsd: null });
    running.child.kill("SIGTERM");
    await running.ended;
    isHanging = false;
    expect((await statesOf())["b-running"]).toBe("stopped");
    const plain = await place.run(["runs"]);
    expect(plain.stdout).toMatch(/^finished {4}a-finished {2}1\/1 solved {2}cost unknown$/m);
  });
});

describe.skipIf(noDocker)("clean", () => {
  const dead = testRun("clean-dead");
  const living = testRun("clean-living");
  const foreign = testRun("clean-foreign");
  const of = async (run: string) => (await provider.list()).filter((thing) => thing.run === run).map(({ kind }) => kind);
  let alive: CommandProcess;
  beforeAll(async () => {
    const killed = await hanging(dead, "docker");
    killed.child.kill("SIGKILL");
    await killed.ended;
    alive = await hanging(living, "docker");
    isHanging = false;
  });
  afterAll(async () => {
    alive.child.kill("SIGKILL");
    await alive.ended;
    for (const run of [dead, living, foreign]) await provider.removeRun(run);
  });

  it("asks first: without a terminal it removes nothing and ends with 2, naming --yes", async () => {
    const done = await place.run(["clean", "--run", dead, "--json"]);
    expect([done.code, errorOf(done)]).toEqual([2, { code: "usage", message: expect.stringContaining("--yes") }]);
    expect(await of(dead)).toEqual(["container"]);
  });

  it("spares a run whose lock beats and says so", async () => {
    const done = await place.run(["clean", "--run", living, "--yes", "--runs", "--json"]);
    expect([done.code, JSON.parse(done.stdout)], done.stderr).toEqual([0, { removed: 0, runs: [] }]);
    expect(done.stderr).toContain(`spared: run ${living}`);
    expect([await of(living), existsSync(place.path("runs", living))]).toEqual([["container"], true]);
  });

  it("removes what a killed run left, and with --runs its folder", async () => {
    const done = await place.run(["clean", "--run", dead, "--yes", "--runs", "--json"]);
    expect([done.code, JSON.parse(done.stdout)], done.stderr).toEqual([0, { removed: 1, runs: [dead] }]);
    expect([await of(dead), existsSync(place.path("runs", dead))]).toEqual([[], false]);
  });

  it("without --run does not touch what belongs to runs in other folders, which may be at work", async () => {
    await using box = await createBox(foreign, "box");
    const done = await place.run(["clean", "--yes", "--json"]);
    expect(done.code, done.stderr).toBe(0);
    expect((await box.exec("echo alive")).exitCode).toBe(0);
    expect(done.stderr).toMatch(/other folders/);
  });
});

describe("doctor", () => {
  it.skipIf(noDocker)("finds everything with an engine, an endpoint and a model", async () => {
    const done = await place.run(["doctor", "-m", "scripted", "--json"], { OPENAI_BASE_URL: endpoint.url });
    const report = doctorReportSchema.parse(JSON.parse(done.stdout));
    // What this machine has of disk is not ours to judge.
    expect(report.checks.filter(({ ok, name }) => !ok && name !== "disk")).toEqual([]);
    expect(report.checks.map(({ name }) => name)).toEqual(["node", "docker", "disk", "sqlite", "key", "endpoint", "model"]);
    expect(done.code).toBe(report.ok ? 0 : 1);
  });

  it("names what is missing, each with what to do, and ends with 1", async () => {
    const done = await place.run(["doctor", "--json"], {
      DOCKER_HOST: "unix:///nonexistent.sock",
      OPENAI_BASE_URL: "http://127.0.0.1:9/v1",
    });
    const { ok, checks } = doctorReportSchema.parse(JSON.parse(done.stdout));
    expect([done.code, ok]).toEqual([1, false]);
    const missing = checks.filter((check) => !check.ok && check.name !== "disk");
    expect(missing.map(({ name }) => name)).toEqual(["docker", "endpoint", "model"]);
    expect(missing.every(({ fix }) => fix !== null && fix !== "")).toBe(true);
    const keyless = await place.run(["doctor"], { DOCKER_HOST: "unix:///nonexistent.sock" });
    expect(keyless.stdout).toMatch(/^FAIL key .*\n +set one of them/m);
  });
});

describe("distill", () => {
  const cut = '---\nname: column-sums\ndescription: "Sums one col';
  it("makes the skill of a verified success later, when three cut replies had left it without one, and asks no teacher", async () => {
    const reply = (text: string | null) =>
      scriptedTeacher({ solve: () => sayReady, ...(text === null ? {} : { distill: () => ({ text, finish: "length" as const }) }) });
    let current = reply(cut);
    await using model = await startModelEndpoint({ reply: (request, index) => current(request, index) });
    const env = { OPENAI_BASE_URL: model.url };
    await writeFile(place.path("prices.yaml"), "scripted: {inputPerMillion: 1, outputPerMillion: 1}\n");
    const done = await place.run(
      [
        "generate",
        "-p",
        "tasks/hello",
        "-m",
        "scripted",
        "--sandbox",
        "virtual",
        "--prices",
        "prices.yaml",
        "--run-name",
        "skilless",
        "--json",
      ],
      env,
    );
    expect(done.code, done.stderr).toBe(0);
    expect(reportOf(done).tasks[0]).toMatchObject({
      status: "solved",
      reward: 1,
      attempts: 2,
      skill: null,
      gate: null,
      error: { code: "skill-missing", message: expect.stringContaining("spark-skills distill") },
    });
    expect(
      model.requests.filter(({ body }) => body.messages.some(({ content }) => String(content).startsWith("You write Agent Skills"))),
    ).toHaveLength(3);

    expect(reportOf(done).costUsd).toBeCloseTo((10 * 120) / 1e6, 10);

    const still = await place.run(["distill", "skilless/hello", "--json"], env);
    expect([still.code, JSON.parse(still.stdout).error.code], still.stderr).toEqual([5, "skill-missing"]);

    current = reply(null);
    const before = model.requests.length;
    const made = await place.run(["distill", "skilless/hello", "--json"], env);
    expect(made.code, made.stdout + made.stderr).toBe(0);
    expect(JSON.parse(made.stdout)).toMatchObject({
      task: "hello",
      status: "solved",
      attempts: 2,
      reward: 1,
      skill: place.path("runs/skilless/hello/skills/column-sums"),
      gate: { passed: true },
      error: null,
    });
    expect(model.requests.slice(before).map(({ body }) => (body.tools ?? []).length)).toEqual([0]);
    // Three replies that were refused again, then the one that was used.
    expect(JSON.parse(made.stdout).costUsd).toBeCloseTo((14 * 120) / 1e6, 10);
    const check = await place.run(["check", "runs/skilless/hello/skills/column-sums", "--task", "tasks/hello", "--json"]);
    expect([check.code, JSON.parse(check.stdout).passed]).toEqual([0, true]);

    const again = await place.run(["generate", "--resume", "skilless", "--json"], env);
    expect(reportOf(again).tasks[0]).toEqual(JSON.parse(made.stdout));
    expect(model.requests.length).toBe(before + 1);
  });

  it("of a task without a verified success says so", async () => {
    await using model = await startModelEndpoint({ reply: scriptedTeacher({ solve: () => ["true"] }) });
    const env = { OPENAI_BASE_URL: model.url };
    const done = await place.run(
      ["generate", "-p", "tasks/hello", "-m", "scripted", "-k", "1", "--sandbox", "virtual", "--run-name", "unsolved", "--json"],
      env,
    );
    expect([done.code, reportOf(done).tasks[0]!.status]).toEqual([0, "unsolved"]);
    const made = await place.run(["distill", "unsolved/hello", "--json"], env);
    expect([made.code, errorOf(made).code]).toEqual([1, "skill-missing"]);
  });
});

describe("help", () => {
  it.each(["", "generate", "trial", "distill", "check", "pdi", "replay", "runs", "clean", "doctor", "demo"])(
    "of %j answers with exit code 0",
    async (name) => {
      const done = await place.run([...(name === "" ? [] : [name]), "--help"]);
      expect(done.code, done.stderr).toBe(0);
      expect(done.stdout).toMatch(new RegExp(`^Usage: spark-skills ${name}`));
    },
  );

  it("shows every flag of generate that the issue promises", async () => {
    const { stdout } = await place.run(["generate", "--help"]);
    const flags =
      "-p -t -x -l -m --summary-model --models -k -n -o --run-name --pdi --pdi-method --sandbox --verifier --no-preflight --timeout-multiplier --max-steps --budgets --shuffle --shared-result-dir --max-cost-usd --prices --max-tokens --show-verifier --allow-env --lease --checkpoint --resume --dry-run --json --output-format";
    expect(flags.split(" ").filter((flag) => !new RegExp(`(^|[ ,])${flag}[ ,]`, "m").test(stdout))).toEqual([]);
  });
});
