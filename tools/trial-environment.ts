import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { resolveTemplates } from "../formats/harbor/env-template.js";
import { readFrontmatter } from "../formats/skill/frontmatter.js";
import type { VerifierMode } from "../state/attempt.js";
import { SparkError } from "../state/errors.js";
import type { TrialSettings } from "../state/skill-generation.js";
import type { HarborTask, Healthcheck } from "../state/task.js";
import type { ImageRef, Sandbox, SandboxProvider } from "./sandbox/sandbox.js";

/** Where job-given skills stand in a container whose task names no skills_dir (harbor.md 6.4). */
export const DEFAULT_SKILLS_DIR = "/harbor/skills";
/** An artifact is the agent's work and may be anything. */
const ARTIFACT_LIMITS = { maxFiles: 5000, maxBytes: 500_000_000 };
const LOG_DIRECTORIES = ["/logs/agent", "/logs/verifier", "/logs/artifacts"];

/** What a trial needs to know to make containers for a task. */
export interface TrialPlace {
  provider: SandboxProvider;
  task: HarborTask;
  settings: TrialSettings;
  /** Host variables that env templates may read. */
  hostEnvironment: Record<string, string>;
  /** Names of variables that hold our own keys, beside the well-known ones. */
  ownKeyNames: readonly string[];
  /** Run name, a label on everything that is made. */
  run: string;
  signal?: AbortSignal | undefined;
}

/** Builds or finds the task's image. */
export const prepareImage = ({ provider, task, settings, signal }: TrialPlace): Promise<ImageRef> =>
  provider.prepare({
    contextDir: join(task.dir, "environment"),
    hasDockerfile: task.hasDockerfile,
    buildTimeoutMs: scaled(task.config.environment.buildTimeoutSec, settings),
    ...(task.config.environment.dockerImage === undefined ? {} : { dockerImage: task.config.environment.dockerImage }),
    ...(signal ? { signal } : {}),
  });

/** Milliseconds of a limit in seconds after the user's multiplier. */
export const scaled = (seconds: number, settings: Pick<TrialSettings, "timeoutMultiplier">): number =>
  Math.ceil(seconds * 1000 * settings.timeoutMultiplier);

/** What every container of this task is made with, the agent's and the verifier's. */
export function containerOptions(place: TrialPlace, image: ImageRef, name: string, leaseMs: number) {
  const { environment } = place.task.config;
  return {
    name,
    image,
    run: place.run,
    env: resolveTemplates(environment.env, place.hostEnvironment, "environment.env", place.ownKeyNames),
    network: environment.networkMode === "no-network" ? ("none" as const) : ("public" as const),
    leaseMs,
    ...(environment.workdir === undefined ? {} : { workdir: environment.workdir }),
    ...(environment.cpus === undefined ? {} : { cpus: environment.cpus }),
    ...(environment.memoryMb === undefined ? {} : { memoryMb: environment.memoryMb }),
    ...(environment.storageMb === undefined ? {} : { storageMb: environment.storageMb }),
  };
}

/** The least that a container lives between its agent and its verifier when both work in it. */
const SHARED_LEASE_MS = 60_000;

/** Under shared the container is handed from explore to verify, so it needs a lease even where a crash is not resumed. */
export const leaseFor = (mode: VerifierMode, leaseMs: number): number => (mode === "shared" ? Math.max(leaseMs, SHARED_LEASE_MS) : leaseMs);

/** Refuses what the task asks of this machine's variables before anything starts or is paid for. Throws SparkError `env-refused`. */
export function checkTemplates({ task, hostEnvironment, ownKeyNames }: Pick<TrialPlace, "task" | "hostEnvironment" | "ownKeyNames">): void {
  resolveTemplates(task.config.environment.env, hostEnvironment, "environment.env", ownKeyNames);
  resolveTemplates(task.config.solution.env, hostEnvironment, "solution.env", ownKeyNames);
  resolveTemplates(task.config.verifier.env, hostEnvironment, "verifier.env", ownKeyNames);
}

/** Phase users are names or numbers on disk and strings for an exec. */
export const userOf = (user: string | number | undefined): { user?: string } => (user === undefined ? {} : { user: String(user) });

/**
 * A started container in Harbor's state before the agent's setup: log directories, uploaded context of a prebuilt image, healthy,
 * skills in place. It is removed again when any of this fails.
 */
export async function startEnvironment(place: TrialPlace, image: ImageRef, name: string, leaseMs: number): Promise<Sandbox> {
  const sandbox = await place.provider.create(containerOptions(place, image, name, leaseMs));
  try {
    await asRoot(sandbox, `mkdir -p ${LOG_DIRECTORIES.join(" ")} && chmod 777 ${LOG_DIRECTORIES.join(" ")}`);
    const { environment } = place.task.config;
    if (environment.dockerImage !== undefined && !place.task.hasDockerfile)
      await sandbox.copyIn(join(place.task.dir, "environment"), sandbox.workdir);
    if (environment.healthcheck) await waitUntilHealthy(sandbox, environment.healthcheck, place);
    await deliverSkills(place, sandbox);
    return sandbox;
  } catch (error) {
    await sandbox.close();
    throw error;
  }
}

/** Runs a command of ours as root; throws when it fails, with what it said. */
export async function asRoot(sandbox: Sandbox, command: string): Promise<void> {
  const result = await sandbox.exec(command, { user: "root", cwd: "/", timeoutMs: 60_000 });
  if (result.exitCode !== 0)
    throw new SparkError(
      `in container ${sandbox.id}: ${command} ended with ${result.exitCode}: ${new TextDecoder().decode(result.stderr).slice(0, 300)}`,
      { code: "sandbox-failed" },
    );
}

async function waitUntilHealthy(sandbox: Sandbox, check: Healthcheck, { signal }: TrialPlace): Promise<void> {
  const started = Date.now();
  for (let failures = 0; ; ) {
    const result = await sandbox.exec(check.command, { timeoutMs: check.timeoutSec * 1000, ...(signal ? { signal } : {}) });
    signal?.throwIfAborted();
    if (result.exitCode === 0) return;
    const starting = Date.now() - started < check.startPeriodSec * 1000;
    if (!starting) failures += 1;
    if (failures >= check.retries) {
      const said = new TextDecoder()
        .decode(result.stderr.length > 0 ? result.stderr : result.stdout)
        .trim()
        .slice(-300);
      throw new SparkError(
        `environment.healthcheck failed ${failures} times: \`${check.command}\` ended with ${result.timedOut ? "a timeout" : result.exitCode}${said ? `: ${said}` : ""}`,
        {
          code: "healthcheck",
        },
      );
    }
    await sleep((starting ? check.startIntervalSec : check.intervalSec) * 1000, undefined, signal ? { signal } : {});
  }
}

/** Copies the user's skills to where Harbor puts them, readable by every user. */
async function deliverSkills({ task, settings }: TrialPlace, sandbox: Sandbox): Promise<void> {
  if (settings.skills.length === 0) return;
  const root = skillsRoot(task);
  if (!root.startsWith("/"))
    throw new SparkError(`environment.skills_dir must be absolute when skills are given, got ${root} (${task.dir}/task.toml)`, {
      code: "task-invalid",
    });
  for (const dir of settings.skills) await sandbox.copyIn(dir, `${root}/${dir.replace(/\/+$/, "").split("/").at(-1)}`, { replace: true });
  await asRoot(sandbox, `chmod -R a+rX ${shellQuoted(root)}`);
}

/** Directory inside the container whose children are skills. */
export const skillsRoot = (task: HarborTask): string => task.config.environment.skillsDir ?? DEFAULT_SKILLS_DIR;

/** A skill that the agent can open in its container. */
export interface ListedSkill {
  name: string;
  description: string;
  location: string;
}

/** Name and description of every skill under the task's skills directory, sorted; the agent opens the files on demand (harbor.md 6.4, terminus-2). */
export async function listSkills({ task, settings }: TrialPlace, sandbox: Sandbox): Promise<ListedSkill[]> {
  if (task.config.environment.skillsDir === undefined && settings.skills.length === 0) return [];
  const root = skillsRoot(task);
  const found = await sandbox.exec(`for f in ${shellQuoted(root)}/*/SKILL.md; do [ -f "$f" ] && printf '%s\n' "$f"; done | sort`, {
    timeoutMs: 30_000,
  });
  const paths = new TextDecoder()
    .decode(found.stdout)
    .split("\n")
    .filter((path) => path !== "");
  const skills: ListedSkill[] = [];
  for (const location of paths) {
    const bytes = await sandbox.readFile(location, { maxBytes: 1_000_000 });
    const parsed = bytes === null ? null : readFrontmatter(new TextDecoder().decode(bytes));
    const directory = location.split("/").at(-2) ?? "";
    skills.push({ name: String(parsed?.["name"] ?? directory), description: String(parsed?.["description"] ?? ""), location });
  }
  return skills;
}

const shellQuoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** What Harbor always collects, beside what the task names (harbor.md 8). */
const CONVENTION_ARTIFACTS = "/logs/artifacts";
const STAGING = "/tmp/.artifact";

/** One line of Harbor's `artifacts/manifest.json`. */
export interface CollectedArtifact {
  source: string;
  destination: string;
  type: "file" | "directory";
  status: "ok" | "failed" | "empty";
  service: null;
}

/** Copies the task's artifacts below `dir`, where Harbor puts them. Best effort, as there: a missing one fails nothing. */
export async function collectArtifacts({ task }: TrialPlace, sandbox: Sandbox, dir: string): Promise<CollectedArtifact[]> {
  const named = task.config.artifacts.map((artifact) => (typeof artifact === "string" ? { source: artifact, exclude: [] } : artifact));
  const wanted = named.some(({ source }) => source === CONVENTION_ARTIFACTS)
    ? named
    : [{ source: CONVENTION_ARTIFACTS, exclude: [] }, ...named];
  const collected: CollectedArtifact[] = [];
  for (const artifact of wanted) {
    const source = artifact.source.startsWith("/") ? artifact.source : `${sandbox.workdir.replace(/\/$/, "")}/${artifact.source}`;
    const destination = ("destination" in artifact ? artifact.destination : undefined) ?? source.slice(1);
    const quoted = shellQuoted(source);
    const type = source === CONVENTION_ARTIFACTS ? "directory" : await typeOf(sandbox, quoted);
    let from = source;
    if (type === "directory" && artifact.exclude.length > 0) {
      const excludes = artifact.exclude.map((pattern) => `--exclude='${pattern.replaceAll("'", "'\\''")}'`).join(" ");
      await sandbox.exec(`rm -rf ${STAGING} && mkdir -p ${STAGING} && tar -C ${quoted} ${excludes} -cf - . | tar -C ${STAGING} -xf -`, {
        user: "root",
        cwd: "/",
        timeoutMs: 120_000,
      });
      from = STAGING;
    }
    const into = type === "file" ? dirname(join(dir, destination)) : join(dir, destination);
    const report = await sandbox.copyOut(from, into, ARTIFACT_LIMITS);
    const missing = report.skipped.some(({ path, why }) => path === from && why === "missing");
    if (from === STAGING) await sandbox.exec(`rm -rf ${STAGING}`, { user: "root", cwd: "/", timeoutMs: 60_000 });
    collected.push({
      source: artifact.source,
      destination: `artifacts/${destination}`,
      type,
      status: missing ? "failed" : report.files === 0 ? "empty" : "ok",
      service: null,
    });
  }
  return collected;
}

async function typeOf(sandbox: Sandbox, quoted: string): Promise<"file" | "directory"> {
  const found = await sandbox.exec(`[ -f ${quoted} ]`, { user: "root", cwd: "/", timeoutMs: 30_000 });
  return found.exitCode === 0 ? "file" : "directory";
}
