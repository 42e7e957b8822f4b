/**
 * Every way in which spark-skills fails on purpose, by code, and the family that decides the exit code.
 * `usage` 2, `provider` 3, `environment` 4, `budget` 6, `signal` 130, `error` 1 (design.md section 7).
 */
export const errorKinds = {
  usage: "usage",
  settings: "usage",
  "file-missing": "usage",
  "file-invalid": "usage",
  "task-invalid": "usage",
  "task-unsupported": "usage",
  "model-missing": "usage",
  "price-unknown": "usage",
  "env-refused": "usage",
  "run-missing": "usage",
  "run-exists": "usage",
  "run-locked": "usage",
  "provider-credentials": "provider",
  "provider-unavailable": "provider",
  "provider-rejected": "provider",
  "docker-unavailable": "environment",
  "sandbox-unsupported": "environment",
  "image-missing": "environment",
  "image-build": "environment",
  "sandbox-failed": "environment",
  "sandbox-lost": "environment",
  "sandbox-timeout": "environment",
  healthcheck: "environment",
  "verifier-broken": "environment",
  "task-unsolvable": "environment",
  "checkpointer-missing": "environment",
  disk: "environment",
  "budget-reached": "budget",
  cancelled: "signal",
  "skill-missing": "error",
  internal: "error",
} as const;

export type ErrorCode = keyof typeof errorKinds;
export type ErrorKind = (typeof errorKinds)[ErrorCode];

const marker = Symbol.for("spark-skills.error");

/**
 * The one error class. The message says what happened, with the value and the place, then what to do.
 * Use {@link SparkError.isInstance} instead of `instanceof`: two copies of a package break the latter.
 */
export class SparkError extends Error {
  readonly code: ErrorCode;
  readonly [marker] = true;

  constructor(message: string, options: { code: ErrorCode; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "SparkError";
    this.code = options.code;
  }

  get kind(): ErrorKind {
    return errorKinds[this.code];
  }

  static isInstance(value: unknown): value is SparkError {
    return typeof value === "object" && value !== null && (value as Record<symbol, unknown>)[marker] === true;
  }
}

/** The text of anything that was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
