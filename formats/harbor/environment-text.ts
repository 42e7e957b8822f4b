import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { HarborTask } from "../../state/task.js";

/** What a person would read about a task's environment: its image or Dockerfile and its limits. */
export async function environmentText(task: HarborTask): Promise<string> {
  const { environment } = task.config;
  const dockerfile =
    task.hasDockerfile && environment.dockerImage === undefined ? await readFile(join(task.dir, "environment", "Dockerfile"), "utf8") : "";
  return [
    environment.dockerImage === undefined ? "" : `Image: ${environment.dockerImage}`,
    dockerfile === "" ? "" : `Dockerfile:\n${dockerfile.trim()}`,
    `Internet: ${environment.networkMode === "no-network" ? "no" : "yes"}`,
    environment.cpus === undefined ? "" : `CPUs: ${environment.cpus}`,
    environment.memoryMb === undefined ? "" : `Memory: ${environment.memoryMb} MiB`,
    environment.workdir === undefined ? "" : `Working directory: ${environment.workdir}`,
  ]
    .filter((line) => line !== "")
    .join("\n");
}
