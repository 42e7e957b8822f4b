import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { runReplay } from "../../../cli/replay.js";
import { type ReplayReport, replayReportSchema } from "../../../formats/replay-report.js";
import { memo, openGeneration, skillText, verdict } from "../../support/generation.js";
import { recordedPath } from "../../support/recorded.js";

const recorded = recordedPath("runs");
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "spark-replay-test-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Line = Record<string, unknown>;
const replay = async (path: string) => {
  const { report, ...rest } = await runReplay({ path });
  return { ...rest, report: replayReportSchema.parse(report) };
};
const explained = ({ differences }: ReplayReport) => differences.filter(({ because }) => because !== null).map(({ where }) => where);
const unexplained = ({ differences }: ReplayReport) =>
  differences.filter(({ because }) => because === null).map(({ where, recorded: theirs, ours }) => ({ where, recorded: theirs, ours }));
const row = (report: ReplayReport, where: string) => report.differences.find((each) => each.where === where);

/** A copy of a recording with its lines, its attempts.json or its skill changed. */
let copies = 0;
function changed(
  run: string,
  change: { line?: (line: Line) => void; file?: (file: never) => void; skill?: (text: string) => string },
): string {
  const dir = join(folder, `copy-${copies++}`);
  cpSync(run, dir, { recursive: true });
  const log = join(dir, "trajectory.jsonl");
  const lines = readFileSync(log, "utf8")
    .trimEnd()
    .split("\n")
    .map((text) => JSON.parse(text) as Line);
  for (const line of lines) change.line?.(line);
  writeFileSync(log, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  if (change.file) {
    const file = JSON.parse(readFileSync(join(dir, "attempts.json"), "utf8"));
    change.file(file as never);
    writeFileSync(join(dir, "attempts.json"), JSON.stringify(file));
  }
  if (change.skill) writeFileSync(join(dir, "SKILL.md"), change.skill(readFileSync(join(dir, "SKILL.md"), "utf8")));
  return dir;
}
const edit = (type: string, attempt: number, fields: Line) => (line: Line) => {
  if (line["type"] === type && line["attempt"] === attempt) Object.assign(line, fields);
};

/** Every demanded deviation of the six runs, by the section of spark.md that its reason begins with. */
const demanded: Record<string, { attempts: number; deviations: Record<string, string> }> = {
  "3d-scan-calc": {
    attempts: 9,
    deviations: {
      "attempt 6 status": "2",
      "attempt 6 reward": "2",
      "attempts counted": "2",
      "attempt 5 pdi": "6.2",
      "attempt 6 pdi": "2",
      "attempt 7 pdi step": "6.2",
      "attempt 7 pdi proxy_plan": "6.2",
      "attempt 7 pdi proxy_oss": "6.2",
      "attempt 7 pdi raw_pdi": "6.2",
      "attempt 7 pdi weighted_pdi": "6.2",
      "skill published": "6.3",
    },
  },
  "citation-check": { attempts: 1, deviations: { "skill published": "6.3" } },
  "jax-computing-basics": { attempts: 2, deviations: { "skill published": "6.3" } },
  "lean4-proof": {
    attempts: 2,
    deviations: { "attempt 0 pdi step": "3", "attempt 0 pdi weight": "3", "attempt 0 pdi weighted_pdi": "3", "skill published": "6.3" },
  },
  "r2r-mpc-control": { attempts: 4, deviations: { "skill text": "6.3", "skill published": "6.3" } },
  "threejs-to-obj": { attempts: 1, deviations: { "skill published": "6.3" } },
};

describe.skipIf(recorded === null)("replay of what the release recorded", () => {
  const run = (name: string) => join(recorded ?? "", name);

  it("names every run that is there", () => {
    expect(readdirSync(recorded ?? "").sort()).toEqual(Object.keys(demanded));
  });

  it.each(Object.entries(demanded))(
    "of %s agrees, apart from what spark.md demands and it names",
    async (name, { attempts, deviations }) => {
      const { report, text, exitCode } = await replay(run(name));
      expect(unexplained(report)).toEqual([]);
      expect(report).toMatchObject({ attempts, agrees: true, unexplained: 0 });
      expect(exitCode).toBe(0);
      const sections = report.differences.map(({ where, because }) => [where, /^spark\.md section ([\d.]+): /.exec(because ?? "")?.[1]]);
      expect(Object.fromEntries(sections)).toEqual(deviations);
      expect(text).toContain(`agrees: ${report.differences.length} demanded deviation`);
    },
  );

  it("keeps the old memo where 245 kB of error text became one, and asks no reflection on an attempt that nothing judged", async () => {
    const { report } = await replay(run("3d-scan-calc"));
    expect(row(report, "attempt 6 status")).toMatchObject({
      recorded: "ERROR",
      ours: "INFRA_ERROR",
      because: expect.stringContaining("Argument list too long"),
    });
    expect(row(report, "attempt 6 reward")).toMatchObject({ recorded: 0, ours: null });
    expect(row(report, "attempts counted")).toMatchObject({ recorded: 9, ours: 8 });
    expect(row(report, "attempt 5 pdi")).toMatchObject({ ours: null, because: expect.stringContaining("[LLM ERROR]") });
    expect(row(report, "attempt 7 pdi step")).toMatchObject({ recorded: 7, ours: 5 });
  });

  it("starts the step at 0 where an older release started at -1", async () => {
    const { report } = await replay(run("lean4-proof"));
    expect(row(report, "attempt 0 pdi step")).toMatchObject({ recorded: -1, ours: 0 });
    expect(row(report, "attempt 0 pdi weight")).toMatchObject({ recorded: -0.5, ours: 0 });
  });

  it("leaves nothing in the temporary folder", async () => {
    const own = join(folder, "temporary");
    mkdirSync(own);
    vi.stubEnv("TMPDIR", own);
    await replay(run("citation-check"));
    vi.unstubAllEnvs();
    expect(readdirSync(own)).toEqual([]);
  });

  describe("sees exactly the one change:", () => {
    const mpc = "r2r-mpc-control";
    const cases: [string, string, Parameters<typeof changed>[1], { where: string; recorded: unknown; ours: unknown }][] = [
      ["a reward", mpc, { line: edit("execution_result", 1, { reward: 0.5 }) }, { where: "attempt 1 reward", recorded: 0.5, ours: 0 }],
      [
        "a status",
        mpc,
        { line: edit("execution_result", 2, { status: "PARTIAL" }) },
        { where: "attempt 2 status", recorded: "PARTIAL", ours: "FAIL" },
      ],
      [
        "a proxy value",
        mpc,
        { line: edit("pdi_snapshot", 2, { proxy_plan: 0.2246 }) },
        { where: "attempt 2 pdi proxy_plan", recorded: 0.2246, ours: 0.2245 },
      ],
      ["a step", mpc, { line: edit("pdi_snapshot", 2, { step: 3 }) }, { where: "attempt 2 pdi step", recorded: 3, ours: 2 }],
      [
        "an intervention's level",
        mpc,
        { line: edit("pdi_snapshot", 1, { level: "strong" }) },
        { where: "attempt 1 intervention", recorded: "strong", ours: "soft" },
      ],
      [
        "an intervention that was none",
        mpc,
        { line: edit("pdi_snapshot", 0, { level: "soft" }) },
        { where: "attempt 0 intervention", recorded: "soft", ours: null },
      ],
      [
        "a published text",
        "jax-computing-basics",
        { skill: (text) => text.replace("JAX", "PAX") },
        { where: "skill text", recorded: expect.stringContaining("PAX"), ours: expect.stringContaining("JAX") },
      ],
      [
        "a published text whose reply we refuse",
        mpc,
        { skill: (text) => `${text}\n\`\`\`\n` },
        { where: "skill text", recorded: "line 1: ---", ours: null },
      ],
      [
        "a model's reply",
        "threejs-to-obj",
        { line: edit("skill_gen_call", 0, { response: "---\ntitle: Other\n---\n\n# Other\n\nText.\n" }) },
        { where: "skill text", recorded: expect.stringContaining("line 2"), ours: "line 2: title: Other" },
      ],
      [
        "a reward's copy in attempts.json",
        mpc,
        { file: (file: { attempts: { reward: number }[] }) => Object.assign(file.attempts[0]!, { reward: 1 }) },
        { where: "attempts.json attempt 0 reward", recorded: 1, ours: 0 },
      ],
      [
        "a status' copy in the summary",
        mpc,
        {
          line: (line) => line["type"] === "task_summary" && Object.assign(line, { status_trajectory: ["FAIL", "ERROR", "FAIL", "PASS"] }),
        },
        { where: "task_summary attempt 1 status", recorded: "ERROR", ours: "FAIL" },
      ],
      [
        "a proxy value's copy",
        mpc,
        { file: (file: { pdi: { history: { proxy_oss: number }[] } }) => Object.assign(file.pdi.history[1]!, { proxy_oss: 0.1 }) },
        { where: "attempts.json attempt 1 pdi proxy_oss", recorded: 0.1, ours: 0.773 },
      ],
      [
        "a weight of an older release",
        "lean4-proof",
        { line: edit("pdi_snapshot", 0, { weight: -0.4 }) },
        { where: "attempt 0 pdi weight", recorded: -0.4, ours: 0 },
      ],
    ];
    it.each(cases)("%s (%s)", async (_, name, change, expected) => {
      const { report, exitCode, text } = await replay(changed(run(name), change));
      expect(unexplained(report)).toEqual([expected]);
      expect(report).toMatchObject({ agrees: false, unexplained: 1 });
      expect(exitCode).toBe(5);
      expect(text).toContain("UNEXPLAINED");
    });

    it("each of several where deviations change values, and none of those beside them", async () => {
      const edits = [
        edit("pdi_snapshot", 5, { proxy_oss: 0.6 }),
        edit("execution_result", 6, { status: "FAIL", reward: 1 }),
        edit("pdi_snapshot", 7, { step: 8, proxy_exec: 0.5, proxy_plan: 0.1457 }),
      ];
      const { report } = await replay(
        changed(run("3d-scan-calc"), {
          line: (line) => {
            for (const each of edits) each(line);
          },
        }),
      );
      expect(unexplained(report)).toEqual([
        { where: "attempt 6 status", recorded: "FAIL", ours: "INFRA_ERROR" },
        { where: "attempt 6 reward", recorded: 1, ours: null },
        { where: "attempt 5 pdi", recorded: expect.stringContaining("step 5"), ours: null },
        { where: "attempt 7 pdi step", recorded: 8, ours: 5 },
        { where: "attempt 7 pdi proxy_exec", recorded: 0.5, ours: 0.3301 },
        { where: "attempt 7 pdi proxy_plan", recorded: 0.1457, ours: 0.1753 },
      ]);
      expect(explained(report)).toEqual(expect.arrayContaining(["attempts counted", "attempt 6 pdi", "attempt 7 pdi raw_pdi"]));
    });

    it("a reply that makes another memo, in everything that follows from it", async () => {
      const dir = changed(run(mpc), {
        line: (line) =>
          line["type"] === "reflect_call" &&
          line["attempt"] === 1 &&
          Object.assign(line, { response: memo({ facts: "- nothing was executed" }) }),
      });
      const { report } = await replay(dir);
      expect(unexplained(report).map(({ where }) => where)).toEqual(
        expect.arrayContaining(["attempt 1 pdi proxy_exec", "attempt 2 pdi proxy_oss"]),
      );
    });
  });
});

/** A run of ours: two failures, the second without progress, an intervention, a success, a skill through the gate. */
async function ownRun() {
  const generation = await openGeneration({
    teacher: [
      { commands: ["python3 sum.py"] },
      "Done.",
      { commands: ["python3 sum.py"] },
      "Done.",
      { commands: ["awk -F, '{ t += $2 } END { print t }' sums.csv > total.txt"] },
      "Done.",
    ],
    summary: [memo(), memo({ failed: 2 }), skillText()],
    rewards: [
      verdict(0, { header: null, total: "wrong total" }),
      verdict(0, { header: null, total: "wrong total" }),
      verdict(1, { header: null, total: null }),
    ],
  });
  await generation.run();
  return { generation, dir: generation.store.dir };
}

describe("replay of a run of ours", () => {
  it("agrees without any deviation, interventions and published skill included", async () => {
    const { generation, dir } = await ownRun();
    const { report, exitCode } = await replay(dir);
    expect(report).toEqual({ attempts: 3, agrees: true, differences: [], unexplained: 0 });
    expect(exitCode).toBe(0);
    expect((await generation.lines()).filter(({ type }) => type === "intervention")).toHaveLength(1);
    const later = changed(dir, { line: edit("pdi_snapshot", 1, { level: null }) });
    expect(unexplained((await replay(later)).report)).toEqual([{ where: "attempt 1 intervention", recorded: null, ours: "soft" }]);
    await generation.remove();
  });
});

const result = (attempt: number, fields: Line = {}): Line => ({
  type: "execution_result",
  attempt,
  status: "FAIL",
  reward: 0,
  agent_commands: "ls",
  result_json: { verifier_result: { rewards: { reward: 0 } }, exception_info: null },
  ...fields,
});
const broken = (attempt: number): Line =>
  result(attempt, {
    status: "ERROR",
    agent_commands: "",
    result_json: { verifier_result: null, exception_info: { exception_type: "OSError", exception_message: "no engine" } },
  });
const recording = (name: string, lines: Line[], files: Record<string, unknown> = {}): string => {
  const dir = join(folder, name);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "trajectory.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  for (const [file, content] of Object.entries(files))
    writeFileSync(join(dir, file), typeof content === "string" ? content : JSON.stringify(content));
  return dir;
};

describe("a call that the recording lacks counts as failed:", () => {
  it("a further attempt, explained where an infrastructure failure left one more", async () => {
    const dir = recording("one-more", [broken(0), result(1)], { "attempts.json": { max_retries: 2 } });
    const { report } = await replay(dir);
    expect(unexplained(report)).toEqual([]);
    expect(explained(report)).toEqual(["attempt 0 status", "attempt 0 reward", "attempt 1 beyond the recording"]);
  });

  it("a further attempt of a recording that simply ends", async () => {
    const dir = recording("cut", [result(0)], { "attempts.json": { max_retries: 2 } });
    expect(unexplained((await replay(dir)).report)).toEqual([
      { where: "attempt 1 beyond the recording", recorded: null, ours: "INFRA_ERROR" },
    ]);
  });

  it("a reflection, so its observation is missing and nothing demands that", async () => {
    const [before, after] = [memo(), memo({ failed: 2 })];
    const snapshot = {
      step: 0,
      proxy_exec: 0,
      proxy_plan: 0,
      proxy_oss: 0,
      raw_pdi: 0,
      weight: 0,
      weighted_pdi: 0,
      triggered: false,
      level: null,
    };
    const dir = recording(
      "no-reply",
      [result(0), result(1, { status: "PASS", reward: 1, result_json: { verifier_result: { rewards: { reward: 1 } } } })],
      {
        "attempts.json": {
          max_retries: 2,
          exploration_memo: after,
          memo_history: [before],
          pdi: { enabled: true, history: [snapshot, snapshot] },
        },
      },
    );
    expect(unexplained((await replay(dir)).report).map(({ where }) => where)).toContain("attempt 0 pdi");
  });
});

describe("a success that the release did not count", () => {
  it("ends our run there, because a reward of 1 is solved whatever the status", async () => {
    const solved = result(0, {
      status: "ERROR",
      reward: 1,
      result_json: {
        verifier_result: { rewards: { reward: 1 } },
        exception_info: { exception_type: "AgentTimeoutError", exception_message: "late" },
      },
    });
    const { report } = await replay(recording("solved-error", [solved, result(1)], { "attempts.json": { max_retries: 2 } }));
    expect(row(report, "attempt 1")).toMatchObject({
      recorded: "FAIL, reward 0",
      ours: null,
      because: expect.stringContaining("spark.md section 2"),
    });
  });
});

describe("bad input to replay", () => {
  it("is named with its path: nothing there, no log in the folder, a log without attempts, a broken line", async () => {
    await expect(runReplay({ path: join(folder, "nowhere") })).rejects.toMatchObject({
      code: "file-missing",
      message: expect.stringContaining("nowhere"),
    });
    mkdirSync(join(folder, "empty"));
    await expect(runReplay({ path: join(folder, "empty") })).rejects.toMatchObject({
      code: "file-missing",
      message: expect.stringContaining("trajectory.jsonl"),
    });
    await expect(runReplay({ path: recording("no-attempts", [{ type: "run_stop", reason: "cost" }]) })).rejects.toMatchObject({
      code: "file-invalid",
    });
    await expect(runReplay({ path: recording("broken", [{ type: "execution_result", attempt: "zero" }]) })).rejects.toMatchObject({
      code: "file-invalid",
      message: expect.stringContaining("trajectory.jsonl:1"),
    });
  });
});
