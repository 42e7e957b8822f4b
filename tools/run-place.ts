import { createHash } from "node:crypto";
import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { addressOf, type RunAddress, TaskDirectory } from "../formats/run-directory.js";
import { rootRunIdOf } from "../formats/trajectory/run-log.js";
import type { Capabilities } from "./capabilities.js";

/** Where an execution's records go, and the name its container is found by after a crash. */
export interface RunPlace {
  address: RunAddress;
  store: TaskDirectory;
  /** Task id of this execution: the same across retry, interrupt and crash-resume. */
  id: string;
  /** Derived container name. */
  container: string;
}

/** The place of the running node: the thread's folder, or the root run's when there is no checkpointer. */
export function runPlaceOf(
  config: LangGraphRunnableConfig,
  taskPath: string,
  capabilities: Pick<Capabilities, "runsDir" | "redact">,
): RunPlace {
  const threadId = (config.configurable?.["thread_id"] as string | undefined) ?? config.executionInfo?.threadId ?? rootRunIdOf(config);
  const address = addressOf(threadId, taskPath);
  const id = config.executionInfo?.taskId ?? crypto.randomUUID();
  const digest = createHash("sha256").update(`${threadId}\0${id}`).digest("hex").slice(0, 12);
  return {
    address,
    store: new TaskDirectory(capabilities.runsDir, address, { redact: capabilities.redact }),
    id,
    container: `spark-${address.run}-${address.task}-${digest}`,
  };
}
