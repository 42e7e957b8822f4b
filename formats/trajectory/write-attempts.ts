import { scoredAttempts } from "../../state/attempt.js";
import type { TaskDirectory } from "../run-directory.js";
import { type LoggedState, pdiWire } from "./log-lines.js";

export const ATTEMPTS_FILE = "attempts.json";
/** As the release writes them beside its history; the arithmetic itself is in metrics/pdi.ts. */
const RELEASE_PDI = { warmup: 2, threshold: -0.5 };

/**
 * `attempts.json` beside the log, with the release's names (spark.md section 2): what one opens to see where a task stands. It is
 * made anew from the records each time, so it never says something else than they do.
 */
export async function writeAttemptsFile(
  store: TaskDirectory,
  task: string,
  state: LoggedState,
  config: Record<string, unknown>,
): Promise<void> {
  const accepted = (state.memos ?? []).filter((memo) => memo.accepted);
  const attempts = await Promise.all(
    scoredAttempts(state.attempts ?? []).map(async (record) => ({
      attempt: record.attempt,
      status: record.status,
      reward: record.reward,
      agent_commands: await store.text(record.rollout.commandText),
      test_summary: await store.text(record.testSummary),
      n_passed: record.passed,
      n_tests: record.total,
    })),
  );
  const history = await Promise.all(accepted.map((memo) => store.text(memo.memo)));
  await store.write(
    ATTEMPTS_FILE,
    `${JSON.stringify(
      {
        task_name: task,
        max_retries: config["max_retries"] ?? null,
        exploration_memo: history.at(-1) ?? "",
        // The release keeps the memo in force apart from the ones that it replaced.
        memo_history: history.slice(0, -1),
        attempts,
        pdi: {
          enabled: config["pdi"] !== "off",
          observe_only: config["pdi"] === "observe",
          ...RELEASE_PDI,
          history: (state.pdi ?? []).map(pdiWire),
        },
      },
      null,
      2,
    )}\n`,
  );
}
