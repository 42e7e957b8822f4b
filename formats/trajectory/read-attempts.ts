import { readFile } from "node:fs/promises";
import { z } from "zod";
import { messageOf, SparkError } from "../../state/errors.js";
import { pdiFieldsSchema } from "./events.js";

/** A task's `attempts.json`, as far as its readers need it; unknown keys are kept. Source: specs/spark.md 2. */
const attemptsSchema = z.looseObject({
  max_retries: z.number().int().positive().optional().catch(undefined),
  exploration_memo: z.string().nullable().default(""),
  memo_history: z.array(z.string()).default([]),
  attempts: z
    .array(
      z.looseObject({
        attempt: z.number().int(),
        status: z.string().optional(),
        reward: z.number().nullable().optional(),
        agent_commands: z.string().default(""),
        test_summary: z.string().default(""),
      }),
    )
    .default([]),
  pdi: z
    .looseObject({
      enabled: z.boolean().optional(),
      observe_only: z.boolean().optional(),
      history: z.array(pdiFieldsSchema).default([]),
    })
    .nullable()
    .optional(),
});
/** What a run's `attempts.json` says: the facts of its log once more, and its settings. */
export type AttemptsCopy = z.output<typeof attemptsSchema>;

/** The text of a file, null when there is none. Throws SparkError `file-invalid` when it cannot be read. */
export const readIfThere = async (path: string): Promise<string | null> => {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new SparkError(`cannot read ${path}: ${messageOf(error)}; mend its permissions`, { code: "file-invalid", cause: error });
  }
};

/** Reads an `attempts.json`, null when there is none. Throws SparkError `file-invalid` naming the file. */
export const readAttempts = async (path: string): Promise<AttemptsCopy | null> => {
  const text = await readIfThere(path);
  if (text === null) return null;
  try {
    return attemptsSchema.parse(JSON.parse(text));
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error).replaceAll("\n", " ") : messageOf(error);
    throw new SparkError(`${path}: ${why}; mend the file or move it away, the log beside it is enough`, {
      code: "file-invalid",
      cause: error,
    });
  }
};
