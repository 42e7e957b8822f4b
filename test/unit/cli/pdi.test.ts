import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { runPdi } from "../../../cli/pdi.js";
import { pdiReportSchema } from "../../../formats/trajectory/pdi-report.js";

const recorded = resolve(import.meta.dirname, "../../../../shared/recorded");
const shared = existsSync(recorded);
if (!shared) {
  if (process.env.REQUIRE_SHARED === "1") throw new Error(`${recorded} is missing and REQUIRE_SHARED=1`);
  console.warn(`skipped: the recorded runs are not at ${recorded}`);
}

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "spark-pdi-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const memo = (facts: string, strategy: string): string => `### Verified Facts\n${facts}\n### Next Strategy\n${strategy}\n`;
const firstMemo = memo("a b c d", "one two");
const secondMemo = memo("a b c e", "one two three four");

const result = (attempt: number, extra: object = {}) => ({
  type: "execution_result",
  attempt,
  status: "FAIL",
  reward: 0,
  agent_commands: "a b",
  test_summary: "FAILED (fix these):\n  ✗ t1\n",
  ...extra,
});
const reflect = (attempt: number, before: string, after: string, extra: object = {}) => ({
  type: "reflect_call",
  attempt,
  memo_before: before,
  memo_after: after,
  ...extra,
});
const snapshot = (attempt: number, values: object) => ({ type: "pdi_snapshot", attempt, level: null, triggered: false, ...values });

const first = { step: 0, proxy_exec: 0.5, proxy_plan: 0, proxy_oss: 0, raw_pdi: 0.5, weight: 0, weighted_pdi: 0 };
// exec 0.5 as before (z 0); plan 2/4, oss (3/5 + 1)/2, both up from 0 (z 1 each).
const second = {
  step: 1,
  proxy_exec: 0.5,
  proxy_plan: 0.5,
  proxy_oss: 0.8,
  raw_pdi: -2,
  weight: 0.5,
  weighted_pdi: -1,
  triggered: true,
  level: "soft",
};
const wholeRun = [
  result(0),
  snapshot(0, first),
  reflect(0, "", firstMemo),
  result(1),
  snapshot(1, second),
  reflect(1, firstMemo, secondMemo),
  result(2, { status: "PASS", reward: 1, success: true, test_summary: "", agent_stdout_full: "x".repeat(100) }),
  { type: "task_summary", task_name: "demo" },
];

let count = 0;
const run = (lines: object[], files: Record<string, unknown> = {}): string => {
  const dir = join(folder, `run-${count++}`);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "trajectory.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return dir;
};

describe("pdi over what the release recorded", () => {
  test.skipIf(!shared)("shows no difference in any of the 40 snapshots", async () => {
    const { report, exitCode } = await runPdi({ path: join(recorded, "pdi-snapshots.jsonl") });
    expect(report).toMatchObject({ method: "token_overlap", compared: 40, differing: 0 });
    expect(report.records).toHaveLength(40);
    expect(exitCode).toBe(0);
    for (const { computed, recorded: theirs } of report.records) expect(computed).toEqual(theirs);
  });

  test.skipIf(!shared)("shows no difference in the six runs, read as a folder, with the older release's step -1 as recorded", async () => {
    const { report, exitCode, text } = await runPdi({ path: join(recorded, "runs") });
    expect(report).toMatchObject({ compared: 13, differing: 0 });
    expect(exitCode).toBe(0);
    expect(report.records.find((record) => record.task === "lean4-proof")?.computed).toMatchObject({
      step: -1,
      weight: -0.5,
      weighted_pdi: -0.0769,
    });
    expect(report.records.filter((record) => record.task === "3d-scan-calc").map((record) => record.attempt)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7,
    ]);
    expect(text).toContain("0 of 13 recorded values differ");
    expect(pdiReportSchema.parse(report)).toEqual(report);
  });

  test.skipIf(!shared)("gives the same from attempts.json when the log has no reflections and no snapshots", async () => {
    const dir = join(folder, "without-reflections");
    cpSync(join(recorded, "runs/r2r-mpc-control"), dir, { recursive: true });
    const log = join(dir, "trajectory.jsonl");
    rmSync(log);
    const kept = readFileSync(join(recorded, "runs/r2r-mpc-control/trajectory.jsonl"), "utf8")
      .split("\n")
      .filter((line) => !line.includes('"reflect_call"') && !line.includes('"pdi_snapshot"'));
    writeFileSync(log, kept.join("\n"));
    const { report } = await runPdi({ path: log });
    expect(report).toMatchObject({ compared: 3, differing: 0 });
    expect(report.records.map((record) => record.computed.level)).toEqual([null, "soft", "strong"]);
  });

  test.skipIf(!shared)("scores the finished tasks in retrospect, solved-at-once ones apart, beside their attempts", async () => {
    const { report, text } = await runPdi({ path: join(recorded, "runs"), retrospective: true });
    const scores = report.retrospective ?? [];
    expect(scores.map((score) => [score.task, score.group, score.attempts])).toEqual([
      ["3d-scan-calc", "reflected", 9],
      ["citation-check", "at-once", 1],
      ["jax-computing-basics", "reflected", 2],
      ["lean4-proof", "reflected", 2],
      ["r2r-mpc-control", "reflected", 4],
      ["threejs-to-obj", "at-once", 1],
    ]);
    for (const group of ["reflected", "at-once"]) {
      expect(scores.filter((score) => score.group === group).reduce((sum, score) => sum + score.pdi, 0)).toBeCloseTo(0, 2);
    }
    expect(text).toContain("retrospective");
    expect(pdiReportSchema.parse(report)).toEqual(report);
  });
});

describe("pdi over a run", () => {
  it("computes each reflection and finds nothing to complain about", async () => {
    const dir = run(wholeRun);
    const { report, exitCode, text } = await runPdi({ path: join(dir, "trajectory.jsonl") });
    expect(report).toMatchObject({ method: "token_overlap", compared: 2, differing: 0 });
    expect(report.records[1]).toEqual({
      source: join(dir, "trajectory.jsonl"),
      task: "demo",
      attempt: 1,
      method: "token_overlap",
      computed: second,
      recorded: second,
      differs: [],
    });
    expect(exitCode).toBe(0);
    expect(text).toMatch(/attempt 1 +exec +plan/);
  });

  it("names what differs and ends with exit code 5", async () => {
    const lines = wholeRun.map((line) =>
      "proxy_oss" in line && line.proxy_oss === 0.8 ? { ...line, proxy_oss: 0.8002, triggered: false, level: null } : line,
    );
    const { report, exitCode, text } = await runPdi({ path: run(lines) });
    expect(report.records[1]?.differs).toEqual(["proxy_oss", "triggered", "level"]);
    expect(report).toMatchObject({ compared: 2, differing: 1 });
    expect(exitCode).toBe(5);
    expect(text).toMatch(/difference .*-0\.0002 .*- -> soft/);
    expect(text).toContain("1 of 2 recorded values differ");
  });

  it("does not take rounding of the fourth decimal for a difference", async () => {
    const third = { ...first, proxy_exec: 0.3333, raw_pdi: 0.3333 };
    const lines = [result(0, { agent_commands: "a" }), snapshot(0, third), reflect(0, "", memo("a b c", "x"))];
    expect((await runPdi({ path: run(lines) })).report.differing).toBe(0);
    const off = [lines[0]!, snapshot(0, { ...third, proxy_exec: 0.3334 }), lines[2]!];
    expect((await runPdi({ path: run(off) })).report.records[0]?.differs).toEqual(["proxy_exec"]);
  });

  it("takes a value that nobody recorded for no difference", async () => {
    const { report, exitCode, text } = await runPdi({ path: run([result(0), reflect(0, "", firstMemo)]) });
    expect(report).toMatchObject({ compared: 0, differing: 0, records: [{ recorded: null, differs: [] }] });
    expect(exitCode).toBe(0);
    expect(text).toContain("nothing recorded to compare with");
  });

  it("uses the method that our own log names, and another when asked", async () => {
    const lines = [
      result(0),
      snapshot(0, { ...first, method: "js_divergence_release", proxy_exec: 0, raw_pdi: 0 }),
      reflect(0, "", firstMemo),
    ];
    const own = await runPdi({ path: run(lines) });
    expect(own.report.method).toBe("js_divergence_release");
    const asked = await runPdi({ path: run(lines), method: "token_overlap" });
    expect(asked.report.method).toBe("token_overlap");
    expect(asked.report.records[0]?.computed.proxy_exec).toBe(0.5);
  });

  it("skips a reflection whose replies were all refused, and takes the accepted one of several", async () => {
    const lines = [
      result(0),
      reflect(0, "", "", { id: "r0", refused: "no sections" }),
      reflect(0, "", firstMemo, { id: "r1", refused: null }),
      result(1),
      reflect(1, firstMemo, firstMemo, { id: "r2", refused: "too large" }),
      result(2),
      reflect(2, firstMemo, secondMemo, { id: "r3", refused: null }),
    ];
    const { report } = await runPdi({ path: run(lines) });
    expect(report.records.map((record) => [record.attempt, record.computed.step])).toEqual([
      [0, 0],
      [2, 1],
    ]);
    expect(report.records[1]?.computed.proxy_plan).toBe(0.5);
  });

  it("counts a line once that was written again after a crash", async () => {
    const lines = wholeRun.map((line, index) => ({ ...line, id: `id-${index}` }));
    const { report } = await runPdi({ path: run([...lines.slice(0, 5), ...lines.slice(3)]) });
    expect(report).toMatchObject({ compared: 2, differing: 0 });
  });

  it("compares with the failed tests of the attempt just before, also when that one broke and has none", async () => {
    const lines = [
      result(0),
      reflect(0, "", firstMemo),
      result(1, { status: "ERROR", test_summary: "" }),
      result(2),
      reflect(2, firstMemo, secondMemo),
    ];
    const { report } = await runPdi({ path: run(lines) });
    expect(report.records[1]?.computed.proxy_oss).toBe(0.3);
  });

  it("has nothing to compute for a task that was solved at once", async () => {
    const { report, exitCode, text } = await runPdi({ path: run([result(0, { status: "PASS", reward: 1 })]) });
    expect(report).toEqual({ method: "token_overlap", records: [], compared: 0, differing: 0 });
    expect(exitCode).toBe(0);
    expect(text).toContain("no reflection");
  });

  it("takes SKILL.md from the folder that the gate published for the retrospective score", async () => {
    const dir = run([...wholeRun, { type: "gate", passed: true, findings: [], path: "skills/demo" }], {
      "skills/demo/SKILL.md": "0123456789",
    });
    expect((await runPdi({ path: dir, retrospective: true })).report.retrospective).toMatchObject([
      { task: "demo", attempts: 3, compression: 10 },
    ]);
  });
});

describe("a log from elsewhere", () => {
  it("cannot name a skill outside its own folder", async () => {
    mkdirSync(join(folder, "outside"), { recursive: true });
    writeFileSync(join(folder, "outside/SKILL.md"), "0123456789");
    const dir = run([...wholeRun, { type: "gate", passed: true, findings: [], path: "../outside" }]);
    expect((await runPdi({ path: dir, retrospective: true })).report.retrospective).toEqual([]);
  });
});

describe("pdi over a folder", () => {
  it("finds logs at any depth in order, and none below a task's own folder", async () => {
    const dir = join(folder, "many");
    for (const [at, task] of [
      ["b/deep/er", "two"],
      ["a", "one"],
      ["a/agent/output", "planted"],
    ] as const) {
      mkdirSync(join(dir, at), { recursive: true });
      writeFileSync(
        join(dir, at, "trajectory.jsonl"),
        `${[result(0), reflect(0, "", firstMemo), { type: "task_summary", task_name: task }].map((line) => JSON.stringify(line)).join("\n")}\n`,
      );
    }
    expect((await runPdi({ path: dir })).report.records.map((record) => record.task)).toEqual(["one", "two"]);
  });

  it("says so when two runs were scored by different methods", async () => {
    const dir = join(folder, "mixed");
    cpSync(run([result(0), snapshot(0, { ...first, method: "js_divergence" }), reflect(0, "", firstMemo)]), join(dir, "a"), {
      recursive: true,
    });
    cpSync(run(wholeRun), join(dir, "b"), { recursive: true });
    const { report } = await runPdi({ path: dir });
    expect(report.method).toBe("recorded");
    expect(report.records.map((record) => record.method)).toEqual(["js_divergence", "token_overlap", "token_overlap"]);
  });
});

describe("bad input to pdi", () => {
  it("is named with its path: nothing there, no log in the folder, an empty file", async () => {
    await expect(runPdi({ path: join(folder, "nowhere") })).rejects.toMatchObject({
      code: "file-missing",
      message: expect.stringContaining("nowhere"),
    });
    const empty = join(folder, "empty");
    mkdirSync(empty, { recursive: true });
    await expect(runPdi({ path: empty })).rejects.toMatchObject({ code: "file-missing", message: expect.stringContaining(empty) });
    writeFileSync(join(empty, "x.jsonl"), "\n");
    await expect(runPdi({ path: join(empty, "x.jsonl") })).rejects.toMatchObject({ code: "file-invalid" });
  });

  it("is named with its line: a broken event, a broken snapshot", async () => {
    const dir = run([result(0), { type: "reflect_call", attempt: "zero" }]);
    await expect(runPdi({ path: dir })).rejects.toMatchObject({
      code: "file-invalid",
      message: expect.stringContaining("trajectory.jsonl:2"),
    });
    const file = join(dir, "snapshots.jsonl");
    writeFileSync(file, `${JSON.stringify({ task: "t", memoAfter: "" })}\n`);
    await expect(runPdi({ path: file })).rejects.toMatchObject({
      code: "file-invalid",
      message: expect.stringContaining("snapshots.jsonl:1"),
    });
  });

  it("is named when attempts.json is broken", async () => {
    const dir = run([result(0)], { "attempts.json": "{" });
    await expect(runPdi({ path: dir })).rejects.toMatchObject({ code: "file-invalid", message: expect.stringContaining("attempts.json") });
  });
});
