import type { TestResult } from "../../state/attempt.js";

const STATUS = { PASSED: "passed", FAILED: "failed", ERROR: "failed", SKIPPED: "skipped", XFAIL: "skipped", XPASS: "passed" } as const;
const LINE = new RegExp(`^(${Object.keys(STATUS).join("|")})\\s+(\\S.*)$`);

/**
 * Tests from what `pytest -rA` prints at its end, one line a test, for verifiers that write no CTRF: `FAILED <nodeid> - <reason>`.
 * Terminal colours are dropped. A skipped line counts its tests (`SKIPPED [2] file:line: reason`) as one entry. Empty when there are no such lines.
 */
export function parsePytestOutput(text: string): TestResult[] {
  const plain = text.replace(/\u001b\[[0-9;]*m/g, "");
  const summary = plain.lastIndexOf("short test summary info");
  const tests = new Map<string, TestResult>();
  for (const line of (summary < 0 ? plain : plain.slice(summary)).split(/\r?\n/)) {
    const match = LINE.exec(line);
    if (!match) continue;
    const { name, reason } = split(match[2]!);
    // Without the summary's heading other programs' lines look alike: a node id has a file.
    if (summary < 0 && !name.includes("::")) continue;
    const status = STATUS[match[1] as keyof typeof STATUS];
    tests.set(name, { name, status, message: status === "passed" ? "" : reason });
  }
  return [...tests.values()];
}

/** `test_a.py::test_x[a - b] - AssertionError: …`: the reason begins after the first ` - ` behind the parameters' closing bracket. */
function split(text: string): { name: string; reason: string } {
  const open = text.indexOf("[");
  const dash = text.indexOf(" - ");
  const close = open > 0 && (dash < 0 || open < dash) ? text.indexOf("] - ", open) : -1;
  const at = close > 0 ? close + 1 : open > 0 && open < dash && text.endsWith("]") ? -1 : dash;
  return at < 0 ? { name: text.trim(), reason: "" } : { name: text.slice(0, at).trim(), reason: text.slice(at + 3).trim() };
}
