import { memoSection } from "../state/memo.js";
import type { PdiMethod, PdiValues } from "../state/pdi.js";
import { containment, divergenceSimilarity, jaccard, releaseDivergenceSimilarity, tokenList, tokenSet } from "./text-similarity.js";

/** Memos replaced before the weight is whole (spark.md section 3). */
export const PDI_WARMUP = 2;
/** A weighted PDI below this triggers an intervention. */
export const PDI_THRESHOLD = -0.5;

/** Two equal numbers differ by less than this after the arithmetic here; a real difference is never so small. */
const ROUNDING = 1e-9;

/** What one observation looks at. */
export interface PdiInput {
  method: PdiMethod;
  /** The memo that was replaced; empty when there was none. */
  memoBefore: string;
  memoAfter: string;
  /** Commands of the attempt between the two memos. */
  commands: string;
  /** Failed-test lines of that attempt, as `failedTestLines` of state/test-summary.ts reads them. */
  failedTests: readonly string[];
  /** The same of the attempt just before, whatever its status. */
  previousFailedTests: readonly string[];
  /** Memos replaced before this one; without it, the number of earlier observations. A recorded run's own step belongs here. */
  step?: number;
  /** For `js_divergence`: the words of the trajectory so far ({@link trajectoryVocabulary}); without it, those of this input. */
  vocabulary?: ReadonlySet<string>;
}

/** The texts of an observation whose words make up the trajectory's vocabulary. */
export type PdiTexts = Pick<PdiInput, "memoBefore" | "memoAfter" | "commands" | "failedTests" | "previousFailedTests">;

/**
 * Words of all observations of a trajectory up to the current one. The paper fixes one vocabulary for the trajectory;
 * while it runs only the past is known, and a later reading must give the same number, so the vocabulary grows:
 * `earlier` is that of the observations before these.
 */
export const trajectoryVocabulary = (observations: readonly PdiTexts[], earlier: ReadonlySet<string> = new Set()): Set<string> => {
  const words = new Set(earlier);
  for (const { memoBefore, memoAfter, commands, failedTests, previousFailedTests } of observations) {
    for (const text of [memoBefore, memoAfter, commands, ...failedTests, ...previousFailedTests]) {
      for (const word of tokenList(text)) words.add(word);
    }
  }
  return words;
};

interface Similarities {
  /** How much of the facts stands in the commands. */
  evidence(facts: string, commands: string): number;
  text(a: string, b: string): number;
  tests(a: readonly string[], b: readonly string[]): number;
}

const similaritiesOf = (input: PdiInput): Similarities => {
  if (input.method === "token_overlap") {
    return {
      evidence: (facts, commands) => containment(tokenSet(facts), tokenSet(commands)),
      text: (a, b) => jaccard(tokenSet(a), tokenSet(b)),
      tests: (a, b) => jaccard(new Set(a), new Set(b)),
    };
  }
  const vocabulary = input.method === "js_divergence" ? (input.vocabulary ?? trajectoryVocabulary([input])) : null;
  const text = vocabulary === null ? releaseDivergenceSimilarity : (a: string, b: string) => divergenceSimilarity(a, b, vocabulary);
  return { evidence: text, text, tests: (a, b) => (a.length === 0 && b.length === 0 ? 0 : text(a.join("\n"), b.join("\n"))) };
};

/** Standard score of `value` within `values`, population standard deviation; 0 when all are equal. */
export const standardScore = (value: number, values: readonly number[]): number => {
  const mean = values.reduce((sum, each) => sum + each, 0) / values.length;
  const deviation = Math.sqrt(values.reduce((sum, each) => sum + (each - mean) ** 2, 0) / values.length);
  return deviation < ROUNDING ? 0 : (value - mean) / deviation;
};

/**
 * One observation of the online proxy: does the new memo follow what was executed (exec), repeat the old plan (plan), stand still (oss)?
 * Pure over `history`, this task's earlier observations, oldest first. Source: arXiv 2605.09192 and its release; `token_overlap` is the
 * release's arithmetic to four decimals. Deviation: a weighted PDI within 1e-9 of the threshold does not trigger, because two
 * observations have scores of exactly 1 and floating point must not decide.
 */
export const observePdi = (history: readonly PdiValues[], input: PdiInput): PdiValues => {
  const similarity = similaritiesOf(input);
  const facts = memoSection(input.memoAfter, "Verified Facts");
  const firstMemo = input.memoBefore.trim() === "";

  const proxyExec = tokenList(facts).length === 0 ? 0 : similarity.evidence(facts, input.commands);
  const proxyPlan = firstMemo
    ? 0
    : similarity.text(memoSection(input.memoBefore, "Next Strategy"), memoSection(input.memoAfter, "Next Strategy"));
  const proxyOss = firstMemo
    ? 0
    : similarity.text(memoSection(input.memoBefore, "Verified Facts"), facts) / 2 +
      similarity.tests(input.previousFailedTests, input.failedTests) / 2;

  const score = (value: number, past: readonly number[]): number => (history.length === 0 ? value : standardScore(value, [...past, value]));
  const rawPdi =
    score(
      proxyExec,
      history.map((each) => each.proxyExec),
    ) -
    score(
      proxyPlan,
      history.map((each) => each.proxyPlan),
    ) -
    score(
      proxyOss,
      history.map((each) => each.proxyOss),
    );

  const step = input.step ?? history.length;
  const weight = Math.min(1, step / PDI_WARMUP);
  const weightedPdi = weight * rawPdi;
  const triggered = step >= 1 && weightedPdi < PDI_THRESHOLD - ROUNDING;
  const level = triggered ? (history.at(-1)?.triggered ? "strong" : "soft") : null;
  return { step, proxyExec, proxyPlan, proxyOss, rawPdi, weight, weightedPdi, triggered, level };
};
