import { execFileSync } from "node:child_process";
import { existsSync, renameSync, writeFileSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { linesOf } from "../../formats/trajectory/read-log.js";
import { type CommandPlace, errorOf, openPlace, reportOf } from "../support/command-line.js";
import { faults, isTeacher, type ModelEndpoint, startModelEndpoint } from "../support/model-endpoint.js";
import { isRetry, sayReady, scriptedTeacher } from "../support/scripted-teacher.js";

const broken = resolve(import.meta.dirname, "../fixtures/tasks/broken");
const noEngine = { DOCKER_HOST: "unix:///nonexistent/docker.sock" };
let place: CommandPlace;
let endpoint: ModelEndpoint;
let model: Record<string, string>;
beforeAll(async () => {
  place = await openPlace();
  endpoint = await startModelEndpoint({ reply: scriptedTeacher({ solve: () => sayReady }) });
  model = { OPENAI_BASE_URL: endpoint.url, SPARK_MODEL: "scripted" };
  await place.task("hello");
  await place.task("builds", { "environment/Dockerfile": "FROM python:3.12-slim\nWORKDIR /app\nRUN echo built > /built\n" });
});
afterAll(async () => {
  await endpoint.close();
  await place[Symbol.asyncDispose]();
});

describe("a path that is not there", () => {
  it.each([
    ["generate", ["generate", "-p", "nowhere", "-m", "scripted"]],
    ["generate --resume", ["generate", "--resume", "nowhere"]],
    ["generate --models", ["generate", "-p", "tasks/hello", "-m", "scripted", "--models", "nowhere.yaml"]],
    ["generate --budgets", ["generate", "-p", "tasks/hello", "-m", "scripted", "--budgets", "nowhere.yaml"]],
    ["generate --prices", ["generate", "-p", "tasks/hello", "-m", "scripted", "--prices", "nowhere.yaml"]],
    ["trial", ["trial", "-p", "nowhere", "-a", "nop"]],
    ["trial --skill", ["trial", "-p", "tasks/hello", "-a", "nop", "--sandbox", "virtual", "--skill", "nowhere"]],
    ["check", ["check", "nowhere"]],
    ["pdi", ["pdi", "nowhere"]],
    ["replay", ["replay", "nowhere"]],
    ["distill", ["distill", "nowhere/task"]],
  ])("of %s ends with 2 and names it, as a sentence and as JSON", async (_name, args) => {
    const [plain, json] = await Promise.all([place.run(args), place.run([...args, "--json"])]);
    expect([plain.code, plain.stdout], plain.stderr).toEqual([2, ""]);
    expect(plain.stderr).toMatch(/^error: .*nowhere/m);
    expect(plain.stderr).not.toMatch(/\n\s+at /);
    expect(json.code).toBe(2);
    expect(errorOf(json).message).toContain("nowhere");
  });

  it("of runs and clean is an empty list and nothing to do", async () => {
    const [runs, clean] = await Promise.all([
      place.run(["runs", "-o", "nowhere", "--json"]),
      place.run(["clean", "-o", "nowhere", "--run", "nothing", "--json"], noEngine),
    ]);
    expect([runs.code, JSON.parse(runs.stdout)]).toEqual([0, { runs: [] }]);
    expect([clean.code, JSON.parse(clean.stdout)], clean.stderr).toEqual([0, { removed: 0, runs: [] }]);
  });
});

describe("a wrong command line", () => {
  it.each([
    [["generate"], "usage", /-p/],
    [["generate", "-p", "tasks/hello", "-k", "0"], "usage", /at least 1/],
    [["generate", "-p", "tasks/hello", "-k", "two"], "usage", /whole number/],
    [["generate", "-p", "tasks/hello", "--frobnicate"], "usage", /--frobnicate/],
    [["generate", "-p", "tasks/hello", "--lease", "soon"], "usage", /10m/],
    [["generate", "-p", "tasks/hello", "--pdi", "maybe"], "usage", /off, observe, on/],
    [["generate", "-p", "tasks/hello", "-m", "scripted", "--run-name", "a--b"], "usage", /--run-name a--b/],
    [["generate", "-p", "tasks/hello", "-m", "scripted", "--sandbox", "moon"], "usage", /docker/],
    [["generate", "-p", "tasks/hello"], "model-missing", /-m MODEL or set SPARK_MODEL/],
    [["trial", "-p", "tasks/hello"], "model-missing", /-m MODEL or set SPARK_MODEL/],
    [["trial"], "usage", /--path/],
    [["check"], "usage", /skill-dir/],
    [["frobnicate"], "usage", /frobnicate/],
    [
      ["generate", "-p", "tasks/hello", "-m", "no-such-model", "--max-cost-usd", "1"],
      "price-unknown",
      /no-such-model.*--prices.*--max-tokens/,
    ],
  ])("%j ends with 2 and says why", async (args, code, why) => {
    const done = await place.run([...args, "--json", ...(args.length > 1 && args[0] !== "check" ? ["-o", "unused"] : [])]);
    expect([done.code, errorOf(done).code], done.stderr).toEqual([2, code]);
    expect(errorOf(done).message).toMatch(why);
    expect(existsSync(place.path("unused"))).toBe(false);
  });

  it("says in a models, prices or budgets file which key is wrong", async () => {
    await writeFile(place.path("models.yaml"), "- {name: a, model: b, prise: 3}\n");
    await writeFile(place.path("prices.yaml"), "scripted: {inputPerMillion: cheap, outputPerMillion: 1}\n");
    await writeFile(place.path("budgets.yaml"), "memoCharacter: 3\n");
    for (const [flag, file, wrong] of [
      ["--models", "models.yaml", "prise"],
      ["--prices", "prices.yaml", "scripted.inputPerMillion"],
      ["--budgets", "budgets.yaml", "memoCharacter"],
    ] as const) {
      const done = await place.run(["generate", "-p", "tasks/hello", "-m", "scripted", flag, file, "--json"]);
      expect([done.code, errorOf(done).code]).toEqual([2, "file-invalid"]);
      expect(errorOf(done).message).toMatch(new RegExp(`${file}.*${wrong}`));
    }
  });
});

describe("a task that cannot be run", () => {
  it("with a broken task.toml ends with 2 and the line and column of the mistake", async () => {
    for (const args of [
      ["generate", "-p", `${broken}/bad-toml`, "-m", "scripted", "--json"],
      ["trial", "-p", `${broken}/bad-toml`, "-a", "nop", "--json"],
    ]) {
      const done = await place.run(args);
      expect([done.code, errorOf(done).code]).toEqual([2, "task-invalid"]);
      expect(errorOf(done).message).toMatch(/task\.toml:3:7: .*bad-toml/);
    }
  });

  it("beside good ones is named and left out, and the good ones run", async () => {
    await place.task("some/good");
    await place.task("some/bad", { "task.toml": "version = \n" });
    const done = await place.run(["generate", "-p", "tasks/some", "--sandbox", "virtual", "--run-name", "some", "--json"], model);
    expect(done.code, done.stderr).toBe(0);
    expect(reportOf(done).tasks).toMatchObject([{ task: "good", status: "solved" }]);
    expect(done.stderr).toMatch(/^run: .*\nleft out: task\.toml:1:\d+: .*tasks\/some\/bad/);
  });

  it("without Docker ends with 4 and names the line that needs it, while another task runs on the embedded sandbox", async () => {
    const env = { ...model, ...noEngine };
    const alone = await place.run(["generate", "-p", "tasks/builds", "--run-name", "alone", "--json"], env);
    expect([alone.code, reportOf(alone).tasks[0]!.status], alone.stderr).toEqual([4, "unscored"]);
    expect(reportOf(alone).tasks[0]!.error).toMatchObject({
      code: "docker-unavailable",
      message: expect.stringMatching(/RUN echo built.*Dockerfile:3/),
    });
    const both = await place.run(["generate", "-p", "tasks/builds", "tasks/hello", "--run-name", "both", "--json"], env);
    expect(both.code, both.stderr).toBe(0);
    expect(reportOf(both).tasks.map(({ task, status }) => [task, status])).toEqual([
      ["builds", "unscored"],
      ["hello", "solved"],
    ]);
    const trial = await place.run(["trial", "-p", "tasks/builds", "-a", "nop", "--json"], env);
    expect([trial.code, JSON.parse(trial.stdout).error.code]).toEqual([4, "docker-unavailable"]);
  });
});

describe("a provider that does not answer as it should", () => {
  it("without key and base URL ends with 3 before anything starts", async () => {
    const before = endpoint.requests.length;
    const done = await place.run([
      "generate",
      "-p",
      "tasks/hello",
      "-m",
      "scripted",
      "--sandbox",
      "virtual",
      "--run-name",
      "keyless",
      "--json",
    ]);
    expect([done.code, errorOf(done).code]).toEqual([3, "provider-credentials"]);
    expect(errorOf(done).message).toMatch(/OPENAI_API_KEY.*OPENAI_BASE_URL/);
    expect([endpoint.requests.length - before, existsSync(place.path("runs", "keyless"))]).toEqual([0, false]);
  });

  it("with a base URL needs no key", async () => {
    const done = await place.run(["trial", "-p", "tasks/hello", "-m", "scripted", "--sandbox", "virtual", "--json"], model);
    expect([done.code, JSON.parse(done.stdout).status], done.stderr).toEqual([0, "failed"]);
  });

  it("with a wrong key ends unscored with 3 and is not retried", async () => {
    await using refusing = await startModelEndpoint({ reply: () => faults.badKey() });
    const done = await place.run(
      ["generate", "-p", "tasks/hello", "-m", "scripted", "--sandbox", "virtual", "--run-name", "refused", "--json"],
      { OPENAI_BASE_URL: refusing.url, OPENAI_API_KEY: "sk-wrong" },
    );
    expect([done.code, reportOf(done).tasks[0]!.error?.code], done.stderr).toEqual([3, "provider-credentials"]);
    expect(reportOf(done).tasks[0]).toMatchObject({ status: "unscored", attempts: 0, reward: null });
    expect(refusing.requests).toHaveLength(1);
  });

  it("with an endpoint that is down ends unscored with 3 after two retries, and no attempt is counted", async () => {
    const nobody = await startModelEndpoint({ reply: () => ({ text: "" }) });
    await nobody.close();
    // Patience of our own between tries is enough to wait for here.
    await writeFile(place.path("down.yaml"), `- {name: down, model: down, baseUrl: "${nobody.url}", options: {maxRetries: 0}}\n`);
    const done = await place.run([
      "generate",
      "-p",
      "tasks/hello",
      "--models",
      "down.yaml",
      "-m",
      "down",
      "--sandbox",
      "virtual",
      "--run-name",
      "down",
      "--json",
    ]);
    expect([done.code, reportOf(done).tasks[0]!.status, reportOf(done).tasks[0]!.error?.code], done.stderr).toEqual([
      3,
      "unscored",
      "provider-unavailable",
    ]);
    const { lines } = await place.log("down", "hello");
    expect(linesOf(lines, "infra_failure").map(({ attempt, retry }) => [attempt, retry])).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
    ]);
  });
});

describe("a cap", () => {
  it("on tokens stops with 6, and the run goes on to its end with a higher one", async () => {
    const done = await place.run(
      ["generate", "-p", "tasks/hello", "--sandbox", "virtual", "--run-name", "capped", "--max-tokens", "300", "--json"],
      model,
    );
    expect(done.code, done.stdout + done.stderr).toBe(6);
    expect(reportOf(done)).toMatchObject({
      stoppedBy: "tokens",
      tasks: [{ error: { code: "budget-reached", message: expect.stringContaining("--max-tokens") } }],
    });
    expect(done.stderr).toContain(`--resume ${place.path("runs", "capped")}`);
    const same = await place.run(["generate", "--resume", "capped", "--json"], model);
    expect([same.code, reportOf(same).stoppedBy]).toEqual([6, "tokens"]);
    const more = await place.run(["generate", "--resume", "capped", "--max-tokens", "1000000", "--json"], model);
    expect(more.code, more.stdout + more.stderr).toBe(0);
    expect(reportOf(more)).toMatchObject({ stoppedBy: null, tasks: [{ status: "solved", attempts: 2, reward: 1, error: null }] });
  });

  it("on a task's tokens in --budgets stops with 6 and stoppedBy tokens, and --resume with higher --budgets goes on", async () => {
    await writeFile(place.path("small.yaml"), "maxTaskTokens: 300\n");
    await writeFile(place.path("large.yaml"), "maxTaskTokens: 300000\n");
    const done = await place.run(
      ["generate", "-p", "tasks/hello", "--sandbox", "virtual", "--run-name", "task-capped", "--budgets", "small.yaml", "--json"],
      model,
    );
    expect([done.code, reportOf(done).stoppedBy], done.stderr).toEqual([6, "tokens"]);
    const more = await place.run(["generate", "--resume", "task-capped", "--budgets", "large.yaml", "--json"], model);
    expect([more.code, reportOf(more).tasks[0]!.status], more.stdout + more.stderr).toEqual([0, "solved"]);
  });

  it("in dollars stops with 6 when the prices are given", async () => {
    await writeFile(place.path("dear.yaml"), "scripted: {inputPerMillion: 1000, outputPerMillion: 1000}\n");
    const done = await place.run(
      [
        "generate",
        "-p",
        "tasks/hello",
        "--sandbox",
        "virtual",
        "--run-name",
        "dear",
        "--prices",
        "dear.yaml",
        "--max-cost-usd",
        "0.3",
        "--json",
      ],
      model,
    );
    expect([done.code, reportOf(done).stoppedBy], done.stderr).toEqual([6, "cost"]);
    expect(reportOf(done).costUsd).toBeCloseTo(0.36, 6);
  });
});

/** A small file system of its own; null, said aloud, where this user may not mount one. */
function smallDisk(path: string, size: string): { grow(to: string): void; remove(): void } | null {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", path], { stdio: "pipe" });
  } catch (error) {
    if (process.env.REQUIRE_DOCKER === "1" && process.getuid?.() === 0) throw error;
    console.warn(`skipped: a full disk cannot be made here (${String(error).split("\n")[0]})`);
    return null;
  }
  return {
    grow: (to) => void execFileSync("mount", ["-o", `remount,size=${to}`, path]),
    remove: () => void execFileSync("umount", [path]),
  };
}

describe("a disk that cannot be written", () => {
  it("ends with 4 and says where and what to do", async () => {
    await writeFile(place.path("file"), "");
    for (const args of [
      ["generate", "-p", "tasks/hello"],
      ["trial", "-p", "tasks/hello", "-a", "nop"],
    ]) {
      const done = await place.run([...args, "--sandbox", "virtual", "-o", "file/runs", "--json"], model);
      expect([done.code, errorOf(done).code], done.stdout + done.stderr).toEqual([4, "disk"]);
      expect(errorOf(done).message).toMatch(/file\/runs.*-o/);
    }
  });

  it("in the middle stops the run with 4 although an attempt was scored, and --resume goes on there", async () => {
    const blobs = place.path("runs", "broken-off", "hello", "blobs");
    const reply = scriptedTeacher({ solve: () => sayReady });
    await using spoiling = await startModelEndpoint({
      reply: (request, index) => {
        if (isTeacher(request) && isRetry(request) && !existsSync(`${blobs}-away`)) {
          renameSync(blobs, `${blobs}-away`);
          writeFileSync(blobs, "a file where a folder has to be");
        }
        return reply(request, index);
      },
    });
    const env = { ...model, OPENAI_BASE_URL: spoiling.url };
    const done = await place.run(["generate", "-p", "tasks/hello", "--sandbox", "virtual", "--run-name", "broken-off", "--json"], env);
    expect([done.code, reportOf(done).stoppedBy], done.stdout + done.stderr).toEqual([4, null]);
    expect(reportOf(done).tasks).toMatchObject([{ status: "unsolved", attempts: 1, error: { code: "disk" } }]);
    await rm(blobs);
    renameSync(`${blobs}-away`, blobs);
    await mkdir(`${blobs}-away`);
    const more = await place.run(["generate", "--resume", "broken-off", "--json"], env);
    expect(more.code, more.stdout + more.stderr).toBe(0);
    expect(reportOf(more).tasks).toMatchObject([{ status: "solved", attempts: 2, error: null }]);
  });

  it("when it fills up stops the run with 4, leaves the log whole, and lets the run go on when there is room", async (test) => {
    const mounted = place.path("small");
    await mkdir(mounted);
    const disk = smallDisk(mounted, "3m");
    if (disk === null) return test.skip();
    try {
      // Noise that no page can share: five outputs of 600 kB.
      const noisy = Array.from({ length: 5 }, (_, index) => `seq ${index}00000 ${index}85000; echo ${index}`);
      await using chatty = await startModelEndpoint({ reply: scriptedTeacher({ solve: () => sayReady, first: noisy }) });
      const env = { ...model, OPENAI_BASE_URL: chatty.url };
      const full = await place.run(
        ["generate", "-p", "tasks/hello", "--sandbox", "virtual", "-o", "small", "--run-name", "full", "--json"],
        env,
      );
      expect(full.code, full.stdout + full.stderr).toBe(4);
      expect(full.stdout).toMatch(/"code":"disk".*(no space left|full)/i);
      expect(full.stdout).toMatch(/free space/);
      const text = await readFile(place.path("small", "full", "hello", "trajectory.jsonl"), "utf8");
      expect(text).toMatch(/^\{"type":"attempt_start"/);
      expect(chatty.requests.some(isRetry)).toBe(false);
      disk.grow("60m");
      const done = await place.run(["generate", "--resume", "small/full", "--json"], env);
      expect(done.code, done.stdout + done.stderr).toBe(0);
      expect(reportOf(done).tasks).toMatchObject([{ status: "solved", attempts: 2, error: null }]);
      expect(chatty.requests.filter(isTeacher).length).toBeGreaterThan(8);
    } finally {
      disk.remove();
    }
  });
});

describe("an SQLite saver whose binary is missing", () => {
  const withoutBinary = async (): Promise<Record<string, string>> => {
    await writeFile(place.path("no-addons.mjs"), 'process.dlopen = () => { throw new Error("Could not locate the bindings file"); };\n');
    return { ...model, NODE_OPTIONS: `--import ${place.path("no-addons.mjs")}` };
  };
  it("ends generate with 4, naming the command that mends it, and is named by doctor", async () => {
    const env = await withoutBinary();
    const done = await place.run(["generate", "-p", "tasks/hello", "--sandbox", "virtual", "--run-name", "no-sqlite", "--json"], env);
    expect([done.code, errorOf(done).code], done.stderr).toEqual([4, "checkpointer-missing"]);
    expect(errorOf(done).message).toMatch(/`npm rebuild better-sqlite3`.*--checkpoint/);
    const doctor = await place.run(["doctor", "--json"], { ...env, ...noEngine });
    expect(JSON.parse(doctor.stdout).checks.find(({ name }: { name: string }) => name === "sqlite")).toMatchObject({
      ok: false,
      fix: expect.stringContaining("npm rebuild better-sqlite3"),
    });
  });

  it("leaves the name of the run free: the same command works when the binary is there", async () => {
    const done = await place.run(["generate", "-p", "tasks/hello", "--sandbox", "virtual", "--run-name", "no-sqlite", "--json"], model);
    expect(done.code, done.stdout + done.stderr).toBe(0);
  });
});

it("a log that is not JSON makes pdi name the file and the line", async () => {
  await mkdir(place.path("odd"), { recursive: true });
  await writeFile(
    place.path("odd", "trajectory.jsonl"),
    '{"type":"attempt_start","attempt":0}\nnot json\n{"type":"attempt_start","attempt":1}\n',
  );
  const done = await place.run(["pdi", "odd/trajectory.jsonl", "--json"]);
  expect([done.code, errorOf(done).message]).toEqual([2, expect.stringContaining("trajectory.jsonl:2")]);
});
