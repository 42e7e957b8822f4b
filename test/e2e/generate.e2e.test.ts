import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { linesOf } from "../../formats/trajectory/read-log.js";
import { noDocker, provider, testRun } from "../integration/docker-engine.js";
import { type CommandPlace, doubled, type Ended, errorOf, openPlace, reportOf } from "../support/command-line.js";
import { skillText } from "../support/generation.js";
import { isDistillation, type ModelEndpoint, startModelEndpoint } from "../support/model-endpoint.js";
import { conversationOf, sayReady, scriptedTeacher } from "../support/scripted-teacher.js";

const examples = resolve(import.meta.dirname, "../../examples/tasks");
const heredoc = (path: string, text: string): string => `cat > ${path} <<'END_OF_FILE'\n${text}END_OF_FILE`;

describe.skipIf(noDocker)("two example tasks at a time on Docker", () => {
  const run = testRun("generate");
  let place: CommandPlace;
  let endpoint: ModelEndpoint;
  let done: Ended;
  let args: string[];
  beforeAll(async () => {
    place = await openPlace();
    const report = await readFile(join(examples, "log-report/solution/report.py"), "utf8");
    const invoice = await readFile(join(examples, "invoice-repair/solution/invoice.py"), "utf8");
    const isLogs = (text: string) => text.includes("access.log");
    endpoint = await startModelEndpoint({
      reply: scriptedTeacher({
        solve: (conversation) =>
          isLogs(conversation)
            ? [heredoc("/tmp/report.py", report), "python3 /tmp/report.py"]
            : [heredoc("/app/invoice.py", invoice), "python3 -m py_compile /app/invoice.py"],
        distill: (request) => ({ text: skillText({ name: isLogs(conversationOf(request)) ? "log-statistics" : "program-repair" }) }),
      }),
    });
    args = [
      "generate",
      "-p",
      join(examples, "log-report"),
      join(examples, "invoice-repair"),
      "-n",
      "2",
      "-m",
      "scripted",
      "--sandbox",
      "docker",
      "--run-name",
      run,
      "--json",
    ];
    done = await place.run(args, { OPENAI_BASE_URL: endpoint.url });
  });
  afterAll(async () => {
    await provider.removeRun(run);
    await endpoint.close();
    await place[Symbol.asyncDispose]();
  });

  it("solves both and publishes a skill for each, with exit code 0", () => {
    expect(done.code, done.stderr).toBe(0);
    const report = reportOf(done);
    expect(
      report.tasks.map(({ task, status, attempts, reward, error, gate }) => ({
        task,
        status,
        attempts,
        reward,
        error,
        passed: gate?.passed,
      })),
    ).toEqual([
      { task: "log-report", status: "solved", attempts: 2, reward: 1, error: null, passed: true },
      { task: "invoice-repair", status: "solved", attempts: 2, reward: 1, error: null, passed: true },
    ]);
    expect(report.tasks.map(({ skill }) => existsSync(join(skill!, "SKILL.md")))).toEqual([true, true]);
    expect(report.inputTokens).toBe(report.tasks.reduce((sum, task) => sum + task.inputTokens, 0));
    expect(report).toMatchObject({ run, dir: place.path("runs", run), stoppedBy: null });
  });

  it("prints one object on stdout, the same as report.json, and the run's folder first on stderr", async () => {
    expect(JSON.parse(done.stdout)).toEqual(JSON.parse(await readFile(place.path("runs", run, "report.json"), "utf8")));
    expect(done.stderr.split("\n")[0]).toBe(`run: ${place.path("runs", run)}`);
  });

  it.each(["log-report", "invoice-repair"])("leaves a whole log of %s in which no event stands twice", async (task) => {
    const log = await place.log(run, task);
    expect([doubled(log), log.superseded, log.torn, log.unknown]).toEqual([[], 0, false, []]);
    expect(linesOf(log.lines, "execution_result").map(({ status, backend }) => [status, backend])).toEqual([
      ["FAIL", "docker"],
      ["PASS", "docker"],
    ]);
    expect(linesOf(log.lines, "command").map(({ attempt, index }) => [attempt, index])).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]);
    expect(linesOf(log.lines, "task_summary")).toHaveLength(1);
  });

  it("leaves trial directories in Harbor's layout, and gate and provenance beside the skill", async () => {
    expect(await readdir(place.path("runs", run, "log-report", "log-report__attempt-1"))).toEqual(
      expect.arrayContaining(["agent", "config.json", "result.json", "verifier"]),
    );
    expect((await readdir(place.path("runs", run, "log-report", "skills"))).sort()).toEqual([
      "log-statistics",
      "log-statistics.gate.json",
      "log-statistics.provenance.json",
    ]);
  });

  it("leaves no container, no snapshot and no lock of the run", async () => {
    expect((await provider.list()).filter((thing) => thing.run === run)).toEqual([]);
    expect(await readdir(place.path("runs", run))).not.toContain("lock");
  });

  it("does nothing when it is resumed, and prints the same object", async () => {
    const before = endpoint.requests.length;
    const again = await place.run(["generate", "--resume", run, "--json"], { OPENAI_BASE_URL: endpoint.url });
    expect([again.code, again.stdout]).toEqual([0, done.stdout]);
    expect(again.stderr.split("\n")[0]).toBe(`run: ${place.path("runs", run)}`);
    expect(endpoint.requests.length).toBe(before);
  });

  it("refuses to begin a run whose name is taken", async () => {
    const again = await place.run(args, { OPENAI_BASE_URL: endpoint.url });
    expect([again.code, errorOf(again).code]).toEqual([2, "run-exists"]);
  });
});

describe("the command on the embedded sandbox", () => {
  let place: CommandPlace;
  let endpoint: ModelEndpoint;
  const generate = (...args: string[]) =>
    place.run(["generate", "-m", "scripted", "--sandbox", "virtual", ...args], { OPENAI_BASE_URL: endpoint.url });
  beforeAll(async () => {
    place = await openPlace();
    endpoint = await startModelEndpoint({ reply: scriptedTeacher({ solve: () => sayReady }) });
    await place.task("alpha");
    await place.task("beta");
    await place.task("gamma");
  });
  afterAll(async () => {
    await endpoint.close();
    await place[Symbol.asyncDispose]();
  });

  it("streams every line of the log as JSON on stdout, the report last", async () => {
    const done = await generate("-p", "tasks/alpha", "--run-name", "streamed", "--output-format", "stream-json");
    expect(done.code, done.stderr).toBe(0);
    const lines = done.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { type: string; task?: string; id?: string });
    const { lines: logged } = await place.log("streamed", "alpha");
    expect(lines.slice(0, -1).map(({ type, task, id }) => [type, task, id])).toEqual(logged.map(({ type, id }) => [type, "alpha", id]));
    expect(lines.at(-1)).toMatchObject({ type: "result", run: "streamed", tasks: [{ task: "alpha", status: "solved" }], stoppedBy: null });
  });

  it("prints readable lines without --json", async () => {
    const done = await generate("-p", "tasks/alpha", "--run-name", "plain");
    expect(done.stdout).toMatch(/^solved {4}alpha {2}attempts 2, reward 1, cost unknown\n {10}skill .*column-sums\n/);
    expect(done.stderr).toMatch(/^run: .*\nalpha: attempt 1 begins\nalpha: attempt 1: FAIL/);
    expect(done.stderr).toContain("virtual");
  });

  it("starts nothing with --dry-run: no request, no folder", async () => {
    const before = endpoint.requests.length;
    const done = await generate("-p", "tasks", "--run-name", "dry", "--dry-run", "--json");
    expect(done.code, done.stderr).toBe(0);
    expect(JSON.parse(done.stdout)).toMatchObject({
      run: "dry",
      dryRun: true,
      tasks: ["alpha", "beta", "gamma"].map((task) => ({ task, status: "planned", error: null })),
      maxCostUsd: null,
    });
    expect([endpoint.requests.length - before, existsSync(place.path("runs", "dry"))]).toEqual([0, false]);
  });

  it("bounds the cost of a model whose price is given, with --dry-run", async () => {
    await writeFile(place.path("prices.yaml"), "scripted: {inputPerMillion: 1, outputPerMillion: 2}\n");
    const done = await generate("-p", "tasks/alpha", "--prices", "prices.yaml", "--max-cost-usd", "3", "--dry-run", "--json");
    expect(done.code, done.stdout + done.stderr).toBe(0);
    expect(JSON.parse(done.stdout).maxCostUsd).toBe(3);
  });

  it.each([
    [
      ["-t", "*a", "-x", "be*"],
      ["alpha", "gamma"],
    ],
    [["-t", "?eta"], ["beta"]],
    [
      ["-l", "2"],
      ["alpha", "beta"],
    ],
  ])("chooses tasks by %j", async (filter, tasks) => {
    const done = await generate("-p", "tasks", ...filter, "--dry-run", "--json");
    expect(JSON.parse(done.stdout).tasks.map(({ task }: { task: string }) => task)).toEqual(tasks);
  });

  it("names what there is when the filters leave no task", async () => {
    const done = await generate("-p", "tasks", "-t", "delta", "--json");
    expect([done.code, errorOf(done)]).toEqual([2, { code: "usage", message: expect.stringContaining("alpha, beta, gamma") }]);
  });

  it("gives the second task of a name the folder NAME-2, also when both run at the same time", async () => {
    await place.task("first/same");
    await place.task("second/same");
    const done = await generate("-p", "tasks/first", "tasks/second", "-n", "2", "--run-name", "twins", "--json");
    expect(reportOf(done).tasks.map(({ task, status }) => [task, status])).toEqual([
      ["same", "solved"],
      ["same-2", "solved"],
    ]);
    expect(existsSync(place.path("runs", "twins", "same-2", "same-2__attempt-1", "result.json"))).toBe(true);
  });

  it("skips a task that needs what is not supported, with the key and what to do, and runs the others", async () => {
    await place.task("mixed/steps", { "task.toml": 'version = "1.0"\n[environment]\ngpus = 1\n' });
    await place.task("mixed/works");
    const done = await generate("-p", "tasks/mixed", "--run-name", "mixed", "--json");
    expect(done.code, done.stderr).toBe(0);
    expect(reportOf(done).tasks).toMatchObject([
      {
        task: "steps",
        status: "skipped",
        attempts: 0,
        reward: null,
        error: { code: "task-unsupported", message: expect.stringMatching(/^environment\.gpus: .*Harbor/) },
      },
      { task: "works", status: "solved" },
    ]);
  });

  it("ends with 2 when the only task is one that is not supported, before anything starts", async () => {
    const before = endpoint.requests.length;
    const done = await generate("-p", "tasks/mixed/steps", "--run-name", "unsupported", "--json");
    expect(done.code).toBe(2);
    expect(done.stdout).toContain("environment.gpus");
    expect(endpoint.requests.length).toBe(before);
  });

  it("asks another endpoint and model for reflection and skill when --models says so", async () => {
    await using other = await startModelEndpoint({ reply: scriptedTeacher({ solve: () => sayReady }) });
    await writeFile(
      place.path("models.yaml"),
      `- {name: thinker, model: big/model, baseUrl: "${other.url}", apiKeyEnv: OTHER_KEY, price: {inputPerMillion: 1, outputPerMillion: 1}}\n- {name: doer, model: small, price: {inputPerMillion: 2, outputPerMillion: 2}}\n`,
    );
    const before = endpoint.requests.length;
    const done = await place.run(
      [
        "generate",
        "-p",
        "tasks/alpha",
        "--models",
        "models.yaml",
        "-m",
        "doer",
        "--summary-model",
        "thinker",
        "--sandbox",
        "virtual",
        "--run-name",
        "two-models",
        "--json",
      ],
      { OPENAI_BASE_URL: endpoint.url, OTHER_KEY: "sk-other-0123456789abcdef" },
    );
    expect(done.code, done.stdout + done.stderr).toBe(0);
    expect(new Set(endpoint.requests.slice(before).map(({ body }) => body.model))).toEqual(new Set(["small"]));
    expect(other.requests.map(({ body, headers }) => [body.model, headers.authorization])).toEqual([
      ["big/model", "Bearer sk-other-0123456789abcdef"],
      ["big/model", "Bearer sk-other-0123456789abcdef"],
    ]);
    expect(isDistillation(other.requests[1]!)).toBe(true);
    expect(reportOf(done).costUsd).toBeCloseTo((6 * 120 * 2 + 2 * 120) / 1e6, 10);
  });

  it("skips a task that another model has solved into the same --shared-result-dir", async () => {
    const first = await generate("-p", "tasks/alpha", "--run-name", "sharer", "--shared-result-dir", "shared", "--json");
    expect(reportOf(first).tasks[0]!.status).toBe("solved");
    const before = endpoint.requests.length;
    const second = await generate("-p", "tasks/alpha", "--run-name", "follower", "--shared-result-dir", "shared", "--json");
    expect([second.code, reportOf(second).tasks[0]!.status, endpoint.requests.length - before]).toEqual([0, "skipped", 0]);
  });
});
