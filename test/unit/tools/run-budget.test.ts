import { describe, expect, it } from "vitest";
import { SparkError } from "../../../state/errors.js";
import { noUsage } from "../../../state/model.js";
import { createRunBudget } from "../../../tools/run-budget.js";

const usage = (inputTokens: number, outputTokens: number, costUsd: number | null) => ({
  inputTokens,
  cachedTokens: 0,
  outputTokens,
  costUsd,
});
const none = { maxCostUsd: null, maxTokens: null };
const codeOf = (work: () => void): string => {
  try {
    work();
    return "no error";
  } catch (error) {
    return SparkError.isInstance(error) ? `${error.code}: ${error.message}` : String(error);
  }
};

describe("createRunBudget", () => {
  it("refuses at the cap on cost, naming what was used and how to go on", () => {
    const budget = createRunBudget({ maxCostUsd: 1, maxTokens: null });
    budget.charge(usage(1, 1, 0.999));
    expect(codeOf(() => budget.check())).toBe("no error");
    budget.charge(usage(1, 1, 0.001));
    expect(budget.reached()).toBe("cost");
    expect(codeOf(() => budget.check())).toMatch(/^budget-reached: the cap on cost is reached \(\$1\.0000 used\).*--max-cost-usd/);
  });

  it("refuses at the cap on tokens, input and output together", () => {
    const budget = createRunBudget({ maxCostUsd: null, maxTokens: 100 });
    budget.charge(usage(60, 40, null));
    expect(codeOf(() => budget.check())).toMatch(/^budget-reached: the cap on tokens is reached \(100 tokens used\).*--max-tokens/);
  });

  it("goes on from what a resumed run had spent", () => {
    const budget = createRunBudget({ maxCostUsd: 2, maxTokens: null }, usage(10, 5, 1.5));
    budget.charge(usage(1, 1, 0.25));
    expect(budget.spent()).toEqual(usage(11, 6, 1.75));
    expect(budget.reached()).toBeNull();
  });

  it("has no end without caps, and keeps an unknown cost unknown", () => {
    const budget = createRunBudget(none);
    budget.charge(usage(1e9, 1e9, null));
    expect(budget.reached()).toBeNull();
    expect(budget.spent().costUsd).toBeNull();
  });

  it("needs room in the parent too, and charges it", () => {
    const run = createRunBudget({ maxCostUsd: null, maxTokens: 100 });
    const first = createRunBudget(none, noUsage, run);
    const second = createRunBudget({ maxCostUsd: null, maxTokens: 1000 }, noUsage, run);
    first.charge(usage(50, 50, 0));
    expect(run.spent()).toEqual(usage(50, 50, 0));
    expect(second.spent()).toEqual(noUsage);
    expect(second.reached()).toBe("tokens");
    expect(codeOf(() => second.check())).toContain("budget-reached");
  });

  it("names the run's figures when it is the run's cap that is reached", () => {
    const run = createRunBudget({ maxCostUsd: null, maxTokens: 100 });
    const task = createRunBudget(none, noUsage, run);
    run.charge(usage(100, 0, 0));
    expect(codeOf(() => task.check())).toMatch(/the cap on tokens is reached \(100 tokens used\).*--max-tokens/);
  });

  it("names the file that sets a task's own cap", () => {
    const task = createRunBudget({ maxCostUsd: null, maxTokens: 5 }, noUsage, createRunBudget(none));
    task.charge(usage(5, 0, 0));
    expect(codeOf(() => task.check())).toMatch(/the task's cap on tokens.*maxTaskTokens in --budgets/);
  });
});
