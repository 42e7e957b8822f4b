import { existsSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { linesOf } from "../../formats/trajectory/read-log.js";
import { noDocker, provider, testRun } from "../integration/docker-engine.js";
import { type CommandPlace, errorOf, openPlace, reportOf } from "../support/command-line.js";
import { faults, isTeacher, type ModelEndpoint, type RecordedRequest, startModelEndpoint, stepOf } from "../support/model-endpoint.js";
import { isRetry, sayReady, scriptedTeacher } from "../support/scripted-teacher.js";

let place: CommandPlace;
let endpoint: ModelEndpoint;
/** Requests that are never answered. */
let hangs: (request: RecordedRequest) => boolean = () => false;
const delayMs = 200;
beforeAll(async () => {
  place = await openPlace();
  const reply = scriptedTeacher({ solve: () => sayReady, delayMs });
  endpoint = await startModelEndpoint({ reply: (request, index) => (hangs(request) ? faults.hang() : reply(request, index)) });
  await place.task("hello");
});
afterAll(async () => {
  await endpoint.close();
  await place[Symbol.asyncDispose]();
});

const begin = (run: string, sandbox: string, ...more: string[]) =>
  place.start(["generate", "-p", "tasks/hello", "-m", "scripted", "--sandbox", sandbox, "--run-name", run, "--json", ...more], {
    OPENAI_BASE_URL: endpoint.url,
  });
const resume = (run: string) => place.run(["generate", "--resume", run, "--json"], { OPENAI_BASE_URL: endpoint.url });
/** Waits for a request that arrives from now on. */
const asked = async (isIt: (request: RecordedRequest) => boolean): Promise<void> => {
  for (const from = endpoint.requests.length; !endpoint.requests.slice(from).some(isIt); ) await sleep(15);
};
const solved = { status: "solved", attempts: 2, reward: 1, error: null };

describe.skipIf(noDocker)("Ctrl-C on Docker", () => {
  const runs: string[] = [];
  const newRun = (): string => {
    runs.push(testRun("signals"));
    return runs.at(-1)!;
  };
  const containers = async (run: string) => (await provider.list()).filter((thing) => thing.run === run);
  afterAll(async () => {
    for (const run of runs) await provider.removeRun(run);
  });

  it("once stops at the next step with exit 130, keeps the container, says how to go on, and the run goes on there", async () => {
    const run = newRun();
    const process = begin(run, "docker", "--lease", "4m");
    await asked((request) => isTeacher(request) && stepOf(request) === 1);
    process.child.kill("SIGINT");
    const stopped = await process.ended;
    expect([stopped.code, stopped.signal], stopped.stderr).toEqual([130, null]);
    expect(stopped.stderr).toContain(`resume with: spark-skills generate --resume ${place.path("runs", run)} `);
    expect(stopped.stderr).toMatch(/container is kept for 240 s/);
    expect(reportOf(stopped)).toMatchObject({ stoppedBy: "signal", tasks: [{ status: "unscored", attempts: 0, error: null }] });
    expect((await containers(run)).map(({ kind }) => kind)).toEqual(["container"]);
    const { lines } = await place.log(run, "hello");
    expect(lines.at(-1)).toMatchObject({ type: "run_stop", reason: "signal" });

    const before = endpoint.requests.length;
    const done = await resume(run);
    expect(done.code, done.stdout + done.stderr).toBe(0);
    expect(reportOf(done)).toMatchObject({ stoppedBy: null, tasks: [solved] });
    // The conversation goes on where it was.
    expect(stepOf(endpoint.requests[before]!)).toBeGreaterThan(0);
    expect(linesOf((await place.log(run, "hello")).lines, "infra_failure")).toEqual([]);
    expect(await containers(run)).toEqual([]);
  });

  it("once aborts a model call that hangs after 5 s; the run goes on with that call", async () => {
    const run = newRun();
    hangs = (request) => isRetry(request) && isTeacher(request) && stepOf(request) === 1;
    const process = begin(run, "docker");
    await asked(hangs);
    process.child.kill("SIGINT");
    const stopped = await process.ended;
    hangs = () => false;
    expect([stopped.code, reportOf(stopped).stoppedBy]).toEqual([130, "signal"]);
    expect(stopped.stderr).toMatch(/stopping \(SIGINT\): .*press Ctrl-C again to stop at once/);
    const done = await resume(run);
    expect(reportOf(done)).toMatchObject({ stoppedBy: null, tasks: [solved] });
    expect(linesOf((await place.log(run, "hello")).lines, "command").map(({ attempt, index }) => [attempt, index])).toEqual([
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ]);
    expect(await containers(run)).toEqual([]);
  });

  it("twice ends at once with exit 130 and leaves nothing of the run in the engine", async () => {
    const run = newRun();
    hangs = isTeacher;
    const process = begin(run, "docker");
    await asked(hangs);
    expect(await containers(run)).toHaveLength(1);
    process.child.kill("SIGINT");
    await process.said(/stopping \(SIGINT\)/);
    process.child.kill("SIGINT");
    const stopped = await process.ended;
    hangs = () => false;
    expect([stopped.code, stopped.signal], stopped.stderr).toEqual([130, null]);
    expect(await containers(run)).toEqual([]);
    const done = await resume(run);
    expect(reportOf(done).tasks).toMatchObject([solved]);
  });
});

describe("other ways to stop", () => {
  it("SIGTERM ends with 143, and the run can go on", async () => {
    const process = begin("terminated", "virtual");
    await asked((request) => isTeacher(request) && isRetry(request));
    process.child.kill("SIGTERM");
    const stopped = await process.ended;
    expect([stopped.code, reportOf(stopped).stoppedBy, reportOf(stopped).tasks[0]!.attempts], stopped.stderr).toEqual([143, "signal", 1]);
    const done = await resume("terminated");
    expect(done.code, done.stderr).toBe(0);
    expect(reportOf(done)).toMatchObject({ stoppedBy: null, tasks: [solved] });
  });

  it("a file `cancel` in the run's folder ends with 130 and stoppedBy cancel; a resume takes the marker away", async () => {
    const process = begin("cancelled", "virtual");
    await asked(isTeacher);
    await writeFile(place.path("runs", "cancelled", "cancel"), "");
    const stopped = await process.ended;
    expect([stopped.code, reportOf(stopped).stoppedBy], stopped.stderr).toEqual([130, "cancel"]);
    expect((await place.log("cancelled", "hello")).lines.at(-1)).toMatchObject({ type: "run_stop", reason: "cancel" });
    expect(JSON.parse(await readFile(place.path("runs", "cancelled", "report.json"), "utf8")).stoppedBy).toBe("cancel");
    const done = await resume("cancelled");
    expect(reportOf(done)).toMatchObject({ stoppedBy: null, tasks: [solved] });
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s ends a trial with %i, says so as JSON and leaves no lock", async (name, code) => {
    hangs = isTeacher;
    const process = place.start(
      ["trial", "-p", "tasks/hello", "-m", "scripted", "--sandbox", "virtual", "-o", `trials-${code}`, "--json"],
      { OPENAI_BASE_URL: endpoint.url },
    );
    await asked(hangs);
    const [run] = await readdir(place.path(`trials-${code}`));
    expect(existsSync(place.path(`trials-${code}`, run!, "lock"))).toBe(true);
    process.child.kill(name);
    const stopped = await process.ended;
    hangs = () => false;
    expect([stopped.code, stopped.signal, errorOf(stopped)], stopped.stderr).toEqual([
      code,
      null,
      { code: "cancelled", message: expect.stringContaining(name) },
    ]);
    expect(existsSync(place.path(`trials-${code}`, run!, "lock"))).toBe(false);
  });

  it("Ctrl-C twice ends at once also where no Docker engine answers", async () => {
    hangs = isTeacher;
    const process = place.start(["generate", "-p", "tasks/hello", "-m", "scripted", "--sandbox", "virtual", "--run-name", "impatient"], {
      OPENAI_BASE_URL: endpoint.url,
      DOCKER_HOST: "unix:///nonexistent.sock",
    });
    await asked(hangs);
    process.child.kill("SIGINT");
    await process.said(/stopping \(SIGINT\)/);
    process.child.kill("SIGINT");
    const stopped = await process.ended;
    hangs = () => false;
    expect([stopped.code, stopped.signal], stopped.stderr).toEqual([130, null]);
  });
});
