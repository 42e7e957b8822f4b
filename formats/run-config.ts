import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { messageOf, SparkError } from "../state/errors.js";
import { modelSpecSchema, priceSchema } from "../state/model.js";
import { skillGenerationSettingsSchema } from "../state/skill-generation.js";
import { writeAtomically } from "./run-directory.js";

export const CONFIG_FILE = "config.json";
/** Its presence asks a running `generate` to stop: the one thing that views may change (design.md 4.5). */
export const CANCEL_FILE = "cancel";

const capSchema = z.number().positive().nullable().default(null);

/** Content of `runs/R/config.json`: everything a resume needs. Holds no keys. */
export const runConfigSchema = z.object({
  version: z.literal(1),
  run: z.string(),
  startedAt: z.string(),
  tasks: z.array(
    z.object({
      task: z.string().describe("Folder in the run"),
      dir: z.string(),
      name: z.string(),
      digest: z.string(),
      skipped: z.string().nullable(),
    }),
  ),
  settings: skillGenerationSettingsSchema,
  models: z.array(modelSpecSchema).default([]),
  prices: z.record(z.string(), priceSchema).default({}),
  parallel: z.number().int().positive().default(1),
  maxCostUsd: capSchema,
  maxTokens: capSchema,
  maxTaskCostUsd: capSchema,
  maxTaskTokens: capSchema,
  sharedResultDir: z.string().nullable().default(null),
  checkpoint: z.string().nullable().default(null).describe("Postgres URL without its password; null: SQLite in the run's folder"),
  priceTable: z.record(z.string(), z.string()).optional(),
});
export type RunConfig = z.output<typeof runConfigSchema>;

export const writeRunConfig = (runDir: string, config: RunConfig): Promise<void> =>
  writeAtomically(join(runDir, CONFIG_FILE), `${JSON.stringify(config, null, 2)}\n`);

/** Throws SparkError `run-missing` or `file-invalid`. */
export async function readRunConfig(runDir: string): Promise<RunConfig> {
  const path = join(runDir, CONFIG_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new SparkError(`no run at ${runDir}: ${messageOf(error)}; \`spark-skills runs\` lists what there is`, {
      code: "run-missing",
      cause: error,
    });
  }
  try {
    return runConfigSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new SparkError(`${path} cannot be read: ${messageOf(error)}; restore it or start a new run`, {
      code: "file-invalid",
      cause: error,
    });
  }
}
