import { z } from "zod";
import { networkModeSchema, type TaskConfig, taskConfigSchema } from "../../state/task.js";

// Pydantic, which Harbor reads with, takes "900" for a number and "true" for a boolean.
const laxNumber = (value: unknown): unknown =>
  typeof value === "string" && /^\s*[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?\s*$/i.test(value) ? Number(value) : value;
const laxBoolean = (value: unknown): unknown => (value === "true" || value === 1 ? true : value === "false" || value === 0 ? false : value);
const number = () => z.preprocess(laxNumber, z.number());
const seconds = () => z.preprocess(laxNumber, z.number().positive());
const secondsOrZero = () => z.preprocess(laxNumber, z.number().nonnegative());
const amount = () => z.preprocess(laxNumber, z.number().int().positive());
const count = () => z.preprocess(laxNumber, z.number().int().nonnegative());
const strings = () => z.array(z.string());
const env = () => z.record(z.string(), z.string());
const user = () => z.union([z.string(), z.number().int()]);
const absent = <T extends z.ZodType>(schema: T) => z.optional(schema);

/** `org/name` as Harbor's registry wants it. */
export const TASK_NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]*\/[A-Za-z0-9][A-Za-z0-9._-]*$/;

const SIZE_PATTERN = /^\s*(\d+(?:\.\d*)?|\.\d+)\s*([GMK])\s*$/i;
const MEBIBYTES = { G: 1024, M: 1, K: 1 / 1024 } as const;

/** `"4G"`, `"512M"`, `"100K"` in whole MiB; null when it is no such text. */
export function sizeInMegabytes(text: string): number | null {
  const match = SIZE_PATTERN.exec(text);
  return match ? Math.trunc(Number(match[1]) * MEBIBYTES[match[2]!.toUpperCase() as keyof typeof MEBIBYTES]) : null;
}

const networkShape = { network_mode: absent(networkModeSchema), allowed_hosts: absent(strings()) };

const healthcheckSchema = z.looseObject({
  command: z.string().min(1),
  interval_sec: absent(secondsOrZero()),
  timeout_sec: absent(seconds()),
  start_period_sec: absent(secondsOrZero()),
  start_interval_sec: absent(secondsOrZero()),
  retries: absent(amount()),
});

const containerPath = () =>
  z
    .string()
    .min(1)
    .refine((path) => !path.split("/").includes(".."), 'must not contain ".."');
const artifactSchema = z.union([
  containerPath(),
  z.looseObject({
    source: containerPath(),
    destination: absent(
      containerPath().refine(
        (path) => !/^\/|\\|^manifest\.json\/*$/.test(path),
        "must be a relative path with forward slashes, other than manifest.json",
      ),
    ),
    exclude: absent(strings()),
    service: absent(z.string()),
  }),
]);

const mcpServerSchema = z.looseObject({
  name: z.string(),
  transport: absent(z.enum(["sse", "streamable-http", "http", "stdio"])),
  url: absent(z.string()),
  command: absent(z.string()),
  args: absent(strings()),
});

const environmentShape = {
  build_timeout_sec: absent(seconds()),
  docker_image: absent(z.string().min(1)),
  os: absent(z.preprocess((value) => (typeof value === "string" ? value.toLowerCase() : value), z.enum(["linux", "windows"]))),
  cpus: absent(amount()),
  memory_mb: absent(amount()),
  storage_mb: absent(amount()),
  // Harbor drops what is no string here without a word; so does the translation below.
  memory: absent(z.unknown()),
  storage: absent(z.unknown()),
  gpus: absent(count()),
  gpu_types: absent(strings()),
  tpu: absent(z.record(z.string(), z.unknown())),
  allow_internet: absent(z.preprocess(laxBoolean, z.boolean())),
  env: absent(env()),
  mcp_servers: absent(z.array(mcpServerSchema)),
  skills_dir: absent(z.string().min(1)),
  healthcheck: absent(healthcheckSchema),
  workdir: absent(z.string().min(1)),
  ...networkShape,
};
const environmentSchema = z.looseObject(environmentShape).superRefine((table, context) => {
  for (const name of ["memory", "storage"] as const) {
    const text = table[name];
    if (typeof text !== "string") continue;
    const size = sizeInMegabytes(text);
    const spelled = table[`${name}_mb`];
    if (size === null)
      context.addIssue({ code: "custom", path: [name], message: `must be a number with G, M or K such as "4G"`, params: { got: text } });
    else if (spelled !== undefined && spelled !== size)
      context.addIssue({
        code: "custom",
        path: [name],
        message: `contradicts ${name}_mb = ${spelled}: keep only ${name}_mb`,
        params: { got: text },
      });
  }
  hostsFitMode(table, context);
});

/** Hosts only make sense with an allowlist; an allowlist may be empty. */
function hostsFitMode(table: { network_mode?: string | undefined; allowed_hosts?: string[] | undefined }, context: z.RefinementCtx): void {
  if (table.allowed_hosts?.length && table.network_mode !== "allowlist")
    context.addIssue({ code: "custom", path: ["allowed_hosts"], message: `needs network_mode = "allowlist" beside it` });
}

const agentSchema = z.looseObject({ timeout_sec: absent(seconds()), user: absent(user()), ...networkShape }).superRefine(hostsFitMode);

const verifierSchema = z
  .looseObject({
    timeout_sec: absent(seconds()),
    env: absent(env()),
    user: absent(user()),
    environment_mode: absent(z.enum(["shared", "separate"])),
    environment: absent(environmentSchema),
    collect: absent(
      z.array(
        z.looseObject({ command: z.string().min(1), service: absent(z.string()), timeout_sec: absent(seconds()), user: absent(user()) }),
      ),
    ),
    ...networkShape,
  })
  .superRefine((table, context) => {
    hostsFitMode(table, context);
    if (table.environment_mode === "shared" && table.environment !== undefined)
      context.addIssue({
        code: "custom",
        path: ["environment"],
        message: `contradicts environment_mode = "shared": remove one of the two`,
      });
  });

const stepSchema = z.looseObject({
  name: z.string().min(1),
  agent: absent(agentSchema),
  verifier: absent(verifierSchema),
  min_reward: absent(z.union([number(), z.record(z.string(), number())])),
  healthcheck: absent(healthcheckSchema),
  artifacts: absent(z.array(artifactSchema)),
});

/**
 * `task.toml` of schema version 1.0 to 1.4 as it stands on disk. Unknown keys pass, as in Harbor.
 * Source: specs/harbor.md 2; stricter than Harbor in one thing: a limit must be greater than 0.
 */
export const taskTomlSchema = z.looseObject({
  schema_version: absent(z.union([z.string(), z.number()])),
  version: absent(z.union([z.string(), z.number()])),
  source: absent(z.string()),
  artifacts: absent(z.array(artifactSchema)),
  multi_step_reward_strategy: absent(z.enum(["mean", "final"])),
  task: absent(
    z.looseObject({
      name: z
        .string()
        .regex(TASK_NAME_PATTERN, 'must be "org/name" of letters, digits, dots, hyphens and underscores')
        .refine((name) => !name.includes(".."), 'must be "org/name" without ".."'),
      version: absent(z.string().min(1)),
      description: absent(z.string()),
      authors: absent(z.array(z.looseObject({ name: z.string(), email: absent(z.string()) }))),
      keywords: absent(strings()),
    }),
  ),
  metadata: absent(z.record(z.string(), z.unknown())),
  agent: absent(agentSchema),
  verifier: absent(verifierSchema),
  solution: absent(z.looseObject({ env: absent(env()) })),
  environment: absent(environmentSchema),
  steps: absent(z.array(stepSchema)),
});
export type TaskToml = z.infer<typeof taskTomlSchema>;

/** The config as we use it: camelCase, deprecated spellings resolved, Harbor's defaults applied. */
export function toTaskConfig(toml: TaskToml): TaskConfig {
  const { schema_version, version, multi_step_reward_strategy, environment, verifier, agent, ...rest } = toml;
  return taskConfigSchema.parse({
    ...rest,
    schemaVersion: versionText(schema_version ?? version ?? "1.4"),
    multiStepRewardStrategy: multi_step_reward_strategy,
    agent: renamed(agent ?? {}),
    verifier: {
      ...renamed(verifier ?? {}),
      environment: verifier?.environment && toEnvironment(verifier.environment),
      collect: verifier?.collect?.map(renamed),
    },
    environment: toEnvironment(environment ?? {}),
  });
}

function toEnvironment(table: NonNullable<TaskToml["environment"]>): Record<string, unknown> {
  const { memory, storage, allow_internet, healthcheck, ...rest } = table;
  const megabytes = (text: unknown): number | undefined => (typeof text === "string" ? Math.max(1, sizeInMegabytes(text) ?? 1) : undefined);
  return {
    ...renamed(rest),
    memoryMb: table.memory_mb ?? megabytes(memory),
    storageMb: table.storage_mb ?? megabytes(storage),
    // Harbor lets any network_mode or allowed_hosts, even an empty one, win over the deprecated switch.
    networkMode: table.network_mode ?? (allow_internet === false && table.allowed_hosts === undefined ? "no-network" : undefined),
    healthcheck: healthcheck && renamed(healthcheck),
  };
}

/** A version that was written as a number: 1.0 stays "1.0". */
const versionText = (version: string | number): string =>
  typeof version === "string" ? version : Number.isInteger(version) ? version.toFixed(1) : String(version);

/** One level of snake_case keys to camelCase; free tables inside (env, tpu) keep their own names. */
const renamed = (table: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(table).map(([key, value]) => [key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()), value]),
  );
