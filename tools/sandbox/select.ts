import { join } from "node:path";
import { SparkError } from "../../state/errors.js";
import type { HarborTask } from "../../state/task.js";
import type { SandboxChoice, SandboxProvider } from "./sandbox.js";

/** How to make each provider; nothing is loaded before it is wanted. */
export interface SandboxProviders {
  docker(): Promise<SandboxProvider>;
  virtual(): Promise<SandboxProvider>;
}

/**
 * The sandbox for a task. `auto` takes Docker when it answers, else the virtual sandbox when the task's Dockerfile allows it; a command
 * never runs on the host itself. Throws `docker-unavailable`, with the line of the Dockerfile that needs Docker and how to get it, and
 * `sandbox-unsupported` when `virtual` was asked for and the task needs more.
 */
export async function selectSandbox(
  choice: SandboxChoice,
  task: Pick<HarborTask, "dir" | "directory" | "hasDockerfile" | "config">,
  providers: SandboxProviders,
): Promise<SandboxProvider> {
  if (choice === "virtual") {
    await requireVirtualTask(task);
    return providers.virtual();
  }
  const docker = await providers.docker();
  const state = await docker.available();
  if (state.ok) return docker;
  if (choice === "docker")
    throw new SparkError(`Docker is wanted and does not answer: ${ended(state.reason)} ${state.fix}`, { code: "docker-unavailable" });
  try {
    await requireVirtualTask(task);
  } catch (error) {
    if (!SparkError.isInstance(error) || error.code !== "sandbox-unsupported") throw error;
    throw new SparkError(`${task.directory} needs Docker, which does not answer: ${ended(state.reason)} ${state.fix} ${error.message}`, {
      code: "docker-unavailable",
      cause: error,
    });
  }
  return providers.virtual();
}

async function requireVirtualTask(task: Pick<HarborTask, "dir" | "hasDockerfile" | "config">): Promise<void> {
  const { requireVirtual } = await import("./virtual-image.js");
  const { dockerImage } = task.config.environment;
  await requireVirtual({
    contextDir: join(task.dir, "environment"),
    hasDockerfile: task.hasDockerfile,
    ...(dockerImage === undefined ? {} : { dockerImage }),
  });
}

const ended = (sentence: string): string => (/[.!?]$/.test(sentence.trim()) ? sentence.trim() : `${sentence.trim()}.`);
