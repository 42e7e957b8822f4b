import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readJob, readTrial } from "../../../../formats/harbor/read-trial.js";
import { OWN_KEY, type TrialOutcome, toTrialResult, writeTrialConfig, writeTrialResult } from "../../../../formats/harbor/trial-result.js";

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "trial-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const write = async (path: string, value: unknown) => {
  await mkdir(dirname(join(dir, path)), { recursive: true });
  await writeFile(join(dir, path), typeof value === "string" ? value : JSON.stringify(value));
};

const outcome = (change: Partial<TrialOutcome> = {}): TrialOutcome => ({
  task: { dir: "/tasks/sum", name: "sum", digest: "ab".repeat(32) },
  trialDir: join(dir, "sum__attempt-0"),
  id: "00000000-0000-4000-8000-000000000000",
  agent: { name: "spark", version: "0.1.0", modelName: "maker/family/model" },
  backend: "docker",
  verifierMode: "fresh",
  timeoutMultiplier: 1,
  usage: { inputTokens: 10, cachedTokens: 3, outputTokens: 2, costUsd: null },
  rewards: { reward: 1 },
  exception: null,
  startedAt: "2026-01-01T00:00:00.000Z",
  finishedAt: "2026-01-01T00:00:09.500Z",
  environmentSetup: { startedAt: "2026-01-01T00:00:00.000Z", finishedAt: "2026-01-01T00:00:01.000Z" },
  agentSetup: null,
  agentExecution: null,
  verifier: null,
  own: { withheld: ["/usr/bin/python3"] },
  ...change,
});

describe("writeTrialResult", () => {
  it("writes four spaces, nulls and both files", async () => {
    await writeTrialResult(outcome());
    const text = await readFile(join(dir, "sum__attempt-0", "result.json"), "utf8");
    expect(text).toMatch(/^\{\n {4}"id": "00000000-/);
    for (const name of ["source", "exception_info", "agent_setup", "step_results"]) expect(text).toContain(`\n    "${name}": null`);
    expect(JSON.parse(await readFile(join(dir, "sum__attempt-0", "config.json"), "utf8"))).toEqual(
      (JSON.parse(text) as { config: unknown }).config,
    );
  });

  it("puts what Harbor has no word for under one key of ours", () => {
    const result = toTrialResult(outcome());
    expect(result[OWN_KEY]).toEqual({ backend: "docker", verifier: "fresh", withheld: ["/usr/bin/python3"] });
    expect(result.verifier_environment_mode).toBeNull();
    expect(toTrialResult(outcome({ verifierMode: "shared" })).verifier_environment_mode).toBe("shared");
  });

  it("splits a model's name as Harbor does", () => {
    expect(toTrialResult(outcome()).agent_info).toMatchObject({ model_info: { name: "family/model", provider: "maker" } });
    expect(toTrialResult(outcome({ agent: { name: "spark", version: "1", modelName: "model" } })).agent_info).toMatchObject({
      model_info: { name: "model", provider: null },
    });
    expect(toTrialResult(outcome({ agent: { name: "nop", version: "1.0.0", modelName: null } })).agent_info).toMatchObject({
      model_info: null,
    });
  });

  it("makes every date, id and digest of a trial readable again", async () => {
    await writeTrialResult(
      outcome({ rewards: null, exception: { type: "VerifierTimeoutError", message: "after 4 s", occurredAt: "2026-01-01T00:00:09.000Z" } }),
    );
    expect(await readTrial(join(dir, "sum__attempt-0"))).toEqual({
      dir: join(dir, "sum__attempt-0"),
      trialName: "sum__attempt-0",
      taskName: "sum",
      source: null,
      agent: { name: "spark", version: "0.1.0", modelName: "maker/family/model" },
      finished: true,
      rewards: null,
      reward: null,
      exception: { type: "VerifierTimeoutError", message: "after 4 s" },
      startedAt: "2026-01-01T00:00:00.000Z",
      finishedAt: "2026-01-01T00:00:09.500Z",
      durationMs: 9500,
      usage: { inputTokens: 10, cachedTokens: 3, outputTokens: 2, costUsd: null },
      own: { backend: "docker", verifier: "fresh", withheld: ["/usr/bin/python3"] },
    });
  });
});

describe("readTrial", () => {
  it("reads naive dates, missing and unknown fields of old versions", async () => {
    await write("t/result.json", {
      trial_name: "sum__abcdefg",
      trial_uri: "file:///C:/jobs/x",
      verifier_result: { rewards: { accuracy: 0.5, speed: 0.25 } },
      started_at: "2026-01-26T02:12:06.752028",
      finished_at: "2026-01-26T02:12:16.752028",
      future: {},
    });
    expect(await readTrial(join(dir, "t"))).toMatchObject({
      taskName: "sum",
      agent: { name: "unknown", modelName: null },
      reward: 0.25,
      durationMs: 10_000,
      usage: null,
      startedAt: "2026-01-26T02:12:06.752028",
    });
  });

  it("reads the NaN of Python as no reward and leaves texts alone", async () => {
    await write(
      "t/result.json",
      '{"trial_name": "a NaN: NaN, b", "verifier_result": {"rewards": {"reward": NaN, "other": -Infinity}}, "source": "Infinity"}',
    );
    expect(await readTrial(join(dir, "t"))).toMatchObject({ trialName: "a NaN: NaN, b", source: "Infinity", rewards: null, reward: null });
  });

  it("adds up the steps of a multi-step trial", async () => {
    const step = (cost: number | null) => ({
      step_name: "s",
      agent_result: { n_input_tokens: 5, n_cache_tokens: null, n_output_tokens: 1, cost_usd: cost },
    });
    await write("t/result.json", { trial_name: "x", agent_result: null, step_results: [step(0.5), step(0.25)] });
    expect((await readTrial(join(dir, "t"))).usage).toEqual({ inputTokens: 10, cachedTokens: 0, outputTokens: 2, costUsd: 0.75 });
    await write("t/result.json", { trial_name: "x", step_results: [step(0.5), step(null)] });
    expect((await readTrial(join(dir, "t"))).usage?.costUsd).toBeNull();
  });

  it("gives an unfinished trial what its config says", async () => {
    await writeTrialConfig(outcome());
    expect(await readTrial(join(dir, "sum__attempt-0"))).toMatchObject({
      finished: false,
      trialName: "sum__attempt-0",
      taskName: "sum",
      reward: null,
      agent: { name: "spark", modelName: "maker/family/model" },
    });
  });

  it("says what is wrong with a directory that is none", async () => {
    await expect(readTrial(join(dir, "nowhere"))).rejects.toMatchObject({ code: "file-missing" });
    await write("cut/result.json", '{"trial_name": "x", ');
    await expect(readTrial(join(dir, "cut"))).rejects.toMatchObject({
      code: "file-invalid",
      message: expect.stringContaining("cut/result.json is not JSON") as unknown,
    });
    await write("odd/result.json", { trial_name: 5 });
    await expect(readTrial(join(dir, "odd"))).rejects.toMatchObject({
      code: "file-invalid",
      message: expect.stringContaining("trial_name") as unknown,
    });
  });
});

describe("readJob", () => {
  const trial = (name: string, reward: number | null) => ({
    trial_name: name,
    verifier_result: reward === null ? null : { rewards: { reward } },
    exception_info: reward === null ? { exception_type: "RuntimeError", exception_message: "" } : null,
  });

  it.each([
    ["new", { n_completed_trials: 2, n_errored_trials: 1 }],
    ["old", { n_trials: 2, n_errors: 1 }],
  ])("reads the %s spelling of the counts", async (_, stats) => {
    await write("job/result.json", { n_total_trials: 3, started_at: "2026-01-26T02:12:06", stats });
    await write("job/config.json", { job_name: "job", n_attempts: 1 });
    await write("job/b__1/result.json", trial("b__1", 1));
    await write("job/a__1/result.json", trial("a__1", null));
    await write("job/c__1/config.json", { trial_name: "c__1", task: { path: "tasks\\c" } });
    const job = await readJob(join(dir, "job"));
    expect(job).toMatchObject({
      name: "job",
      totalTrials: 3,
      completedTrials: 2,
      erroredTrials: 1,
      startedAt: "2026-01-26T02:12:06",
      finishedAt: null,
    });
    expect(job.trials.map(({ trialName, finished, reward }) => [trialName, finished, reward])).toEqual([
      ["a__1", true, null],
      ["b__1", true, 1],
      ["c__1", false, null],
    ]);
    expect(job.trials[2]!.taskName).toBe("c");
  });

  it("finds trials below nested job names, and a trial that was flattened into the job", async () => {
    await write("jobs/group/name/a__1/result.json", trial("a__1", 1));
    await write("jobs/group/name/a__1/agent/result.json", { trial_name: "not me" });
    expect((await readJob(join(dir, "jobs"))).trials.map(({ trialName }) => trialName)).toEqual(["a__1"]);
    await cp(join(dir, "jobs/group/name/a__1"), join(dir, "flat"), { recursive: true });
    expect(await readJob(join(dir, "flat"))).toMatchObject({ totalTrials: 1, completedTrials: 1, erroredTrials: 0 });
  });

  it("takes trials that only the job's own result still has", async () => {
    await write("job/result.json", {
      n_total_trials: 2,
      trial_results: [trial("a__1", 1), trial("b__1", 0)],
      stats: { n_trials: 2, n_errors: 0 },
    });
    await write("job/a__1/result.json", trial("a__1", 1));
    expect((await readJob(join(dir, "job"))).trials.map(({ trialName, reward }) => [trialName, reward])).toEqual([
      ["a__1", 1],
      ["b__1", 0],
    ]);
  });

  it("refuses a directory without any of it", async () => {
    await mkdir(join(dir, "empty"));
    await expect(readJob(join(dir, "empty"))).rejects.toMatchObject({ code: "file-missing" });
  });
});
