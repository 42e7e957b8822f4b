import { createHash } from "node:crypto";
import type { ContainerCreateOptions } from "dockerode";
import { labels } from "./docker-labels.js";
import type { CreateOptions } from "./sandbox.js";

/** What the engine says about itself, as far as it decides flags. */
export interface EngineFacts {
  version: string;
  memoryLimit: boolean;
  cpuLimit: boolean;
  pidsLimit: boolean;
  memoryBytes: number;
  rootless: boolean;
  seccomp: boolean;
  /** AppArmor or SELinux, as the engine names it; empty without. */
  mandatoryAccess: string;
  podman: boolean;
  os: string;
}

/** From the engine's `info` answer, which other engines fill only in part. */
export const engineFacts = (info: Record<string, unknown>): EngineFacts => {
  const security = Array.isArray(info.SecurityOptions) ? info.SecurityOptions.map(String) : [];
  const os = String(info.OperatingSystem ?? "");
  const version = String(info.ServerVersion ?? "");
  return {
    version,
    memoryLimit: info.MemoryLimit !== false,
    cpuLimit: info.CpuCfsQuota !== false,
    pidsLimit: info.PidsLimit !== false,
    memoryBytes: typeof info.MemTotal === "number" ? info.MemTotal : 0,
    rootless: security.some((s) => s.includes("rootless")),
    seccomp: security.some((s) => s.includes("seccomp")),
    mandatoryAccess: security.some((s) => s.includes("apparmor"))
      ? "AppArmor"
      : security.some((s) => s.includes("selinux"))
        ? "SELinux"
        : "",
    podman: /podman/i.test(JSON.stringify(info.BuildahVersion ?? "")) || "BuildahVersion" in info,
    os,
  };
};

/** Docker's seccomp profile closes AF_VSOCK and io_uring sockets from this major version on. */
const tightSeccompMajor = 25;
/** Threads count too: a numeric library on many cores needs hundreds. */
const pidsLimit = 1024;
const noFiles = { Name: "nofile", Soft: 4096, Hard: 8192 };

/** The isolation of a container on this engine, in words for a person and for a record. */
export const isolationWords = (facts: EngineFacts, network?: CreateOptions["network"]): string[] => [
  `${facts.podman ? "Podman" : "Docker"} ${facts.version} container${facts.rootless ? ", rootless engine" : ""}`,
  ...(network === undefined ? [] : [network === "none" ? "no network" : "public network"]),
  "capabilities dropped but six, no-new-privileges for images that run as root",
  facts.seccomp ? "the engine's seccomp profile" : "NO seccomp profile",
  ...(facts.mandatoryAccess === "" ? [] : [facts.mandatoryAccess]),
  ...(facts.memoryLimit ? ["memory limit"] : ["NO memory limit (the engine cannot)"]),
  ...(facts.cpuLimit ? ["cpu limit"] : ["NO cpu limit (the engine cannot)"]),
  ...(facts.pidsLimit ? ["process limit"] : ["NO process limit (the engine cannot)"]),
  ...(!facts.podman && Number.parseInt(facts.version, 10) < tightSeccompMajor
    ? ["old engine: AF_VSOCK and io_uring are open to the container"]
    : []),
];

/** A container name that the engine takes (`[a-zA-Z0-9][a-zA-Z0-9_.-]+`), different for different names. */
export const containerName = (name: string): string => {
  const clean = name.replace(/[^a-zA-Z0-9_.-]+/g, "-").replace(/^[^a-zA-Z0-9]+/, "");
  if (clean === name && name.length >= 2 && name.length <= 128) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 12);
  return `${clean.slice(0, 100) || "sandbox"}-${digest}`;
};

/** Same for a tag of the snapshot repository (at most 128 characters). */
export const snapshotTag = (name: string): string => `spark-skills-snapshot:${containerName(name)}`;

/** Stands in the life line's command line. */
export const lifeLineToken = "spark-skills-life-line";

// Short reads, the lease counted beside them: while bash waits in a long `read -t`, it reaps no orphans, and a thousand dead
// processes use up the limit. A read that ends without a line and without its time being up has met the end of the input.
const lifeLineBash =
  'l=$1 t=$SECONDS; while :; do if IFS= read -r -t 1 x; then l=${x:-$l} t=$SECONDS; elif [ $? -le 128 ] || { [ "$l" != 0 ] && [ $((SECONDS-t)) -ge "$l" ]; }; then exit; fi; done';
// Other shells may have no time limit for read (dash): there a watcher wakes the reader by a signal.
const lifeLineSh =
  'trap "exit 0" USR1; while :; do w=; [ "$l" = 0 ] || { (trap - USR1; sleep "$l"; kill -USR1 $$) & w=$!; }; IFS= read -r x || exit 0; [ -z "$w" ] || kill "$w" 2>/dev/null; l=${x:-$l}; done';

/** The command of a container: the argument of the image's own ENTRYPOINT. Ends when nobody has written a line for the lease. */
export const lifeLine = (leaseMs: number): string[] => [
  "sh",
  "-c",
  `command -v bash >/dev/null 2>&1 && exec bash -c '${lifeLineBash}' ${lifeLineToken} "$1"; l=$1; ${lifeLineSh}`,
  lifeLineToken,
  leaseSeconds(leaseMs),
];

// The command line of the life line itself, and not of an entrypoint script that got it as its arguments.
const isLifeLine = `case $c in "bash -c l="*"${lifeLineToken}"*|"sh -c command -v bash"*"${lifeLineToken}"*)`;

/**
 * Finds the life line: the oldest process with its command line. The agent's are younger, since its first command waits for the
 * life line ({@link hasLifeLine}). Gives `keep`: its pid and those of its parents, an entrypoint that waits for it, with spaces.
 */
export const findLifeLine = `keep=" "; best=; life=
for p in $(grep -la ${lifeLineToken} /proc/[0-9]*/cmdline 2>/dev/null); do p=\${p%/cmdline}; c=$(tr '\\0' ' ' <"$p/cmdline" 2>/dev/null); ${isLifeLine} ;; *) continue;; esac
{ IFS= read -r s <"$p/stat"; } 2>/dev/null || continue; s=\${s##*") "}; set -- $s; if [ -z "$best" ] || [ "\${20}" -lt "$best" ]; then best=\${20}; life=\${p#/proc/}; fi; done
q=$life; while [ -n "$q" ] && [ "$q" != 0 ]; do keep="$keep$q "; IFS= read -r s <"/proc/$q/stat" || break; s=\${s##*") "}; set -- $s; q=$2; done`;

/** Succeeds when the life line runs: an image's entrypoint may do much before it comes to its argument. */
export const hasLifeLine = `n=0; while [ $n -lt "$1" ]; do ${findLifeLine}
[ -n "$life" ] && exit 0; n=$((n+1)); sleep 0.1; done; exit 1`;

/** A lease as the life line reads it: whole seconds, rounded up. */
export const leaseSeconds = (leaseMs: number): string => String(Math.max(0, Math.ceil(leaseMs / 1000)));

/** What a refused start may leave out. */
export type Concession = "ulimits";

/** The whole request for a container. Never a `User`: the phase's user goes on each exec. */
export const hardened = (
  options: CreateOptions,
  facts: EngineFacts,
  now: Date,
  concessions: readonly Concession[] = [],
): ContainerCreateOptions => {
  const root = options.image.user === "" || /^(root|0)(:|$)/.test(options.image.user);
  // A task that names no memory may use most of the machine, not all of it.
  const memory = options.memoryMb !== undefined ? options.memoryMb * 2 ** 20 : Math.floor(facts.memoryBytes * 0.75);
  const fileBytes = options.storageMb === undefined ? undefined : options.storageMb * 2 ** 20;
  return {
    name: containerName(options.name),
    Image: options.image.id,
    Cmd: lifeLine(options.leaseMs),
    Env: Object.entries(options.env).map(([name, value]) => `${name}=${value}`),
    ...(options.workdir === undefined ? {} : { WorkingDir: options.workdir }),
    Labels: labels.ofContainer(options, now),
    OpenStdin: true,
    StdinOnce: options.leaseMs <= 0,
    Tty: false,
    StopSignal: "SIGKILL",
    NetworkDisabled: options.network === "none",
    HostConfig: {
      AutoRemove: true,
      NetworkMode: options.network === "none" ? "none" : "bridge",
      CapDrop: ["ALL"],
      CapAdd: ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL"],
      // With another user this flag would leave `exec -u 0` without any capability: nothing could be killed or wiped.
      SecurityOpt: root ? ["no-new-privileges"] : [],
      ...(facts.pidsLimit ? { PidsLimit: pidsLimit } : {}),
      ...(facts.memoryLimit && memory > 0 ? { Memory: memory, MemorySwap: memory } : {}),
      ...(facts.cpuLimit && options.cpus !== undefined ? { NanoCpus: Math.round(options.cpus * 1e9) } : {}),
      ShmSize: 64 * 2 ** 20,
      LogConfig: { Type: "none", Config: {} },
      IpcMode: "private",
      ...(concessions.includes("ulimits")
        ? {}
        : {
            Ulimits: [
              noFiles,
              { Name: "core", Soft: 0, Hard: 0 },
              ...(fileBytes === undefined ? [] : [{ Name: "fsize", Soft: fileBytes, Hard: fileBytes }]),
            ],
          }),
    },
  };
};
