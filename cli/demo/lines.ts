import { trajectoryLineSchema } from "../../formats/trajectory/events.js";
import type { IdentifiedLine } from "../../formats/trajectory/log-file.js";
import { memoSection } from "../../state/memo.js";
import { failedTestLines } from "../../state/test-summary.js";

const WIDTH = 110;
const short = (text: string): string => {
  const line = text.trim().split("\n", 1)[0] ?? "";
  const more = text.trim().includes("\n") ? " …" : "";
  return line.length + more.length > WIDTH ? `${line.slice(0, WIDTH - 2)} …` : line + more;
};
/** The first line that is no heading. */
const firstSentence = (text: string): string => text.split("\n").find((line) => line.trim() !== "" && !line.startsWith("#")) ?? "";
const two = (value: number): string => value.toFixed(2);

/** Prints a run's log as it is written, a fact a line, for somebody who sees it for the first time. */
export function demoLines(out: (line: string) => void): (line: IdentifiedLine) => void {
  return (written) => {
    const parsed = trajectoryLineSchema.safeParse(written);
    if (!parsed.success) return;
    const line = parsed.data;
    switch (line.type) {
      case "attempt_start":
        out("");
        return out(`attempt ${line.attempt + 1}${line.retry > 0 ? ` (repeated after an infrastructure failure)` : ""}: a new environment`);
      case "command":
        return out(
          `  $ ${short(line.command)}  [${line.exit_code === null ? "timed out" : `exit ${line.exit_code}`}, ${(line.duration_ms / 1000).toFixed(1)} s]`,
        );
      case "execution_result": {
        out(
          `  verifier  ${line.status}, reward ${line.reward}, ${line.n_passed} of ${line.n_tests} tests passed (sandbox ${String(line["backend"])}, verifier ${String(line["verifier"])})`,
        );
        for (const test of failedTestLines(line.test_summary).slice(0, 8)) out(`            ✗ ${short(test)}`);
        return;
      }
      case "infra_failure":
        return out(`  no verdict: ${line.error.code}: ${short(line.error.message)} (costs no attempt)`);
      case "reflect_call":
        return out(`  memo      rewritten; its plan: ${short(memoSection(line.memo_after, "Next Strategy"))}`);
      case "pdi_snapshot": {
        const values = `exec ${two(line.proxy_exec)}, plan ${two(line.proxy_plan)}, stagnation ${two(line.proxy_oss)}, weighted ${two(line.weighted_pdi)}`;
        return out(
          `  PDI       ${values}${line.triggered ? ` < -0.50: the memo repeats itself, a ${line.level} intervention follows` : ""}`,
        );
      }
      case "intervention":
        return out(`  steering  the next attempt is told (${line.level}): ${short(firstSentence(line.text ?? ""))}`);
      case "skill_gen_call":
        return out(
          `  distilled a SKILL.md of ${line.response.length} characters from the verified commands${line.refused ? `, refused: ${short(line.refused)}` : ""}`,
        );
      case "gate":
        out(
          `  gate      ${line.passed ? "passed" : "refused"}, ${line.findings.length} finding(s)${line.passed ? `, published as ${line.path}` : ""}`,
        );
        for (const { severity, rule, message } of line.findings) out(`            ${severity} ${rule}: ${short(message)}`);
        return;
      case "task_summary":
        return out(
          `  done      ${line.success ? "solved" : "not solved"} after ${line.total_attempts} attempts in ${line.total_time_s.toFixed(0)} s`,
        );
    }
  };
}
