import { SparkError } from "../state/errors.js";
import { addUsage, noUsage, type Usage } from "../state/model.js";
import type { RunBudget } from "./capabilities.js";

export interface BudgetCaps {
  /** US dollars; null: no cap. */
  maxCostUsd: number | null;
  /** Input plus output tokens; null: no cap. */
  maxTokens: number | null;
}

export interface CountingBudget extends RunBudget {
  /** Everything spent so far, what a resumed run had spent before included. */
  spent(): Usage;
  /** The cap that was reached, null while there is room. */
  reached(): "cost" | "tokens" | null;
}

/**
 * Counts against caps; a call that was begun is always counted, so a cap is passed by at most the calls that run at that moment.
 * With a `parent` (the whole run's budget) both must have room.
 */
export function createRunBudget(caps: BudgetCaps, spentBefore: Usage = noUsage, parent?: CountingBudget): CountingBudget {
  let spent = spentBefore;
  const ownReached = (): "cost" | "tokens" | null => {
    if (caps.maxCostUsd !== null && (spent.costUsd ?? 0) >= caps.maxCostUsd) return "cost";
    if (caps.maxTokens !== null && spent.inputTokens + spent.outputTokens >= caps.maxTokens) return "tokens";
    return null;
  };
  const whose = parent ? "the task's cap" : "the cap";
  const options = parent
    ? { cost: "maxTaskCostUsd in --budgets", tokens: "maxTaskTokens in --budgets" }
    : { cost: "--max-cost-usd", tokens: "--max-tokens" };
  return {
    reached: () => ownReached() ?? parent?.reached() ?? null,
    spent: () => spent,
    charge(usage) {
      spent = addUsage(spent, usage);
      parent?.charge(usage);
    },
    check() {
      parent?.check();
      const cap = ownReached();
      if (cap === null) return;
      const used = cap === "cost" ? `$${(spent.costUsd ?? 0).toFixed(4)}` : `${spent.inputTokens + spent.outputTokens} tokens`;
      throw new SparkError(`${whose} on ${cap} is reached (${used} used); resume the run with a higher ${options[cap]}`, {
        code: "budget-reached",
      });
    },
  };
}
