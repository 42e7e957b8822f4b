import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { observePdi, type PdiInput, standardScore, trajectoryVocabulary } from "../../../metrics/pdi.js";
import type { PdiValues } from "../../../state/pdi.js";
import { failedTestLines } from "../../../state/test-summary.js";

const snapshotsPath = resolve(import.meta.dirname, "../../../../shared/recorded/pdi-snapshots.jsonl");
const shared = existsSync(snapshotsPath);
if (!shared) {
  if (process.env.REQUIRE_SHARED === "1") throw new Error(`${snapshotsPath} is missing and REQUIRE_SHARED=1`);
  console.warn(`skipped: the recorded snapshots are not at ${snapshotsPath}`);
}

interface Snapshot {
  task: string;
  attempt: number;
  step: number;
  memoBefore: string;
  memoAfter: string;
  agentCommands: string;
  testSummary: string;
  previousTestSummary: string;
  expected: Record<string, number | boolean | string | null>;
}

const readSnapshots = (): Snapshot[] =>
  readFileSync(snapshotsPath, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Snapshot);

const memo = (facts: string, strategy: string): string =>
  `## Exploration Memo (1 failed attempts)\n\n### Verified Facts\n${facts}\n\n### Current Error Pattern\nnone\n\n### Next Strategy\n${strategy}\n`;

const input = (part: Partial<PdiInput>): PdiInput => ({
  method: "token_overlap",
  memoBefore: "",
  memoAfter: "",
  commands: "",
  failedTests: [],
  previousFailedTests: [],
  ...part,
});

const observeAll = (inputs: readonly PdiInput[]): PdiValues[] => {
  const history: PdiValues[] = [];
  for (const each of inputs) history.push(observePdi(history, each));
  return history;
};

describe("the recorded snapshots of the release", () => {
  test.skipIf(!shared)("all 40 come out to four decimals, with the recorded step", () => {
    const histories = new Map<string, PdiValues[]>();
    const snapshots = readSnapshots();
    expect(snapshots).toHaveLength(40);
    for (const snapshot of snapshots) {
      const history = histories.get(snapshot.task) ?? [];
      const values = observePdi(history, {
        method: "token_overlap",
        memoBefore: snapshot.memoBefore,
        memoAfter: snapshot.memoAfter,
        commands: snapshot.agentCommands,
        failedTests: failedTestLines(snapshot.testSummary),
        previousFailedTests: failedTestLines(snapshot.previousTestSummary),
        step: snapshot.step,
      });
      const four = (value: number): number => Number(value.toFixed(4));
      expect
        .soft(
          {
            proxy_exec: four(values.proxyExec),
            proxy_plan: four(values.proxyPlan),
            proxy_oss: four(values.proxyOss),
            raw_pdi: four(values.rawPdi),
            weight: values.weight,
            weighted_pdi: four(values.weightedPdi),
            triggered: values.triggered,
            level: values.level,
          },
          `${snapshot.task}, attempt ${snapshot.attempt}`,
        )
        .toEqual(snapshot.expected);
      histories.set(snapshot.task, [...history, values]);
    }
  });
});

describe("one observation", () => {
  it("takes exec from the facts that the commands show, and has no plan or stagnation before there was a memo", () => {
    const values = observePdi(
      [],
      input({
        memoAfter: memo("solver needs numpy", "try again"),
        commands: "pip install numpy && run solver",
        failedTests: ["t1"],
        previousFailedTests: ["t1"],
      }),
    );
    expect(values).toEqual({
      step: 0,
      proxyExec: 2 / 3,
      proxyPlan: 0,
      proxyOss: 0,
      rawPdi: 2 / 3,
      weight: 0,
      weightedPdi: 0,
      triggered: false,
      level: null,
    });
  });

  it("takes plan and stagnation from the memo before and the failed tests of the attempt before", () => {
    const values = observePdi(
      [],
      input({
        memoBefore: memo("a b", "p q"),
        memoAfter: memo("b c", "p q r s"),
        commands: "nothing",
        failedTests: ["t1", "t2"],
        previousFailedTests: ["t2"],
        step: 2,
      }),
    );
    expect(values).toMatchObject({ proxyExec: 0, proxyPlan: 0.5, rawPdi: -0.5 - (1 / 3 / 2 + 1 / 4), weight: 1 });
    expect(values.proxyOss).toBeCloseTo(1 / 6 + 1 / 4, 12);
  });

  it("counts two empty sides as 0: no failed tests and no facts are no stagnation", () => {
    const empty = { memoBefore: memo("", "x"), memoAfter: memo("", "y") };
    for (const method of ["token_overlap", "js_divergence", "js_divergence_release"] as const) {
      expect(observePdi([], input({ ...empty, method }))).toMatchObject({ proxyExec: 0, proxyOss: 0 });
    }
  });

  it("of a memo that is error text without sections is 0 in every proxy (the 245 kB error that looked like a recovery)", () => {
    const error = `Error code: 502 <html>${"bad gateway ".repeat(1000)}`;
    expect(observePdi([], input({ memoBefore: memo("a b", "c"), memoAfter: error, commands: "a b", step: 1 }))).toMatchObject({
      proxyExec: 0,
      proxyPlan: 0,
      proxyOss: 0,
    });
  });

  it("computes weight and trigger with the recorded step of an older release, which starts at -1", () => {
    const values = observePdi([], input({ memoAfter: memo("a b", "c"), commands: "a", step: -1 }));
    expect(values).toMatchObject({ step: -1, weight: -0.5, weightedPdi: -0.25, triggered: false, level: null });
  });
});

describe("a history of observations", () => {
  const stale = (facts: string, commands: string): PdiInput =>
    input({
      memoBefore: memo("a b c d", "same plan"),
      memoAfter: memo(facts, "same plan"),
      commands,
      failedTests: ["t"],
      previousFailedTests: ["t"],
    });

  it("standardises from the second observation on; two values give exactly ±1 each", () => {
    const [, second] = observeAll([input({ memoAfter: memo("a b c d", "same plan"), commands: "a b c d" }), stale("a b c d", "a b")]);
    expect(second!.rawPdi).toBeCloseTo(-3, 12);
    expect(second).toMatchObject({ step: 1, weight: 0.5, triggered: true, level: "soft" });
  });

  it("does not trigger on a weighted value of exactly the threshold, whatever floating point makes of it", () => {
    // exec rises (+1), plan rises (-1), oss rises (-1): raw -1, weighted -0.5 at step 1, as recorded in 3d-scan-calc.
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 31, max: 60 }), (few, many) => {
        const names = (count: number): string => Array.from({ length: count }, (_, index) => `w${index}`).join(" ");
        const facts = names(60);
        const [, second] = observeAll([
          input({ memoAfter: memo(facts, "same plan"), commands: names(few) }),
          input({
            memoBefore: memo(facts, "same plan"),
            memoAfter: memo(facts, "same plan"),
            commands: names(many),
            failedTests: ["t"],
            previousFailedTests: ["t"],
          }),
        ]);
        expect(second!.rawPdi).toBeCloseTo(-1, 9);
        expect(second!.triggered).toBe(false);
      }),
    );
  });

  it("is strong only when the observation before triggered too", () => {
    const history = observeAll([
      input({ memoAfter: memo("a b c d", "same plan"), commands: "a b c d" }),
      stale("a b c d", "a b"),
      stale("a b c d", "a"),
    ]);
    expect(history.map((values) => values.level)).toEqual([null, "soft", "strong"]);
    expect(observePdi([history[0]!, { ...history[1]!, triggered: false, level: null }], stale("a b c d", "a")).level).toBe("soft");
  });

  it("keeps no state of its own: the same history and input give the same values, and neither is changed", () => {
    const history = observeAll([input({ memoAfter: memo("a b", "x"), commands: "a" }), stale("a b c", "c")]);
    const before = structuredClone(history);
    const next = stale("d e", "e");
    expect(observePdi(history, next)).toEqual(observePdi(history, next));
    expect(history).toEqual(before);
  });

  it("holds every proxy between 0 and 1 and follows its own formulas, for every method", () => {
    const words = fc.array(fc.constantFrom("a", "b", "c", "d", "e"), { maxLength: 6 }).map((list) => list.join(" "));
    const tests = fc.array(fc.constantFrom("t1", "t2", "t3"), { maxLength: 3 });
    const anInput = fc.record({
      method: fc.constantFrom("token_overlap" as const, "js_divergence" as const, "js_divergence_release" as const),
      memoBefore: fc.oneof(
        fc.constant(""),
        fc.tuple(words, words).map(([f, s]) => memo(f, s)),
      ),
      memoAfter: fc.tuple(words, words).map(([f, s]) => memo(f, s)),
      commands: words,
      failedTests: tests,
      previousFailedTests: tests,
    });
    fc.assert(
      fc.property(fc.array(anInput, { minLength: 1, maxLength: 6 }), (inputs) => {
        const history = observeAll(inputs);
        for (const [index, values] of history.entries()) {
          for (const proxy of [values.proxyExec, values.proxyPlan, values.proxyOss]) {
            expect(proxy).toBeGreaterThanOrEqual(0);
            expect(proxy).toBeLessThanOrEqual(1);
          }
          expect(values.step).toBe(index);
          expect(values.weightedPdi).toBeCloseTo(Math.min(1, index / 2) * values.rawPdi, 12);
          expect(values.level === null).toBe(!values.triggered);
        }
      }),
    );
  });
});

describe("standardScore", () => {
  it("is 0 for equal values, also when their mean is not exact", () => {
    expect(standardScore(0.1, [0.1, 0.1, 0.1])).toBe(0);
    expect(standardScore(7, [7])).toBe(0);
  });

  it("uses the population standard deviation", () => {
    expect(standardScore(9, [2, 4, 4, 4, 5, 5, 7, 9])).toBe(2);
  });
});

describe("the vocabulary of a trajectory", () => {
  it("holds the words of memos, commands and failed tests of every observation so far", () => {
    const words = trajectoryVocabulary([
      input({ memoAfter: "One", commands: "two" }),
      input({ memoBefore: "one", memoAfter: "three", failedTests: ["test_four"], previousFailedTests: ["five"] }),
    ]);
    expect([...words].sort()).toEqual(["five", "one", "test_four", "three", "two"]);
  });

  it("changes the paper's form and leaves the release's alone", () => {
    const wide = new Set(Array.from({ length: 500 }, (_, index) => `w${index}`));
    const observe = (method: PdiInput["method"], vocabulary?: Set<string>): number =>
      observePdi([], input({ method, memoAfter: memo("a b c", "x"), commands: "c d", ...(vocabulary ? { vocabulary } : {}) })).proxyExec;
    expect(observe("js_divergence", wide)).not.toBeCloseTo(observe("js_divergence"), 4);
    expect(observe("js_divergence_release", wide)).toBe(observe("js_divergence_release"));
  });
});
