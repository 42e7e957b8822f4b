import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestResult } from "../../state/attempt.js";
import { absentAs } from "./absent-as.js";
import { parsePytestOutput } from "./pytest-output.js";

/** Lines of a trace that a message keeps. */
const MESSAGE_LINES = 12;
const MESSAGE_CHARACTERS = 1_000;
/** pytest-json-ctrf writes only this for every failure; the reason stands in `trace`. */
const GENERIC_MESSAGE = /^The test failed in the \w+ phase\b/i;
const STATUSES = new Set(["passed", "failed", "skipped", "pending", "other"]);

/**
 * The tests that a verifier reported, from its log directory: `ctrf.json`, else `ctrf-report.json` and every `ctrf_*.json` together, else the
 * `-rA` lines of pytest in `test-stdout.txt`. Empty when there is nothing readable; a report is never a reason to fail. Source: specs/harbor.md 13.
 */
export async function readTests(verifierDir: string): Promise<TestResult[]> {
  const names = (await readdir(verifierDir).catch(absentAs<string[]>([]))).sort();
  const main = names.filter((name) => name === "ctrf.json");
  const reports = main.length > 0 ? main : names.filter((name) => /^ctrf[-_].*\.json$/.test(name));
  const tests: TestResult[] = [];
  for (const name of reports) tests.push(...parseCtrf(await textOf(join(verifierDir, name))));
  return tests.length > 0 ? tests : parsePytestOutput(await textOf(join(verifierDir, "test-stdout.txt")));
}

/** The tests of a CTRF text, whatever else it lacks; unreadable text and entries without a name give nothing. */
export function parseCtrf(text: string): TestResult[] {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch {
    return [];
  }
  const results = field(report, "results") ?? report;
  const tests = field(results, "tests");
  return Array.isArray(tests) ? tests.flatMap(testOf) : [];
}

/** Counts for a record: tests passed, and tests run, without skipped and pending ones. */
export function countTests(tests: readonly TestResult[]): { passed: number; total: number } {
  const run = tests.filter(({ status }) => status !== "skipped" && status !== "pending");
  return { passed: run.filter(({ status }) => status === "passed").length, total: run.length };
}

/**
 * Passed and failed tests as teacher and memo see them, each failed one with its message indented below its name; empty without tests.
 * Only a failed test's own line begins with a cross (state/test-summary.ts counts on it). Source: specs/spark.md 2.
 */
export function testSummary(tests: readonly TestResult[]): string {
  const passed = tests.filter(({ status }) => status === "passed").map(({ name }) => `  ✓ ${name}`);
  const failed = tests
    .filter(({ status }) => status === "failed" || status === "other")
    .map(({ name, message }) => [`  ✗ ${name}`, ...message.split("\n").flatMap(messageLine)].join("\n"));
  return [
    ...(passed.length > 0 ? ["PASSED (do NOT change logic for these):", ...passed] : []),
    ...(failed.length > 0 ? ["FAILED (fix these):", ...failed] : []),
  ].join("\n");
}

const messageLine = (line: string): string[] => {
  const text = line.trimEnd();
  return text === "" ? [] : [/^\s*[✗✘]/u.test(text) ? `      | ${text}` : `      ${text}`];
};

function testOf(entry: unknown): TestResult[] {
  const name = field(entry, "name");
  if (typeof name !== "string" || name.trim() === "") return [];
  const stated = String(field(entry, "status") ?? "other").toLowerCase();
  const status = (STATUSES.has(stated) ? stated : "other") as TestResult["status"];
  return [{ name: name.replace(/\s*\n\s*/g, " ").trim(), status, message: status === "passed" ? "" : messageOfTest(entry) }];
}

function messageOfTest(entry: unknown): string {
  const message = stringOf(field(entry, "message"));
  const trace = stringOf(field(entry, "trace"));
  if (message !== "" && !GENERIC_MESSAGE.test(message)) return cut(message);
  return cut(reasonOf(trace) || message);
}

/** The last block of pytest's `E ` lines of a trace, or its last lines when it has none. */
export function reasonOf(trace: string): string {
  const lines = trace.split(/\r?\n/).map((line) => line.trimEnd());
  const last = lines.findLastIndex((line) => /^E(\s|$)/.test(line));
  if (last < 0)
    return lines
      .filter((line) => line.trim() !== "")
      .slice(-3)
      .join("\n");
  let first = last;
  while (first > 0 && /^E(\s|$)/.test(lines[first - 1]!)) first--;
  const block = lines.slice(first, last + 1).map((line) => line.slice(1));
  const indent = Math.min(...block.filter((line) => line.trim() !== "").map((line) => line.length - line.trimStart().length));
  return block
    .map((line) => line.slice(indent))
    .slice(0, MESSAGE_LINES)
    .join("\n")
    .trim();
}

const cut = (text: string): string => {
  const lines = text.trim().split(/\r?\n/).slice(0, MESSAGE_LINES).join("\n");
  return lines.length > MESSAGE_CHARACTERS ? `${lines.slice(0, MESSAGE_CHARACTERS - 3)}...` : lines;
};
const stringOf = (value: unknown): string => (typeof value === "string" ? value : "");
const field = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
const textOf = (path: string): Promise<string> => readFile(path, "utf8").catch(absentAs(""));
