import { z } from "zod";

/** Network of a phase. `allowlist` is read but not run yet. */
export const networkModeSchema = z.enum(["public", "no-network", "allowlist"]);

const userSchema = z.union([z.string(), z.number().int()]);
const seconds = z.number().positive();
const envSchema = z.record(z.string(), z.string());

export const healthcheckSchema = z.object({
  command: z.string().min(1).describe("Shell command; exit code 0 means healthy"),
  intervalSec: z.number().nonnegative().default(5).describe("Seconds between checks"),
  timeoutSec: seconds.default(30).describe("Limit of one check in seconds; reaching it is a failed check"),
  startPeriodSec: z.number().nonnegative().default(0).describe("Seconds after the start in which failures do not count"),
  startIntervalSec: z.number().nonnegative().default(5).describe("Seconds between checks inside the start period"),
  retries: z.number().int().positive().default(3).describe("Consecutive failures that make the environment unhealthy"),
});
export type Healthcheck = z.infer<typeof healthcheckSchema>;

const artifactSchema = z.union([
  z.string(),
  z.object({
    source: z.string(),
    destination: z.string().optional(),
    exclude: z.array(z.string()).default([]),
    service: z.string().optional(),
  }),
]);

const environmentShape = {
  buildTimeoutSec: seconds.default(600).describe("Seconds for build and start together"),
  dockerImage: z.string().optional().describe("Prebuilt image; the Dockerfile is then ignored"),
  os: z.enum(["linux", "windows"]).default("linux"),
  cpus: z.number().positive().optional().describe("CPU cores; unset means no limit"),
  memoryMb: z.number().int().positive().optional().describe("Memory in MiB; unset means no limit"),
  storageMb: z.number().int().positive().optional().describe("Disk in MiB that the container may add; unset means the watch's default"),
  gpus: z.number().int().nonnegative().default(0),
  gpuTypes: z.array(z.string()).default([]),
  tpu: z.record(z.string(), z.unknown()).optional(),
  networkMode: networkModeSchema.default("public").describe("allow_internet is translated into this"),
  allowedHosts: z.array(z.string()).default([]),
  env: envSchema.default({}).describe("Container environment; whole-value ${NAME} templates are resolved with --allow-env"),
  mcpServers: z.array(z.record(z.string(), z.unknown())).default([]),
  skillsDir: z.string().optional().describe("Directory inside the container whose children are skills"),
  healthcheck: healthcheckSchema.optional(),
  workdir: z.string().optional().describe("Default working directory of every exec; overrides the image's"),
};

const agentSchema = z.object({
  timeoutSec: seconds.optional().describe("Seconds; unset means no limit in Harbor, our default in a generation run"),
  user: userSchema.optional().describe("User of the agent phase; unset means the image's"),
  networkMode: networkModeSchema.optional(),
  allowedHosts: z.array(z.string()).default([]),
});

const verifierSchema = z.object({
  timeoutSec: seconds.default(600),
  env: envSchema.default({}),
  user: userSchema.optional(),
  networkMode: networkModeSchema.optional(),
  allowedHosts: z.array(z.string()).default([]),
  environmentMode: z.enum(["shared", "separate"]).optional().describe("Only what the task says; undefined when it says nothing"),
  environment: z.object(environmentShape).partial().optional(),
  collect: z
    .array(
      z.object({ command: z.string(), service: z.string().default("main"), timeoutSec: seconds.default(60), user: userSchema.optional() }),
    )
    .default([]),
});

/** A `task.toml` of any schema version, camelCase, defaults of Harbor 0.22 applied. */
export const taskConfigSchema = z.object({
  schemaVersion: z.string().default("1.4"),
  source: z.string().optional(),
  artifacts: z.array(artifactSchema).default([]),
  multiStepRewardStrategy: z.enum(["mean", "final"]).optional(),
  task: z
    .object({
      name: z.string(),
      version: z.string().optional(),
      description: z.string().default(""),
      authors: z.array(z.object({ name: z.string(), email: z.string().optional() })).default([]),
      keywords: z.array(z.string()).default([]),
    })
    .optional(),
  metadata: z.record(z.string(), z.unknown()).default({}),
  agent: agentSchema.prefault({}),
  verifier: verifierSchema.prefault({}),
  solution: z.object({ env: envSchema.default({}) }).prefault({}),
  environment: z.object(environmentShape).prefault({}),
  steps: z.array(z.record(z.string(), z.unknown())).default([]),
});
export type TaskConfig = z.infer<typeof taskConfigSchema>;

/** Something in a task that we cannot run yet: found before anything starts. */
export interface UnsupportedKey {
  /** The key or file, e.g. `environment.gpus` or `docker-compose.yaml`. */
  key: string;
  /** What it is, in one sentence. */
  reason: string;
  /** What the user can do. */
  fix: string;
}

/** A Harbor task directory in memory. */
export interface HarborTask {
  /** Absolute path of the directory. */
  dir: string;
  /** The directory's name: the task's name everywhere in a run. */
  directory: string;
  /** `org/name` of task.toml, else the directory's name. */
  name: string;
  /** Hex SHA-256 over the task's files, Harbor's lock digest without its `sha256:` prefix (harbor.md 10.6). */
  digest: string;
  /** instruction.md without its canary lines. */
  instruction: string;
  config: TaskConfig;
  /** task.toml as parsed, unknown keys included, owner's names. */
  raw: Record<string, unknown>;
  hasSolution: boolean;
  hasDockerfile: boolean;
  unsupported: UnsupportedKey[];
}
