import { memoSection } from "../state/memo.js";
import { standardScore } from "./pdi.js";
import { divergenceSimilarity, jaccard, releaseDivergenceSimilarity, tokenList, tokenSet } from "./text-similarity.js";

/** A finished task that ended with a skill. */
export interface FinishedTask {
  task: string;
  /** Text of SKILL.md. */
  skill: string;
  /** Commands of the attempt that solved it. */
  commands: string;
  /** The memo after each reflection, oldest first; none: the task was solved at once. */
  memos: readonly string[];
  /** Failed-test lines of each attempt that was reflected on, oldest first. */
  failedTests: readonly (readonly string[])[];
  /** Scored attempts, the solving one included. */
  attempts: number;
  /** Characters of all that the agent put out in all attempts. */
  outputCharacters: number;
}

export interface RetrospectivePdi {
  task: string;
  /** `reflected`: at least one reflection; `at-once`: solved by the first attempt. Scores are standardised within the group. */
  group: "reflected" | "at-once";
  /** psi of the successful commands and SKILL.md. */
  phiExec: number;
  /** psi of all Next Strategy sections and SKILL.md; 0 without a memo. */
  phiPlan: number;
  /** Half the mean psi of successive Verified Facts plus half that of successive failed-test sets; 0 without a pair. */
  phiOss: number;
  pdi: number;
  /** Number of scored attempts: the recorded scores follow it closely (Spearman -.79 on 16 tasks), so they are never shown without it. */
  attempts: number;
  /** Whether successive memos grow more alike (`convergent`) or less; null with fewer than three memos or no slope. */
  direction: "convergent" | "divergent" | null;
  /** Least-squares slope of the Jaccard of successive memos, a step a pair; null with fewer than three memos. */
  slope: number | null;
  /** Characters of all output over characters of SKILL.md; null when that is empty. */
  compression: number | null;
}

type Psi = (a: string, b: string) => number;

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;

const successive = <T, R>(items: readonly T[], compare: (before: T, after: T) => R): R[] =>
  items.slice(1).map((item, index) => compare(items[index] as T, item));

/** Least-squares slope over 0, 1, 2, …; null for fewer than two values. */
export const slopeOf = (values: readonly number[]): number | null => {
  if (values.length < 2) return null;
  const middle = (values.length - 1) / 2;
  const average = mean(values);
  let product = 0;
  let square = 0;
  for (const [index, value] of values.entries()) {
    product += (index - middle) * (value - average);
    square += (index - middle) ** 2;
  }
  return product / square;
};

const psiOf = (task: FinishedTask, method: RetrospectiveMethod): Psi => {
  if (method === "js_divergence_release") return releaseDivergenceSimilarity;
  const texts = [task.skill, task.commands, ...task.memos, ...task.failedTests.flat()];
  const vocabulary = new Set(texts.flatMap(tokenList));
  return (a, b) => divergenceSimilarity(a, b, vocabulary);
};

const phisOf = (task: FinishedTask, psi: Psi): Pick<RetrospectivePdi, "phiExec" | "phiPlan" | "phiOss"> => {
  const facts = task.memos.map((memo) => memoSection(memo, "Verified Facts"));
  const tests = task.failedTests.map((lines) => lines.join("\n"));
  return {
    phiExec: psi(task.commands, task.skill),
    phiPlan: task.memos.length === 0 ? 0 : psi(task.memos.map((memo) => memoSection(memo, "Next Strategy")).join("\n"), task.skill),
    phiOss: mean(successive(facts, psi)) / 2 + mean(successive(tests, psi)) / 2,
  };
};

export type RetrospectiveMethod = "js_divergence" | "js_divergence_release";

/** A slope nearer to 0 than this is none: it is what floating point leaves of equal values. */
const FLAT = 1e-12;

/**
 * The retrospective score, one number a finished task: z(phiExec) - z(phiPlan) - z(phiOss), each z over the tasks of its group, population
 * standard deviation, 0 in a group of one. Tasks without any reflection have neither plan nor stagnation and are standardised among themselves.
 * Source: arXiv 2605.09192; psi is the paper's, with the words of the whole trajectory and SKILL.md as vocabulary, or the release's.
 */
export const retrospectivePdi = (tasks: readonly FinishedTask[], method: RetrospectiveMethod = "js_divergence"): RetrospectivePdi[] => {
  const measured = tasks.map((task) => {
    const group: RetrospectivePdi["group"] = task.memos.length === 0 ? "at-once" : "reflected";
    const slope = slopeOf(successive(task.memos, (before, after) => jaccard(tokenSet(before), tokenSet(after))));
    return {
      task: task.task,
      group,
      ...phisOf(task, psiOf(task, method)),
      attempts: task.attempts,
      direction: slope === null || Math.abs(slope) < FLAT ? null : slope > 0 ? ("convergent" as const) : ("divergent" as const),
      slope,
      compression: task.skill === "" ? null : task.outputCharacters / task.skill.length,
    };
  });
  return measured.map((each) => {
    const group = measured.filter((other) => other.group === each.group);
    const score = (key: "phiExec" | "phiPlan" | "phiOss"): number =>
      standardScore(
        each[key],
        group.map((other) => other[key]),
      );
    return { ...each, pdi: score("phiExec") - score("phiPlan") - score("phiOss") };
  });
};
