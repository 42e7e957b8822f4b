import { lstat, readFile } from "node:fs/promises";
import { join } from "node:path";
import { absentAs } from "./absent-as.js";

/** Names of Harbor's exceptions for a verifier that wrote no reward. */
export type RewardException =
  | "VerifierTimeoutError"
  | "RewardFileNotFoundError"
  | "RewardFileEmptyError"
  | "VerifierOutputParseError"
  | "ValidationError";

/** What a verifier left behind: a reward, or the reason why there is none. */
export type RewardOutcome =
  | { kind: "rewarded"; reward: number; rewards: Record<string, number>; file: "reward.json" | "reward.txt" }
  | { kind: "unreadable"; exception: RewardException; message: string; file: "reward.json" | "reward.txt" | null };

/** Far more than a reward needs; the file is the verifier's or the agent's and may be anything. */
const MAX_REWARD_BYTES = 1_000_000;

/**
 * Reads `reward.json`, or `reward.txt` when there is no reward.json, from a verifier's log directory on this machine. Only regular files count.
 * Source: specs/harbor.md 7; the two are never mixed.
 */
export async function readReward(verifierDir: string): Promise<RewardOutcome> {
  const [json, txt] = await Promise.all([regularFile(join(verifierDir, "reward.json")), regularFile(join(verifierDir, "reward.txt"))]);
  return parseReward({ json, txt });
}

/** The same from the files' contents; null for a file that does not exist. */
export function parseReward(files: { json: string | null; txt: string | null }): RewardOutcome {
  if (files.json !== null) return parseJson(files.json);
  if (files.txt !== null) return parseText(files.txt);
  return {
    kind: "unreadable",
    exception: "RewardFileNotFoundError",
    message: "the verifier wrote neither reward.json nor reward.txt",
    file: null,
  };
}

/** The one number that decides: key `reward`, else the only key, else the smallest of several; null without any. */
export function scalarReward(rewards: Record<string, number>): number | null {
  if (Object.hasOwn(rewards, "reward")) return rewards.reward!;
  const values = Object.values(rewards);
  return values.length === 0 ? null : Math.min(...values);
}

function parseJson(text: string): RewardOutcome {
  const file = "reward.json";
  if (text === "") return empty(file);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return unreadable(file, "VerifierOutputParseError", `is not JSON: ${quoted(text)}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return unreadable(
      file,
      typeof value === "number" ? "ValidationError" : "VerifierOutputParseError",
      `must be an object of numbers, got ${quoted(text)}`,
    );
  const rewards: Record<string, number> = {};
  for (const [name, entry] of Object.entries(value)) {
    // Harbor takes a boolean for the number that Python makes of it, and no text.
    const number = typeof entry === "boolean" ? Number(entry) : entry;
    if (typeof number !== "number" || !Number.isFinite(number))
      return unreadable(
        file,
        "VerifierOutputParseError",
        `key ${JSON.stringify(name)} must be a finite number, got ${quoted(JSON.stringify(entry))}`,
      );
    rewards[name] = number;
  }
  const reward = scalarReward(rewards);
  return reward === null ? unreadable(file, "VerifierOutputParseError", "holds no number") : { kind: "rewarded", reward, rewards, file };
}

function parseText(text: string): RewardOutcome {
  const file = "reward.txt";
  if (text === "") return empty(file);
  const reward = floatOf(text);
  return reward === null
    ? unreadable(file, "VerifierOutputParseError", `must be one finite number, got ${quoted(text)}`)
    : { kind: "rewarded", reward, rewards: { reward }, file };
}

/** A number as Python's float() reads it, finite ones only: `1`, ` .5\n`, `1e-3`, `1_000`; never `0x10`, `nan`, `inf`. */
function floatOf(text: string): number | null {
  const digits = text.trim();
  if (!/^[+-]?(\d+(_\d+)*(\.(\d+(_\d+)*)?)?|\.\d+(_\d+)*)(e[+-]?\d+)?$/i.test(digits)) return null;
  const value = Number(digits.replaceAll("_", ""));
  return Number.isFinite(value) ? value : null;
}

const empty = (file: "reward.json" | "reward.txt"): RewardOutcome => unreadable(file, "RewardFileEmptyError", "is empty");
const unreadable = (file: "reward.json" | "reward.txt", exception: RewardException, what: string): RewardOutcome => ({
  kind: "unreadable",
  exception,
  message: `${file} ${what}`,
  file,
});
const quoted = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 77)}...` : text);

async function regularFile(path: string): Promise<string | null> {
  const entry = await lstat(path).catch(absentAs(null));
  return entry?.isFile() && entry.size <= MAX_REWARD_BYTES ? await readFile(path, "utf8") : null;
}
