import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it, test } from "vitest";
import { type TrajectoryLine, toEvent, trajectoryLineSchema, trajectoryLineTypes } from "../../../../formats/trajectory/events.js";

const runs = resolve(import.meta.dirname, "../../../../../shared/recorded/runs");
const shared = existsSync(runs);
if (!shared) {
  if (process.env.REQUIRE_SHARED === "1") throw new Error(`${runs} is missing and REQUIRE_SHARED=1`);
  console.warn(`skipped: the recorded runs are not at ${runs}`);
}

const recordedLines = (): unknown[] =>
  readdirSync(runs).flatMap((run) =>
    readFileSync(join(runs, run, "trajectory.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown),
  );

const minimal: Record<string, Record<string, unknown>> = {
  execution_result: { attempt: 0, status: "PASS" },
  reflect_call: { attempt: 0 },
  skill_gen_call: { attempt: 0 },
  pdi_snapshot: {
    attempt: 0,
    step: 0,
    proxy_exec: 0,
    proxy_plan: 0,
    proxy_oss: 0,
    raw_pdi: 0,
    weight: 0,
    weighted_pdi: 0,
    triggered: false,
  },
  task_summary: {},
  attempt_start: { attempt: 0 },
  command: { attempt: 0, index: 0, command: "ls", exit_code: 0 },
  model_call: { node: "explore", attempt: 0, model: "m" },
  intervention: { attempt: 0, level: "soft" },
  infra_failure: { attempt: 0, error: { code: "sandbox-lost", message: "gone" } },
  gate: { passed: true },
  run_stop: { reason: "cost" },
};

describe("the wire schemas", () => {
  test.skipIf(!shared)("read every line of the recorded runs and give back every key and value", () => {
    const lines = recordedLines();
    expect(lines.length).toBeGreaterThan(40);
    for (const line of lines) expect(trajectoryLineSchema.parse(line)).toMatchObject(line as object);
  });

  it("know each type by its minimum, and the set of types is complete", () => {
    expect(new Set(Object.keys(minimal))).toEqual(trajectoryLineTypes);
    for (const [type, keys] of Object.entries(minimal))
      expect(trajectoryLineSchema.parse({ type, ...keys })).toMatchObject({ type, ...keys });
  });

  it("keep keys that they do not know, also inside a reference", () => {
    const line = {
      type: "command",
      attempt: 1,
      index: 0,
      command: "ls",
      exit_code: 0,
      host: "h",
      output_ref: { path: "p", sha256: "0", bytes: 1, preview: "x" },
    };
    expect(trajectoryLineSchema.parse(line)).toMatchObject(line);
  });

  it("refuse what would be read wrongly: an attempt below 0, a status or level nobody knows, a missing exit code", () => {
    const bad = [
      { type: "attempt_start", attempt: -1 },
      { type: "execution_result", attempt: 0, status: "FINE" },
      { type: "intervention", attempt: 0, level: "gentle" },
      { type: "command", attempt: 0, index: 0, command: "ls" },
      { type: "pdi_snapshot", attempt: 0, step: 0 },
    ];
    for (const line of bad) expect(trajectoryLineSchema.safeParse(line).success, JSON.stringify(line)).toBe(false);
  });

  it("keep an unknown reward and an unknown cost unknown", () => {
    expect(trajectoryLineSchema.parse({ type: "execution_result", attempt: 0, status: "ERROR" })).toMatchObject({ reward: null });
    expect(trajectoryLineSchema.parse({ type: "model_call", node: "explore", attempt: null, model: "m" })).toMatchObject({
      cost_usd: null,
    });
  });
});

describe("toEvent", () => {
  it("translates the names of a line's keys and leaves values alone", () => {
    const line = trajectoryLineSchema.parse({
      type: "command",
      id: "c:1",
      attempt: 2,
      retry: 1,
      index: 0,
      command: "ls",
      exit_code: null,
      timed_out: true,
      duration_ms: 5,
      ts: 9,
    });
    expect(toEvent(line)).toEqual({
      type: "command",
      id: "c:1",
      attempt: 2,
      retry: 1,
      index: 0,
      command: "ls",
      exitCode: null,
      timedOut: true,
      durationMs: 5,
      outputRef: null,
      ts: 9,
    });
  });

  it("types the translated keys", () => {
    const line: TrajectoryLine = trajectoryLineSchema.parse({ type: "task_summary", exploration_config: { max_retries: 3 } });
    const event = toEvent(line);
    if (event.type !== "task_summary") throw new Error("not narrowed");
    expect(event.explorationConfig).toEqual({ max_retries: 3 });
    expect(event.rewardTrajectory).toEqual([]);
  });
});
