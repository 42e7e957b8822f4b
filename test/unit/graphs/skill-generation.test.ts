import { readdir, readFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { linesOf } from "../../../formats/trajectory/read-log.js";
import { createSkillGenerationGraph } from "../../../graphs/skill-generation.js";
import { SparkError } from "../../../state/errors.js";
import type { SkillGenerationState } from "../../../state/skill-generation.js";
import type { Capabilities } from "../../../tools/capabilities.js";
import { createRunBudget } from "../../../tools/run-budget.js";
import type { ScriptedReply } from "../../../tools/scripted-model.js";
import { type Generation, type GenerationSetup, memo, openGeneration, skillText, verdict } from "../../support/generation.js";

const opened: Generation[] = [];
afterEach(async () => {
  for (const generation of opened.splice(0)) await generation.remove();
});
async function generation(setup: GenerationSetup): Promise<Generation> {
  const made = await openGeneration(setup);
  opened.push(made);
  return made;
}

/** One attempt: a command, then words. */
const attempt = (command = "python3 sum.py", words = "I wrote the total."): ScriptedReply[] => [{ commands: [command] }, words];
const attempts = (count: number): ScriptedReply[] => Array.from({ length: count }, () => attempt()).flat();
const failed = verdict(0, { test_total: "the total is wrong" });
const passed = verdict(1, { test_total: null });
/** Facts that the commands do not show and a plan that never changes: what PDI calls stagnation. */
const stale = (failures: number) => memo({ failed: failures });

describe("a task that is solved at the first attempt", () => {
  it("is distilled, gated and published, with provenance beside the skill", async () => {
    const run = await generation({ teacher: attempt(), rewards: [passed], summary: [skillText()] });
    const state = await run.run();
    expect(state.attempts).toMatchObject([
      {
        attempt: 0,
        status: "PASS",
        reward: 1,
        passed: 1,
        total: 1,
        rollout: { stop: "finished", steps: 2, commandCount: 1, model: "teacher-model" },
      },
    ]);
    expect(state.memos).toEqual([]);
    expect(state.pdi).toEqual([]);
    expect(state.gateReport).toMatchObject({ passed: true, path: "skills/column-sums" });
    expect(await readFile(run.store.path("skills/column-sums/SKILL.md"), "utf8")).toBe(skillText());
    expect(await readdir(run.store.path("skills/column-sums"))).toEqual(["SKILL.md"]);
    const provenance = JSON.parse(await readFile(run.store.path("skills/column-sums.provenance.json"), "utf8"));
    expect(provenance).toMatchObject({
      skill: "column-sums",
      run: "r1",
      task: "sums",
      attempt: 0,
      reward: 1,
      verifierShownToTeacher: false,
      author: "summary-model",
      commands: [{ command: "python3 sum.py", exitCode: 0 }],
    });
  });

  it("shows the distiller the verified commands in full with exit codes, outputs and the files that were made", async () => {
    const long = `python3 - <<'EOF'\n${"x = 1\n".repeat(200)}EOF`;
    const run = await generation({
      teacher: [{ commands: ["false", long] }, "done"],
      rewards: [passed],
      summary: [skillText()],
      commands: [
        { match: "false", result: { exitCode: 1, stderr: "no such column" } },
        { match: /^python3/, result: { stdout: "3", files: { "/app/total.txt": "3\n" } } },
      ],
    });
    await run.run();
    const asked = run.summary.calls[0]!.messages.map(({ text }) => text).join("\n");
    expect(asked).toContain(long);
    expect(asked).toMatch(/Command 1 \(FAILED: exit code 1\)[\s\S]*no such column/);
    expect(asked).toContain("Command 2 (exit code 0)");
    expect(asked).toMatch(/\/app\/total\.txt \(2 bytes\)/);
  });

  it("leaves no container and no snapshot", async () => {
    const run = await generation({ teacher: attempt(), rewards: [passed], summary: [skillText()] });
    await run.run();
    expect(await run.provider.list()).toEqual([]);
  });
});

describe("a task that fails first", () => {
  it("is reflected on, and the next attempt is told the memo and how many attempts are left", async () => {
    const run = await generation({
      teacher: attempts(2),
      rewards: [failed, passed],
      summary: [stale(1), skillText()],
      settings: { maxAttempts: 3 },
    });
    const state = await run.run();
    expect(state.attempts.map(({ status, reward }) => [status, reward])).toEqual([
      ["FAIL", 0],
      ["PASS", 1],
    ]);
    expect(state.memos).toMatchObject([{ attempt: 0, accepted: true, problems: [] }]);
    expect(state.pdi).toMatchObject([{ attempt: 0, step: 0, triggered: false }]);
    expect(state.attempts[0]!.rollout.injection).toBeNull();
    const injection = await run.injection(state, 1);
    expect(injection).toContain(stale(1));
    expect(injection).toContain("This is attempt 2 of 3. Two attempts are left.");
    expect(run.teacher.calls[2]!.messages[1]!.text).toContain(injection);
    const asked = run.summary.calls[0]!.messages[1]!.text;
    expect(asked).toContain("python3 sum.py");
    expect(asked).toContain("✗ test_total\n      the total is wrong");
    expect(asked).toContain("Write the sum of the second column");
  });

  it("with a partial reward goes on: only 1 or more is solved", async () => {
    const run = await generation({
      teacher: attempts(2),
      rewards: [verdict(0.5, { a: null, b: "no" }), verdict(1.5)],
      summary: [stale(1), skillText()],
    });
    const state = await run.run();
    expect(state.attempts.map(({ status, reward }) => [status, reward])).toEqual([
      ["PARTIAL", 0.5],
      ["PASS", 1.5],
    ]);
    expect(run.summary.calls[0]!.messages[1]!.text).toContain("This attempt: PARTIAL, attempt #1, reward 0.5");
  });

  it("ends unsolved when the attempts are used up, without a reflection that nobody would read", async () => {
    const run = await generation({ teacher: attempts(2), rewards: [failed, failed], summary: [stale(1)], settings: { maxAttempts: 2 } });
    const state = await run.run();
    expect(state.attempts.map(({ status }) => status)).toEqual(["FAIL", "FAIL"]);
    expect(state.memos).toHaveLength(1);
    expect(state.skill).toBeNull();
    expect(await run.injection(state, 1)).toContain("This is the LAST attempt");
  });

  it("carries the reason of an early stop into record and reflection", async () => {
    const run = await generation({
      teacher: { commands: ["python3 sum.py"] },
      rewards: [failed, failed],
      summary: [stale(1)],
      settings: { maxAttempts: 2, maxSteps: 2 },
    });
    const state = await run.run();
    expect(state.attempts[0]!.rollout).toMatchObject({ stop: "steps", stopDetail: "the limit of 2 steps was reached", steps: 2 });
    expect(run.summary.calls[0]!.messages[1]!.text).toContain("The attempt was stopped: the limit of 2 steps was reached");
  });
});

describe("the memo guard", () => {
  const errorText = "Error code: 502 - upstream connect error";
  const noFacts = stale(2).replace("### Verified Facts", "### Things");
  it.each([
    ["error text", errorText, "error"],
    ["a reply without a section", noFacts, '"### Verified Facts"'],
    ["245 kB of text", stale(2) + "x".repeat(245_000), "at most 12000"],
    ["an empty reply", "", "it was empty"],
    ["a cut reply", { text: stale(2), finishReason: "length" }, "cut at the output limit"],
    ["a provider that rejects the request", Object.assign(new Error("no"), { status: 400 }), "rejected a request"],
  ] as [string, ScriptedReply, string][])("keeps the old memo when %s came twice, and the log says so", async (_, bad, why) => {
    const run = await generation({ teacher: attempts(3), rewards: [failed, failed, passed], summary: [stale(1), bad, bad, skillText()] });
    const state = await run.run();
    expect(state.memos.map(({ accepted }) => accepted)).toEqual([true, false]);
    expect(await run.store.text(state.memos[1]!.memo)).toBe(stale(1));
    expect(state.memos[1]!.problems).toHaveLength(2);
    expect(state.memos[1]!.problems[0]).toContain(why);
    expect(run.summary.calls[2]!.messages[1]!.text).toContain("Your previous reply was refused: ");
    expect(await run.injection(state, 2)).toContain(stale(1));
    const calls = linesOf(await run.lines(), "reflect_call");
    expect(calls.map(({ attempt: of, refused }) => [of, refused === null])).toEqual([
      [0, true],
      [1, false],
      [1, false],
    ]);
    expect(calls.slice(1).map(({ memo_before, memo_after }) => [memo_before, memo_after])).toEqual([
      [stale(1), stale(1)],
      [stale(1), stale(1)],
    ]);
    expect(state.pdi).toHaveLength(1);
  });

  it("takes the second reply when that one is a memo", async () => {
    const run = await generation({ teacher: attempts(2), rewards: [failed, passed], summary: [errorText, stale(1), skillText()] });
    const state = await run.run();
    expect(state.memos).toMatchObject([{ accepted: true, problems: [expect.stringContaining("error")] }]);
    expect(await run.store.text(state.memos[0]!.memo)).toBe(stale(1));
  });

  it("gives the teacher the test summary when there is no memo at all", async () => {
    const run = await generation({ teacher: attempts(2), rewards: [failed, passed], summary: ["", "", skillText()] });
    const state = await run.run();
    expect(state.memos).toMatchObject([{ accepted: false, memo: null }]);
    expect(await run.injection(state, 1)).toMatch(/No memo could be written[\s\S]*✗ test_total/);
  });
});

describe("PDI and interventions", () => {
  const fourFailures: GenerationSetup = {
    teacher: attempts(5),
    rewards: [failed, failed, failed, failed, passed],
    summary: [
      stale(1),
      stale(2),
      stale(3),
      memo({ failed: 4, facts: "- python3 sum.py sums the wrong column", strategy: "read the header" }),
      skillText(),
    ],
  };

  describe("on four failures of which three repeat the plan", () => {
    let run: Generation;
    let state: SkillGenerationState;
    beforeAll(async () => {
      run = await openGeneration(fourFailures);
      state = await run.run();
    });
    afterAll(() => run.remove());

    it("steer softly at the first stagnation and strongly at the next", () => {
      expect(state.pdi.map(({ attempt: of, step, level }) => [of, step, level])).toEqual([
        [0, 0, null],
        [1, 1, "soft"],
        [2, 2, "strong"],
        [3, 3, null],
      ]);
      expect(state.guidance.map(({ afterAttempt, level }) => [afterAttempt, level])).toEqual([
        [1, "soft"],
        [2, "strong"],
      ]);
    });

    it("leave the memo whole when they are soft", async () => {
      const soft = await run.injection(state, 2);
      expect(soft).toContain(state.guidance[0]!.text);
      expect(soft).toContain("### Next Strategy");
    });

    it("withhold Next Strategy when they are strong, and never erase the memo itself", async () => {
      const strong = await run.injection(state, 3);
      expect(strong).toContain(state.guidance[1]!.text);
      expect(strong).not.toContain("### Next Strategy");
      expect(strong).not.toContain("sum the second column instead");
      expect(strong).toContain("### Verified Facts");
      expect(await run.store.text(state.memos[2]!.memo)).toBe(stale(3));
    });

    it("name no metric and no value", () => {
      for (const { text } of state.guidance) expect(text).not.toMatch(/pdi|score|divergence|-?\d+\.\d+/i);
    });

    it("are ignored in later attempts", async () => {
      const later = await run.injection(state, 4);
      for (const { text } of state.guidance) expect(later).not.toContain(text);
      expect(later).toContain("### Next Strategy");
    });
  });

  it("is computed and logged but does not steer in the mode observe", async () => {
    const run = await generation({ ...fourFailures, settings: { pdi: "observe" } });
    const state = await run.run();
    expect(state.pdi.filter(({ triggered }) => triggered)).toHaveLength(2);
    expect(state.guidance).toEqual([]);
    expect(linesOf(await run.lines(), "pdi_snapshot")).toHaveLength(4);
  });

  it("is not computed in the mode off", async () => {
    const run = await generation({ ...fourFailures, settings: { pdi: "off" } });
    expect((await run.run()).pdi).toEqual([]);
  });

  it("does not take a reflection that failed for an observation: error text once looked like a recovery", async () => {
    const run = await generation({
      teacher: attempts(4),
      rewards: [failed, failed, failed, passed],
      summary: [stale(1), "", "", stale(3), skillText()],
    });
    const state = await run.run();
    expect(state.pdi.map(({ attempt: of, step }) => [of, step])).toEqual([
      [0, 0],
      [2, 1],
    ]);
    expect(state.guidance.map(({ afterAttempt }) => afterAttempt)).toEqual([2]);
  });
});

describe("infrastructure failures", () => {
  it("cost no attempt, get a folder and a line of their own, and are retried", async () => {
    const run = await generation({
      teacher: attempt(),
      rewards: [passed],
      summary: [skillText()],
      createFailures: ["sandbox-failed", "sandbox-failed", null],
    });
    const state = await run.run();
    expect(state.attempts.map(({ attempt: of, retry, status, reward, dir }) => [of, retry, status, reward, dir])).toEqual([
      [0, 0, "INFRA_ERROR", null, "sums__attempt-0__retry-0"],
      [0, 1, "INFRA_ERROR", null, "sums__attempt-0__retry-1"],
      [0, 2, "PASS", 1, "sums__attempt-0"],
    ]);
    const lines = await run.lines();
    expect(linesOf(lines, "infra_failure").map(({ retry, error }) => [retry, error.code])).toEqual([
      [0, "sandbox-failed"],
      [1, "sandbox-failed"],
    ]);
    expect(linesOf(lines, "execution_result")).toHaveLength(1);
    expect(await readdir(run.store.path("sums__attempt-0__retry-1"))).toContain("result.json");
  });

  it("end the task unscored after two retries in a row", async () => {
    const run = await generation({ teacher: [], createFailures: Array(9).fill("sandbox-failed") });
    const state = await run.run();
    expect(state.attempts.map(({ status }) => status)).toEqual(["INFRA_ERROR", "INFRA_ERROR", "INFRA_ERROR"]);
    expect(state.skill).toBeNull();
  });

  it("count anew after a scored attempt", async () => {
    const run = await generation({
      teacher: attempts(2),
      rewards: [failed, passed],
      summary: [stale(1), skillText()],
      createFailures: ["sandbox-failed", "sandbox-failed", null, "sandbox-failed", "sandbox-failed", null],
    });
    const state = await run.run();
    expect(state.attempts.map(({ status }) => status)).toEqual([
      "INFRA_ERROR",
      "INFRA_ERROR",
      "FAIL",
      "INFRA_ERROR",
      "INFRA_ERROR",
      "PASS",
    ]);
    expect(state.attempts.at(-1)).toMatchObject({ attempt: 1 });
  });

  it.each(["image-missing", "docker-unavailable"] as const)(
    "that the user has to mend stop the run, which can then go on: %s",
    async (code) => {
      const run = await generation({ teacher: [], createFailures: [code] });
      const error = await run.run().catch((thrown: unknown) => thrown);
      expect(SparkError.isInstance(error) && error.code).toBe(code);
    },
  );

  it.each(["task-unsolvable", "sandbox-unsupported"] as const)("that another try cannot mend end at once: %s", async (code) => {
    const run = await generation({ teacher: [], createFailures: [code] });
    expect((await run.run()).attempts.map(({ status }) => status)).toEqual(["INFRA_ERROR"]);
  });

  it("of a verifier without a reward is none of the agent's when no oracle has shown that it works here", async () => {
    const run = await generation({ teacher: attempts(3), rewards: [{}, {}, {}] });
    const state = await run.run();
    expect(state.attempts.map(({ status, reward, error }) => [status, reward, error?.code])).toEqual(
      Array(3).fill(["INFRA_ERROR", null, "verifier-broken"]),
    );
  });

  it("of a provider that refuses the key stop the run: with another key it goes on", async () => {
    const run = await generation({ teacher: [Object.assign(new Error("bad key"), { status: 401 })] });
    const error = await run.run().catch((thrown: unknown) => thrown);
    expect(SparkError.isInstance(error) && error.code).toBe("provider-credentials");
  });

  it("leave the conversation and its container behind when a full disk or a cap stops the run: it can go on", async () => {
    const budget = createRunBudget({ maxCostUsd: null, maxTokens: 100 });
    const run = await generation({ teacher: attempts(1), capabilities: { budget } });
    const error = await run.run().catch((thrown: unknown) => thrown);
    expect(SparkError.isInstance(error) && error.code).toBe("budget-reached");
    expect((await run.provider.list()).map(({ kind }) => kind)).toEqual(["container"]);
  });
});

describe("distillation and gate", () => {
  const solved = { teacher: attempt(), rewards: [passed] };
  const leaking = skillText({ body: "The total must be 48151623." });

  it("gives the gate's findings back to the distiller once and publishes what is mended", async () => {
    const run = await generation({ ...solved, summary: [leaking, skillText()] });
    const state = await run.run();
    expect(state.skill).toMatchObject({ round: 1, name: "column-sums" });
    expect(state.gateReport).toMatchObject({ passed: true, path: "skills/column-sums" });
    const asked = run.summary.calls[1]!.messages[1]!.text;
    expect(asked).toContain("Why the version before was not published");
    expect(asked).toContain("48151623");
    expect(asked).toContain("The version before:");
    expect(await readdir(run.store.path("rejected"))).toContain("column-sums");
    expect(linesOf(await run.lines(), "gate").map(({ passed: ok, path }) => [ok, path])).toEqual([
      [false, "rejected/column-sums"],
      [true, "skills/column-sums"],
    ]);
  });

  it("refuses a second version that leaks again, keeps it under rejected and publishes nothing", async () => {
    const run = await generation({ ...solved, summary: [leaking, leaking] });
    const state = await run.run();
    expect(state.gateReport).toMatchObject({ passed: false, path: "rejected/column-sums" });
    expect(await run.store.exists("skills")).toBe(false);
    expect(await readFile(run.store.path("rejected/column-sums/SKILL.md"), "utf8")).toContain("48151623");
    expect(run.summary.calls).toHaveLength(2);
  });

  it.each([
    ["cut", { text: skillText(), finishReason: "length" }],
    ["empty", ""],
    ["error text", "Error code: 500 - internal"],
    ["open inside a code fence", skillText().replace("total.txt\n```", "total.txt")],
  ] as [string, ScriptedReply][])(
    "asks again for a reply that is %s, at most twice, and keeps the PASS without a skill",
    async (_, bad) => {
      const run = await generation({ ...solved, summary: [bad, bad, bad] });
      const state = await run.run();
      expect(state.attempts).toMatchObject([{ status: "PASS" }]);
      expect(state.skill).toMatchObject({ name: null, text: null });
      expect(state.skill!.calls.map(({ refused }) => refused !== null)).toEqual([true, true, true]);
      expect(state.gateReport).toBeNull();
      expect(await run.store.exists("skills")).toBe(false);
      expect(run.summary.calls[1]!.messages[1]!.text).toContain("Your previous reply was refused");
      expect(linesOf(await run.lines(), "skill_gen_call")).toHaveLength(3);
    },
  );

  it("takes the third reply", async () => {
    const run = await generation({ ...solved, summary: ["", "", skillText()] });
    expect((await run.run()).gateReport?.passed).toBe(true);
  });
});

describe("settings and prompts", () => {
  it("come from configurable, as Studio sends them, with the defaults for the rest", async () => {
    const run = await generation({ teacher: attempts(1), rewards: [failed], settings: { maxAttempts: 1 }, asConfigurable: true });
    expect((await run.run()).attempts).toHaveLength(1);
  });

  it("cut an instruction that is too long and say so to the teacher", async () => {
    const run = await generation({ teacher: attempts(1), rewards: [failed], settings: { maxAttempts: 1, instructionCharacters: 55 } });
    await run.run();
    expect(run.teacher.calls[0]!.messages[1]!.text).toMatch(/characters cut/);
  });

  it("are refused with the name of the wrong one", async () => {
    const run = await generation({ teacher: [], settings: { maxAttempts: 0 } });
    await expect(run.run()).rejects.toThrow(/maxAttempts/);
  });

  it("can be replaced by the factory and by a mustache field, which wins", async () => {
    const run = await generation({
      teacher: attempts(2),
      rewards: [failed, passed],
      summary: [stale(1), skillText()],
      capabilities: {
        prompts: {
          exploreSystem: (input: { maxSteps: number }) => `Factory text, ${input.maxSteps} steps.`,
          reflectSystem: () => "Factory reflection.",
        } as unknown as NonNullable<Capabilities["prompts"]>,
      },
      settings: {
        reflectSystemPrompt: "Field reflection.",
        reflectUserPrompt: "{{task}} failed {{failedAttempts}} times: {{{testSummary}}}",
      },
    });
    await run.run();
    expect(run.teacher.calls[0]!.messages[0]!.text).toBe("Factory text, 100 steps.");
    expect(run.summary.calls[0]!.messages.map(({ text }) => text)).toEqual([
      "Field reflection.",
      "sums failed 1 times: FAILED (fix these):\n  ✗ test_total\n      the total is wrong",
    ]);
    expect(run.summary.calls[1]!.messages[0]!.text).toMatch(/^You write Agent Skills/);
  });
});

describe("the run log", () => {
  it("has every fact of the run once, in order, readable by readLog", async () => {
    const run = await generation({ teacher: attempts(3), rewards: [failed, failed, passed], summary: [stale(1), stale(2), skillText()] });
    const state = await run.run();
    const lines = await run.lines();
    expect(lines.filter(({ type }) => type !== "model_call").map(({ type }) => type)).toEqual([
      ...["attempt_start", "command", "execution_result", "reflect_call", "pdi_snapshot"],
      ...["attempt_start", "command", "execution_result", "reflect_call", "pdi_snapshot", "intervention"],
      ...["attempt_start", "command", "execution_result", "skill_gen_call", "gate", "task_summary"],
    ]);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(lines.length);
    const calls = linesOf(lines, "model_call");
    expect(calls.map(({ node, attempt: of, model }) => [node, of, model])).toEqual([
      ["call-model", 0, "teacher-model"],
      ["call-model", 0, "teacher-model"],
      ["reflect-memo", 0, "summary-model"],
      ["call-model", 1, "teacher-model"],
      ["call-model", 1, "teacher-model"],
      ["reflect-memo", 1, "summary-model"],
      ["call-model", 2, "teacher-model"],
      ["call-model", 2, "teacher-model"],
      ["distill", 2, "summary-model"],
    ]);
    expect(calls[0]).toMatchObject({ input_tokens: 100, cached_tokens: 40, output_tokens: 10, cost_usd: 0.01 });
    expect(linesOf(lines, "command").map(({ attempt: of, index, command, exit_code }) => [of, index, command, exit_code])).toEqual([
      [0, 0, "python3 sum.py", 0],
      [1, 0, "python3 sum.py", 0],
      [2, 0, "python3 sum.py", 0],
    ]);
    expect(linesOf(lines, "pdi_snapshot").map(({ weighted_pdi }) => weighted_pdi)).toEqual(
      state.pdi.map(({ weightedPdi }) => Math.round(weightedPdi * 1e4) / 1e4),
    );
    expect(linesOf(lines, "task_summary")[0]).toMatchObject({
      success: true,
      total_attempts: 3,
      reward_trajectory: [0, 0, 1],
      total_input_tokens: 900,
      total_output_tokens: 90,
    });
    expect(linesOf(lines, "execution_result")[1]).toMatchObject({
      n_passed: 0,
      n_tests: 1,
      agent_commands: "python3 sum.py",
      retry_injection: await run.injection(state, 1),
    });
  });

  it("numbers the commands of an attempt from 0 in order, those of one reply too", async () => {
    const run = await generation({
      teacher: [{ commands: ["a", "b"] }, { commands: ["c"] }, "done"],
      rewards: [passed],
      summary: [skillText()],
    });
    await run.run();
    expect(linesOf(await run.lines(), "command").map(({ index, command }) => [index, command])).toEqual([
      [0, "a"],
      [1, "b"],
      [2, "c"],
    ]);
  });
});

describe("the graph", () => {
  const nothing = {} as Capabilities;

  it("is drawn as it runs", async () => {
    expect((await createSkillGenerationGraph(nothing).compile().getGraphAsync()).drawMermaid()).toMatchSnapshot();
  });

  it("has one writer for each channel", async () => {
    const run = await generation({ teacher: attempts(3), rewards: [failed, failed, passed], summary: [stale(1), stale(2), skillText()] });
    const writers = new Map<string, Set<string>>();
    for await (const update of await run.graph.stream({ task: run.task }, { ...run.config, streamMode: "updates" } as never))
      for (const [node, written] of Object.entries(update as Record<string, object>))
        for (const channel of Object.keys(written ?? {})) writers.set(channel, (writers.get(channel) ?? new Set()).add(node));
    expect(Object.fromEntries([...writers].map(([channel, nodes]) => [channel, [...nodes]]))).toEqual({
      rollout: ["explore"],
      attempts: ["verify"],
      memos: ["reflect-memo"],
      pdi: ["pdi-check"],
      guidance: ["intervene"],
      skill: ["distill"],
      gateReport: ["gate"],
    });
  });

  it("goes on after an abort without repeating a finished attempt", async () => {
    const controller = new AbortController();
    const run = await generation({
      teacher: [
        ...attempt(),
        () => {
          controller.abort(new Error("Ctrl-C"));
          return new Promise<never>(() => {});
        },
        ...attempt("python3 again.py"),
      ],
      rewards: [failed, passed],
      summary: [stale(1), skillText()],
      signal: controller.signal,
    });
    await expect(run.run()).rejects.toThrow();
    const { signal: _, ...config } = run.config;
    const state = (await run.graph.invoke(null, config as never)) as Awaited<ReturnType<typeof run.run>>;
    expect(state.attempts.map(({ attempt: of, status }) => [of, status])).toEqual([
      [0, "FAIL"],
      [1, "PASS"],
    ]);
    expect(state.memos).toHaveLength(1);
    expect(linesOf(await run.lines(), "execution_result")).toHaveLength(2);
    expect(linesOf(await run.lines(), "attempt_start")).toHaveLength(2);
  });
});
