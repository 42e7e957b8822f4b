import type { z } from "zod";
import { type TextPosition, tomlPosition } from "./toml-position.js";

type Issue = z.core.$ZodIssue;
interface Complaint {
  position: TextPosition;
  key: string;
  what: string;
}

/**
 * What a schema found wrong in a TOML text, in the order of the text, each as `7:1: verifier.timeout_sec must be > 0, got -1`.
 * A missing key stands at the place of its table.
 */
export function tomlComplaints(text: string, parsed: unknown, issues: readonly Issue[]): string[] {
  return issues
    .map((issue) => complaintOf(text, parsed, issue, []))
    .sort((a, b) => a.position.line - b.position.line || a.position.column - b.position.column)
    .map(({ position, key, what }) => `${position.line}:${position.column}: ${key} ${what}`);
}

function complaintOf(text: string, parsed: unknown, issue: Issue, parent: readonly PropertyKey[]): Complaint {
  const path = [...parent, ...issue.path].map((part) => (typeof part === "symbol" ? String(part) : part));
  if (issue.code === "invalid_union") {
    // The branch that got furthest into the value is the one that was meant.
    const inner = issue.errors.flat().find((one) => one.path.length > 0);
    if (inner) return complaintOf(text, parsed, inner, path);
  }
  return { position: tomlPosition(text, path), key: keyText(path), what: whatIsWrong(issue, valueAt(parsed, path)) };
}

/** `steps[0].agent.timeout_sec`. */
const keyText = (path: readonly (string | number)[]): string =>
  path.map((part, index) => (typeof part === "number" ? `[${part}]` : `${index > 0 ? "." : ""}${part}`)).join("") || "task.toml";

const valueAt = (root: unknown, path: readonly (string | number)[]): unknown =>
  path.reduce<unknown>(
    (value, part) => (typeof value === "object" && value !== null ? (value as Record<string | number, unknown>)[part] : undefined),
    root,
  );

const TYPE_NAMES: Record<string, string> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "an array",
  object: "a table",
  record: "a table",
};

function whatIsWrong(issue: Issue, value: unknown): string {
  if (issue.code !== "custom" && value === undefined) return `is missing: it must be ${expected(issue)}`;
  const got = shown(issue.code === "custom" ? issue.params?.got : value);
  return `${demand(issue)}${got === undefined ? "" : `, got ${got}`}`;
}

function demand(issue: Issue): string {
  switch (issue.code) {
    case "too_small":
      return issue.origin === "string" ? "must not be empty" : `must be ${issue.inclusive ? ">=" : ">"} ${issue.minimum}`;
    case "custom":
      return issue.message;
    case "invalid_format":
      return issue.message;
    default:
      return `must be ${expected(issue)}`;
  }
}

function expected(issue: Issue): string {
  if (issue.code === "invalid_type") return TYPE_NAMES[issue.expected] ?? issue.expected;
  if (issue.code === "invalid_value") return `one of ${issue.values.map((value) => JSON.stringify(value)).join(", ")}`;
  if (issue.code === "invalid_union") return [...new Set(issue.errors.flat().map(expected))].join(" or ");
  return "valid";
}

function shown(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && !Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  const text = typeof value === "bigint" ? String(value) : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
