import { type ErrorKind, messageOf, SparkError } from "../state/errors.js";

/** Where a command writes: data to stdout, everything else to stderr. */
export interface Output {
  /** One line of data. */
  data(text: string): void;
  /** One line for a person. */
  say(text: string): void;
  /** stdout is for a program. */
  json: boolean;
}

export const createOutput = (json: boolean): Output => ({
  data: (text) => void process.stdout.write(`${text}\n`),
  say: (text) => void process.stderr.write(`${text}\n`),
  json,
});

export const EXIT_CODES = { usage: 2, provider: 3, environment: 4, budget: 6, signal: 130, error: 1 } as const satisfies Record<
  ErrorKind,
  number
>;
/** Finished, and the answer is no. */
export const EXIT_NO = 5;

/** Prints an error as the command was asked to and returns its exit code. A bug shows its stack, a SparkError only its sentence. */
export function reportError(error: unknown, output: Output): number {
  const known = SparkError.isInstance(error);
  const code = known ? error.code : "internal";
  if (output.json) output.data(JSON.stringify({ error: { code, message: messageOf(error) } }));
  else output.say(`error: ${known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  return known ? EXIT_CODES[error.kind] : EXIT_CODES.error;
}
