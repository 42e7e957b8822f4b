import { describe, expect, it } from "vitest";
import { type FinishedTask, retrospectivePdi, slopeOf } from "../../../metrics/retrospective-pdi.js";

const memo = (facts: string, strategy: string): string => `### Verified Facts\n${facts}\n### Next Strategy\n${strategy}\n`;

const finished = (part: Partial<FinishedTask>): FinishedTask => ({
  task: "t",
  skill: "# Skill\nrun the solver with numpy",
  commands: "run the solver",
  memos: [],
  failedTests: [],
  attempts: 1,
  outputCharacters: 58,
  ...part,
});

describe("the retrospective score", () => {
  it("standardises tasks with a reflection among themselves, and tasks solved at once among themselves", () => {
    const scores = retrospectivePdi([
      finished({
        task: "good",
        commands: "run the solver with numpy",
        memos: [memo("f", "unrelated words")],
        failedTests: [["a"]],
        attempts: 2,
      }),
      finished({
        task: "bad",
        commands: "something else entirely",
        memos: [memo("f", "run the solver with numpy")],
        failedTests: [["a"]],
        attempts: 2,
      }),
      finished({ task: "once" }),
    ]);
    expect(scores.map(({ task, group, attempts }) => [task, group, attempts])).toEqual([
      ["good", "reflected", 2],
      ["bad", "reflected", 2],
      ["once", "at-once", 1],
    ]);
    // Two tasks: z(exec) is ±1, z(plan) is ∓1, stagnation is 0 for both; a group of one has no deviation.
    expect(scores[0]!.pdi).toBeCloseTo(2, 12);
    expect(scores[1]!.pdi).toBeCloseTo(-2, 12);
    expect(scores[2]!.pdi).toBe(0);
  });

  it("takes exec from the successful commands, plan from all strategies joined, stagnation from successive facts and failed tests", () => {
    const still = finished({
      memos: [memo("a b", "x y"), memo("a b", "x y")],
      failedTests: [
        ["t1", "t2"],
        ["t1", "t2"],
      ],
      skill: "x y x y",
      commands: "x y",
    });
    const [score] = retrospectivePdi([still]);
    expect(score!.phiOss).toBeCloseTo(1, 9);
    expect(score!.phiPlan).toBeCloseTo(1, 9);
    expect(score!.phiExec).toBeGreaterThan(0.99);
  });

  it("has no plan and no stagnation without a memo, and no stagnation with a single one", () => {
    expect(retrospectivePdi([finished({})])[0]).toMatchObject({ phiPlan: 0, phiOss: 0, direction: null, slope: null });
    expect(retrospectivePdi([finished({ memos: [memo("a", "b")], failedTests: [["t"]] })])[0]).toMatchObject({
      phiOss: 0,
      direction: null,
    });
  });

  it("calls memos convergent when successive ones grow more alike, divergent when less, and neither without a slope", () => {
    const direction = (memos: string[]) => retrospectivePdi([finished({ memos, failedTests: memos.map(() => ["t"]) })])[0]!.direction;
    expect(direction(["a b", "c d", "c d"])).toBe("convergent");
    expect(direction(["a b", "a b", "c d"])).toBe("divergent");
    expect(direction(["a b", "a b", "a b"])).toBeNull();
    expect(direction(["a b", "c d"])).toBeNull();
  });

  it("says how much shorter the skill is than all output, and null for an empty skill", () => {
    expect(retrospectivePdi([finished({ skill: "12345", outputCharacters: 50 })])[0]!.compression).toBe(10);
    expect(retrospectivePdi([finished({ skill: "" })])[0]!.compression).toBeNull();
  });

  it("offers the release's psi, whose least value is 1 - ln 2", () => {
    const apart = finished({ skill: "a ".repeat(300), commands: "b ".repeat(300) });
    expect(retrospectivePdi([apart], "js_divergence_release")[0]!.phiExec).toBeCloseTo(1 - Math.LN2, 3);
    expect(retrospectivePdi([apart])[0]!.phiExec).toBeLessThan(0.01);
  });
});

describe("slopeOf", () => {
  it("is that of the least-squares line over 0, 1, 2, …", () => {
    expect(slopeOf([1, 3, 5, 7])).toBeCloseTo(2, 12);
    expect(slopeOf([0, 1, 0])).toBeCloseTo(0, 12);
    expect(slopeOf([4])).toBeNull();
  });
});
