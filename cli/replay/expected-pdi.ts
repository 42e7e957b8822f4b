import type { PdiFields } from "../../formats/trajectory/events.js";
import type { PdiSeries } from "../../formats/trajectory/read-pdi.js";
import { observePdi, trajectoryVocabulary } from "../../metrics/pdi.js";
import type { PdiMethod, PdiValues } from "../../state/pdi.js";
import { wireFields } from "../pdi.js";

/**
 * What the recorded texts give, by attempt, when some reflections never took place and the step starts at 0: the memo before one is then that
 * of the last reflection that did, and the tests before are those of the last attempt that was scored.
 */
export function expectedPdi(
  series: PdiSeries,
  method: PdiMethod,
  without: { reflections: ReadonlySet<number>; attempts: ReadonlySet<number> },
): Map<number, PdiFields> {
  const expected = new Map<number, PdiFields>();
  const history: PdiValues[] = [];
  let vocabulary: ReadonlySet<string> = new Set();
  let memoBefore = "";
  let failedBefore: readonly string[] | null = null;
  for (const observation of series.observations) {
    const { attempt, failedTests, memoAfter } = observation;
    if (without.attempts.has(attempt)) continue;
    if (!without.reflections.has(attempt)) {
      const texts = { ...observation, memoBefore, previousFailedTests: failedBefore ?? observation.previousFailedTests };
      vocabulary = trajectoryVocabulary([texts], vocabulary);
      const values = observePdi(history, { ...texts, method, vocabulary });
      history.push(values);
      expected.set(attempt, wireFields(values));
      memoBefore = memoAfter;
    }
    failedBefore = failedTests;
  }
  return expected;
}
