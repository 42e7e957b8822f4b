import { join } from "node:path";
import type { BaseCheckpointSaver } from "@langchain/langgraph";
import { makeRunDirectory } from "../formats/run-directory.js";
import { messageOf, SparkError } from "../state/errors.js";

export const CHECKPOINT_FILE = "checkpoints.sqlite";

export interface OpenCheckpointer {
  saver: BaseCheckpointSaver;
  close(): Promise<void>;
}

/** Tables of ours in a database that may hold others. */
const POSTGRES_SCHEMA = "spark_skills";

/**
 * The saver that makes a run resumable: SQLite in the run's folder, or a Postgres by URL. Throws SparkError `checkpointer-missing`
 * with what mends it; both packages are optional.
 */
export async function openCheckpointer(runDir: string, url: string | null): Promise<OpenCheckpointer> {
  if (url !== null) return openPostgres(url);
  await makeRunDirectory(runDir);
  try {
    const { SqliteSaver } = await import("@langchain/langgraph-checkpoint-sqlite");
    const saver = SqliteSaver.fromConnString(join(runDir, CHECKPOINT_FILE));
    return { saver, close: async () => void saver.db.close() };
  } catch (error) {
    throw new SparkError(
      `the SQLite checkpointer cannot be used: ${messageOf(error).split("\n")[0]}; run \`npm rebuild better-sqlite3\` (needs a C++ compiler where no prebuilt binary is reachable), or pass --checkpoint with a Postgres URL`,
      { code: "checkpointer-missing", cause: error },
    );
  }
}

async function openPostgres(url: string): Promise<OpenCheckpointer> {
  try {
    const { PostgresSaver } = await import("@langchain/langgraph-checkpoint-postgres");
    const saver = PostgresSaver.fromConnString(url, { schema: POSTGRES_SCHEMA });
    await saver.setup();
    return { saver: saver as unknown as BaseCheckpointSaver, close: () => saver.end() };
  } catch (error) {
    const hidden = url.replace(/:[^:@/]*@/, ":***@");
    throw new SparkError(
      `the Postgres checkpointer at ${hidden} cannot be used: ${messageOf(error)}; start the server, install @langchain/langgraph-checkpoint-postgres, or leave out --checkpoint`,
      {
        code: "checkpointer-missing",
        cause: error,
      },
    );
  }
}
