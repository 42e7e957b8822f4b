import type { TaskConfig, UnsupportedKey } from "../../state/task.js";

/** What a task's directory holds beside task.toml, as far as it decides whether we can run it. */
export interface TaskFiles {
  hasCompose: boolean;
  hasTrajectory: boolean;
}

const elsewhere = "run this task with Harbor itself";

/** The BenchFlow layout, which has no task.toml. */
export const taskMdLayout: UnsupportedKey = {
  key: "task.md",
  reason: "the task is a task.md package, not a Harbor directory",
  fix: "move its front matter to task.toml, its body to instruction.md, verifier/ to tests/ and oracle/ to solution/",
};

/** Everything in a task that we do not run yet, in the order of specs/harbor.md. Empty: the task can run. */
export function findUnsupported(config: TaskConfig, files: TaskFiles): UnsupportedKey[] {
  const { environment, agent, verifier } = config;
  const found: UnsupportedKey[] = [];
  const add = (when: boolean, key: string, reason: string, fix: string = elsewhere) => {
    if (when) found.push({ key, reason, fix });
  };
  add(config.steps.length > 0, "steps", "the task has several steps, and only single-step tasks run here");
  add(
    files.hasCompose,
    "environment/docker-compose.yaml",
    "the task starts further containers, and only one container runs here",
    `put everything into environment/Dockerfile, or ${elsewhere}`,
  );
  add(
    verifier.environmentMode === "separate" || verifier.environment !== undefined,
    verifier.environment === undefined ? "verifier.environment_mode" : "verifier.environment",
    "the verifier has an image of its own",
    `set verifier.environment_mode = "shared" and keep test.sh in tests/, or ${elsewhere}`,
  );
  add(
    verifier.collect.length > 0,
    "verifier.collect",
    "commands to collect state after the agent do not run here",
    `do the collecting in tests/test.sh, or ${elsewhere}`,
  );
  const allowlist = 'use network_mode = "public" or "no-network"';
  add(
    environment.networkMode === "allowlist",
    "environment.network_mode",
    "a network limited to some hosts is not enforced here",
    allowlist,
  );
  for (const [name, phase] of Object.entries({ agent, verifier })) {
    if (phase.networkMode === undefined || phase.networkMode === environment.networkMode) continue;
    add(
      true,
      `${name}.network_mode`,
      `its network (${phase.networkMode}) differs from the environment's (${environment.networkMode}), and the network does not change during a trial here`,
      "give the phase the environment's mode, or remove the key",
    );
  }
  add(environment.os === "windows", "environment.os", "the task needs Windows containers");
  add(environment.gpus > 0, "environment.gpus", `the task needs ${environment.gpus} GPU${environment.gpus === 1 ? "" : "s"}`);
  add(environment.tpu !== undefined, "environment.tpu", "the task needs a TPU");
  add(environment.mcpServers.length > 0, "environment.mcp_servers", "the agent here has a shell and no MCP client");
  const services = config.artifacts.flatMap((entry) =>
    typeof entry === "object" && entry.service !== undefined && entry.service !== "main" ? [entry.service] : [],
  );
  add(
    services.length > 0,
    "artifacts",
    `files of other containers (${services.join(", ")}) cannot be collected`,
    `collect from the main container, or ${elsewhere}`,
  );
  add(
    files.hasTrajectory,
    "trajectory.json",
    "the agent would have to start in the middle of a given conversation",
    `remove the file, or ${elsewhere}`,
  );
  return found;
}
