import { parse, stringify } from "smol-toml";
import { SparkError } from "../../state/errors.js";

/** A TOML table in which integers are bigint and floats are number, so that `900.0` stays a float. */
export type TomlEdit = Record<string, unknown>;

/**
 * A task.toml with some values changed: `edit` gets the table as parsed, owner's names and unknown keys included, integers as bigint.
 * Comments and layout are lost, values are not: `900.0` stays `900.0`, `1` stays `1`.
 */
export function rewriteTaskToml(text: string, edit: (table: TomlEdit) => void): string {
  const table: TomlEdit = parse(text, { integersAsBigInt: true });
  edit(table);
  return stringify(table, { numbersAsFloat: true });
}

/** What a new task says about itself; limits in seconds and MiB. */
export interface NewTask {
  /** `org/name`; only written when given. */
  name?: string;
  metadata?: {
    authorName?: string;
    authorEmail?: string;
    difficulty?: "easy" | "medium" | "hard";
    category?: string;
    tags?: readonly string[];
  };
  verifierTimeoutSec?: number;
  agentTimeoutSec?: number;
  buildTimeoutSec?: number;
  cpus?: number;
  memoryMb?: number;
  storageMb?: number;
  /** False writes both spellings, so that every version of Harbor cuts the network. */
  internet?: boolean;
}

/**
 * A task.toml that every version of Harbor loads (schema 1.0, limits written as floats). Throws SparkError `task-invalid` for a limit of 0 or less.
 * Source: specs/harbor.md 16.
 */
export function newTaskToml(task: NewTask): string {
  const { metadata = {} } = task;
  const seconds = (value: number, key: string): number => {
    if (!(value > 0)) throw new SparkError(`${key} must be > 0, got ${value}`, { code: "task-invalid" });
    return value;
  };
  const whole = (value: number, key: string): bigint => {
    if (!Number.isInteger(value) || value <= 0)
      throw new SparkError(`${key} must be a whole number > 0, got ${value}`, { code: "task-invalid" });
    return BigInt(value);
  };
  const table = {
    version: "1.0",
    ...(task.name === undefined ? {} : { task: { name: task.name } }),
    metadata: {
      ...(metadata.authorName === undefined ? {} : { author_name: metadata.authorName }),
      ...(metadata.authorEmail === undefined ? {} : { author_email: metadata.authorEmail }),
      difficulty: metadata.difficulty ?? "medium",
      ...(metadata.category === undefined ? {} : { category: metadata.category }),
      tags: [...(metadata.tags ?? [])],
    },
    verifier: { timeout_sec: seconds(task.verifierTimeoutSec ?? 900, "verifier.timeout_sec") },
    agent: { timeout_sec: seconds(task.agentTimeoutSec ?? 900, "agent.timeout_sec") },
    environment: {
      build_timeout_sec: seconds(task.buildTimeoutSec ?? 600, "environment.build_timeout_sec"),
      cpus: whole(task.cpus ?? 1, "environment.cpus"),
      memory_mb: whole(task.memoryMb ?? 2048, "environment.memory_mb"),
      storage_mb: whole(task.storageMb ?? 10_240, "environment.storage_mb"),
      ...(task.internet === false ? { allow_internet: false, network_mode: "no-network" } : {}),
    },
  };
  return stringify(table, { numbersAsFloat: true });
}
