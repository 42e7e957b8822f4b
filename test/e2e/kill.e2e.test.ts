import { existsSync, statSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { linesOf } from "../../formats/trajectory/read-log.js";
import { LOG_FILE } from "../../formats/trajectory/run-log.js";
import { noDocker, provider, testRun } from "../integration/docker-engine.js";
import {
  type CommandPlace,
  type CommandProcess,
  doubled,
  type Ended,
  errorOf,
  openPlace,
  reportOf,
  storyOf,
} from "../support/command-line.js";
import { isTeacher, type ModelEndpoint, startModelEndpoint, stepOf } from "../support/model-endpoint.js";
import { isRetry, sayReady, scriptedTeacher } from "../support/scripted-teacher.js";

/** Numbers from 0 to 1 that are the same for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const KILLS = 6;
const SHARED_KILLS = 4;
const seed = Number(process.env.SPARK_SKILLS_KILL_SEED ?? 20_260_731);
/** Every command that ran leaves a line, so a repeated one shows. */
const counted = (commands: readonly string[]) => commands.map((command) => `echo "${command.split(" ")[0]}" >> /tmp/ran; ${command}`);
const sayReadyCounted = [...counted(sayReady), "cat /tmp/ran"];

describe.skipIf(noDocker)("a run that is killed", () => {
  const runs: string[] = [];
  const newRun = (): string => {
    runs.push(testRun("kill"));
    return runs.at(-1)!;
  };
  let place: CommandPlace;
  let endpoint: ModelEndpoint;
  let calm: { run: string; done: Ended; requests: number };

  const begin = (run: string, task = "tasks/hello", verifier = "auto"): CommandProcess => {
    const flags = ["--sandbox", "docker", "--verifier", verifier, "--lease", "5m", "--run-name", run, "--json"];
    return place.start(["generate", "-p", task, "-m", "scripted", ...flags], { OPENAI_BASE_URL: endpoint.url });
  };
  const resume = (run: string): CommandProcess => place.start(["generate", "--resume", run, "--json"], { OPENAI_BASE_URL: endpoint.url });
  const kill = async (process: CommandProcess): Promise<Ended> => {
    process.child.kill("SIGKILL");
    return process.ended;
  };
  const logSize = (run: string): number => {
    const path = place.path("runs", run, "hello", LOG_FILE);
    return existsSync(path) ? statSync(path).size : 0;
  };
  /** Waits until a process that works on the run has written so many times, or has ended. */
  const grown = async (run: string, process: CommandProcess, times: number): Promise<void> => {
    let over = false;
    void process.ended.then(() => (over = true));
    for (let size = logSize(run), seen = 0; seen < times && !over; ) {
      await sleep(15);
      if (logSize(run) !== size) seen += 1;
      size = logSize(run);
    }
  };
  /** Waits until the log has a line that holds all of these texts. */
  const logged = async (run: string, process: CommandProcess, ...texts: string[]): Promise<void> => {
    for (;;) {
      const text = await readFile(place.path("runs", run, "hello", LOG_FILE), "utf8").catch(() => "");
      if (text.split("\n").some((line) => texts.every((part) => line.includes(part)))) return;
      await sleep(15);
      if (process.child.exitCode !== null) throw new Error(`ended before the log said ${texts}: ${process.stderr()}`);
    }
  };
  const leftovers = async (run: string) => (await provider.list()).filter((thing) => thing.run === run);
  const skillOf = async (done: Ended): Promise<string> => readFile(join(reportOf(done).tasks[0]!.skill!, "SKILL.md"), "utf8");
  /** What has to be as in the undisturbed run, whatever happened. */
  const outcomeOf = async (run: string, done: Ended) => ({
    code: done.code,
    tasks: reportOf(done).tasks.map(({ task, status, attempts, reward, gate, error }) => ({ task, status, attempts, reward, gate, error })),
    skill: await skillOf(done),
    story: storyOf(await place.log(run, "hello")),
    doubled: doubled(await place.log(run, "hello")),
    leftovers: await leftovers(run),
  });

  beforeAll(async () => {
    place = await openPlace();
    endpoint = await startModelEndpoint({
      reply: scriptedTeacher({ solve: () => sayReadyCounted, first: [...counted(["ls", "true"]), "cat /tmp/ran"], delayMs: 150 }),
    });
    await place.task("hello");
    const run = newRun();
    const done = await begin(run).ended;
    expect(done.code, done.stdout + done.stderr).toBe(0);
    calm = { run, done, requests: endpoint.requests.length };
  });
  afterAll(async () => {
    for (const run of runs) await provider.removeRun(run);
    await endpoint.close();
    await place[Symbol.asyncDispose]();
  });

  it.each([
    ["fresh", KILLS, seed],
    ["shared", SHARED_KILLS, seed + 1],
  ] as const)(
    "at random moments (verifier %s, %i kills, seed %i) has the outcome of an undisturbed one: statuses, rewards, attempts, skill and log",
    async (mode, most, start) => {
      const next = random(start);
      const run = newRun();
      const before = endpoint.requests.length;
      let process = begin(run, "tasks/hello", mode);
      let kills = 0;
      for (; kills < most; kills += 1) {
        await process.said(/^run: /);
        await grown(run, process, Math.floor(next() * 4));
        await sleep(next() * 800);
        if (process.child.exitCode !== null) break;
        await kill(process);
        process = resume(run);
      }
      const done = await process.ended;
      expect(done.code, done.stdout + done.stderr).toBe(0);
      expect(kills).toBeGreaterThan(0);
      expect(await outcomeOf(run, done)).toEqual(await outcomeOf(calm.run, calm.done));
      // At most the call that was running is made again.
      expect(endpoint.requests.length - before).toBeLessThanOrEqual(calm.requests + kills);
      const commands = linesOf((await place.log(run, "hello")).lines, "command").filter(({ command }) => command === "cat /tmp/ran");
      for (const { output_ref } of commands) {
        const ran = (await readFile(place.path("runs", run, "hello", output_ref!.path), "utf8")).trim().split("\n");
        expect(ran.length).toBeLessThanOrEqual(2 + kills);
      }
    },
  );

  it("while the oracle or the verifier runs is judged once more, and nothing else is repeated", async () => {
    const run = newRun();
    await place.task("slow/hello", {
      "tests/test.sh": `#!/bin/bash\nsleep 2\nmkdir -p /logs/verifier\ngrep -qx ready /app/answer.txt && echo 1 > /logs/verifier/reward.txt || echo 0 > /logs/verifier/reward.txt\n`,
    });
    const before = endpoint.requests.length;
    let process = begin(run, "tasks/slow/hello");
    const judging = async (isPreflight: boolean) => {
      while (!(await leftovers(run)).some(({ name }) => name.endsWith("-verifier") && name.includes("preflight") === isPreflight))
        await sleep(30);
    };
    await judging(true);
    await kill(process);
    process = resume(run);
    for (const attempt of [0, 1]) {
      await logged(run, process, '"attempt_start"', `"attempt":${attempt}`);
      await judging(false);
      await kill(process);
      process = resume(run);
    }
    const done = await process.ended;
    expect(done.code, done.stdout + done.stderr).toBe(0);
    const { lines } = await place.log(run, "hello");
    expect(linesOf(lines, "execution_result").map(({ attempt, status }) => [attempt, status])).toEqual([
      [0, "FAIL"],
      [1, "PASS"],
    ]);
    expect(endpoint.requests.length - before).toBe(calm.requests);
    expect(await leftovers(run)).toEqual([]);
  });

  it("and whose container is gone begins the attempt anew with a fresh conversation, says so, and counts nothing, however often", async () => {
    const run = newRun();
    let process = begin(run);
    const losses = 3;
    for (let loss = 0; loss < losses; loss += 1) {
      await logged(run, process, '"type":"command"', `"retry":${loss}`);
      await kill(process);
      expect(await provider.removeRun(run)).toBeGreaterThan(0);
      const before = endpoint.requests.length;
      process = resume(run);
      await logged(run, process, '"infra_failure"', `"retry":${loss}`);
      while (endpoint.requests.length === before) await sleep(15);
      expect(stepOf(endpoint.requests[before]!)).toBe(0);
    }
    const done = await process.ended;
    expect(done.code, done.stdout + done.stderr).toBe(0);
    expect(done.stderr).toMatch(/not scored, container .* is gone .*starts anew with a fresh conversation/);
    const { lines } = await place.log(run, "hello");
    expect(linesOf(lines, "infra_failure").map(({ attempt, retry, error }) => [attempt, retry, error.code])).toEqual([
      [0, 0, "sandbox-lost"],
      [0, 1, "sandbox-lost"],
      [0, 2, "sandbox-lost"],
    ]);
    expect(existsSync(place.path("runs", run, "hello", "hello__attempt-0__retry-0", "result.json"))).toBe(true);
    expect(reportOf(done).tasks).toMatchObject([{ status: "solved", attempts: 2, reward: 1, error: null }]);
    expect(await leftovers(run)).toEqual([]);
  });

  it("just before its report was written says on resume what it would have said, and asks nobody", async () => {
    const run = runs[1]!;
    const report = place.path("runs", run, "report.json");
    const log = place.path("runs", run, "hello", LOG_FILE);
    const before = {
      text: await readFile(report, "utf8"),
      story: storyOf(await place.log(run, "hello")),
      requests: endpoint.requests.length,
    };
    await rm(report);
    // The last two events, half of one of them written: as if the process had died at the very end.
    const lines = (await readFile(log, "utf8")).trimEnd().split("\n");
    await writeFile(log, `${lines.slice(0, -2).join("\n")}\n${lines.at(-2)!.slice(0, 40)}`);
    const done = await resume(run).ended;
    expect(done.code, done.stderr).toBe(0);
    expect(JSON.parse(done.stdout)).toEqual(JSON.parse(before.text));
    expect(storyOf(await place.log(run, "hello"))).toEqual(before.story);
    expect(endpoint.requests.length).toBe(before.requests);
  });

  it("while a finished one is resumed stays finished", async () => {
    const first = resume(calm.run);
    await sleep(300);
    await kill(first);
    const again = await resume(calm.run).ended;
    expect([again.code, again.stdout]).toEqual([0, calm.done.stdout]);
  });

  it("is not touched by a second process while the first one works on it", async () => {
    const run = newRun();
    const first = begin(run);
    await logged(run, first, '"attempt_start"');
    const second = await resume(run).ended;
    expect([second.code, errorOf(second)]).toEqual([2, { code: "run-locked", message: expect.stringContaining(`pid ${first.child.pid}`) }]);
    const done = await first.ended;
    expect(await outcomeOf(run, done)).toEqual(await outcomeOf(calm.run, calm.done));
  });
});

it("the teacher of these tests fails first and is asked anew after that", () => {
  const asked = (text: string, tools: unknown[]) => ({
    body: { model: "m", messages: [{ role: "user" as const, content: text }], tools },
    headers: {},
    index: 0,
  });
  expect([isTeacher(asked("x", [{}])), isTeacher(asked("x", [])), isRetry(asked("## What earlier attempts found", []))]).toEqual([
    true,
    false,
    true,
  ]);
});
