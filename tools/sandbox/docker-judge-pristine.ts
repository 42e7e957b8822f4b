import { posix } from "node:path";
import type Docker from "dockerode";
import { SparkError } from "../../state/errors.js";
import { type ArchiveEntry, eachEntry, getFile, type PathStat, statPath } from "./docker-archive.js";
import { removeContainer } from "./docker-container.js";
import { translated } from "./docker-errors.js";
import { type CommandHost, runCommand, runScript } from "./docker-exec.js";
import { interpreterOptions, type PristineResolution, parseResolution, resolutionScript } from "./docker-judge-resolution.js";
import { labels } from "./docker-labels.js";
import type { ImageRef } from "./sandbox.js";

/** What a pristine image has that judges, as far as it is asked once for each image. */
export interface PristineFacts {
  /** The image's own environment. */
  env: Record<string, string>;
  /** Words of ENTRYPOINT and HEALTHCHECK. */
  startWords: string[];
  workdir: string;
  user: string;
  /** Real directories of PATH in search order, also those that do not exist. */
  pathDirs: string[];
  /** Files of these directories that can be executed, with every further path that a link leads over. */
  executables: { path: string; hops: string[] }[];
  /** Base names of the shared libraries in the loader's directories. */
  libraries: Set<string>;
  /** Text of /etc/passwd. */
  passwd: string;
  /** Scripts and configuration directories of ENTRYPOINT and HEALTHCHECK. */
  startFiles: string[];
  startDirs: string[];
  interpreters: { command: string; resolution: PristineResolution }[];
}

/** A container of the pristine image. It is made when it is first needed, and started only to be asked. */
export interface Pristine {
  facts(): Promise<PristineFacts>;
  /** What stands at a path, null when nothing does. */
  stat(path: string): Promise<PathStat | null>;
  /** The path and everything below it, as the image has it, as far as `keep` wants it; nothing when it is missing. */
  read(path: string, keep: (path: string) => boolean): Promise<ArchiveEntry[]>;
  close(): Promise<void>;
}

const scanLimitMs = 120_000;
const scanOutputBytes = 64 * 1024 * 1024;
const startScriptBytes = 256 * 1024;
const largestStartFile = 512 * 1024 * 1024;
const mostStartFiles = 200;
/** The container only answers questions; should we die, the reaper takes it. */
const lifeSeconds = 600;

const standardLibraryDirs = ["/lib", "/usr/lib", "/usr/local/lib", "/lib64", "/usr/lib64", "/usr/local/lib64", "/lib32", "/usr/lib32"];

// Plain sh: the image may have nothing else. Prints tab-separated facts, one a line.
const factsScript = `
real() { ( cd -P "$1" 2>/dev/null && pwd -P ) || printf '%s\\n' "$1"; }
hops() { p=$1; n=0; while [ -L "$p" ] && [ $n -lt 12 ]; do t=$(readlink "$p") || break; case $t in /*) p=$t;; *) p=\${p%/*}/$t;; esac; p=$(real "\${p%/*}")/\${p##*/}; printf '\\t%s' "$p"; n=$((n+1)); done; }
IFS=:; for d in $1; do IFS=' '; [ -n "$d" ] || continue; r=$(real "$d"); printf 'dir\\t%s\\n' "$r"
for f in "$r"/*; do [ -f "$f" ] && [ -x "$f" ] && { printf 'exe\\t%s' "$f"; hops "$f"; echo; }; done; IFS=:; done
IFS=' '; shift; for d in "$@" /lib/*-linux-* /usr/lib/*-linux-* /usr/local/lib/*-linux-*; do for f in "$d"/*.so "$d"/*.so.*; do [ -e "$f" ] && printf 'lib\\t%s\\n' "\${f##*/}"; done; done
while IFS= read -r l || [ -n "$l" ]; do printf 'pwd\\t%s\\n' "$l"; done </etc/passwd 2>/dev/null
:`;

/** Distributions whose modules decide what a test says, and those modules. */
const runnerSeeds = ["pytest", "pluggy", "iniconfig", "nose", "nose2"];
const runnerModules = ["pytest", "_pytest", "pluggy", "iniconfig", "nose", "nose2"];

const wordsOf = (value: unknown): string[] =>
  (Array.isArray(value) ? value.map(String) : typeof value === "string" ? [value] : [])
    .flatMap((part) => part.split(/[\s"'=;&|()<>]+/))
    .filter(Boolean);

/** Absolute paths that a start script names; `$` and globs cut them. */
const pathsIn = (text: string): string[] => [
  ...new Set([...text.matchAll(/\/[A-Za-z0-9_][A-Za-z0-9_./+-]*/g)].map(([path]) => path.replace(/\/+$/, ""))),
];

/** Facts are the same for every attempt on an image, so they are kept as long as the engine's client is. */
const factCaches = new WeakMap<Docker, Map<string, Promise<PristineFacts>>>();

/** @param options `binaryDirectories` is what the tests add to PATH, `installers` whether they install packages themselves. */
export const createPristine = (
  docker: Docker,
  image: ImageRef,
  options: { run: string; env: Readonly<Record<string, string>>; binaryDirectories: readonly string[]; installers: boolean },
): Pristine => {
  let made: Promise<Docker.Container> | null = null;
  let started: Promise<void> | null = null;

  const container = (): Promise<Docker.Container> => {
    made ??= translated(`creating a container of ${image.name}`, () =>
      docker.createContainer({
        Image: image.id,
        // Not the image's entrypoint: nothing but our questions runs here.
        Entrypoint: ["/bin/sh", "-c", `sleep ${lifeSeconds}`],
        Cmd: [],
        User: "0",
        WorkingDir: "/",
        Labels: {
          ...labels.ofContainer({ run: options.run, name: "pristine" }, new Date()),
          [labels.kind]: "pristine",
          [labels.expires]: new Date(Date.now() + lifeSeconds * 1000).toISOString(),
        },
        NetworkDisabled: true,
        Healthcheck: { Test: ["NONE"] },
        StopSignal: "SIGKILL",
        HostConfig: {
          AutoRemove: true,
          NetworkMode: "none",
          LogConfig: { Type: "none", Config: {} },
          CapDrop: ["ALL"],
          CapAdd: ["DAC_OVERRIDE"],
        },
      }),
    );
    return made;
  };
  const running = async (): Promise<Docker.Container> => {
    const own = await container();
    started ??= translated(`starting a container of ${image.name}`, async () => {
      await own.start();
    });
    await started;
    return own;
  };

  const gather = async (): Promise<PristineFacts> => {
    const inspected = await translated(`image ${image.name}`, () => docker.getImage(image.id).inspect());
    const config = inspected.Config;
    const env = { ...Object.fromEntries((config.Env ?? []).map((line) => splitOnce(line, "="))), ...options.env };
    const own = await running();
    const path = [env.PATH ?? defaultPath, ...options.binaryDirectories].join(":");
    const answer = await translated(`container of ${image.name}`, () =>
      runScript(own, factsScript, [path, ...standardLibraryDirs, ...(env.LD_LIBRARY_PATH ?? "").split(":").filter(Boolean)], {
        timeoutMs: scanLimitMs,
      }),
    );
    if (answer === null || answer.exitCode !== 0) {
      throw new SparkError(`the image ${image.name} did not answer what its PATH holds. Check that its /bin/sh works.`, {
        code: "sandbox-failed",
      });
    }
    const lines = answer.stdout.split("\n").map((line) => line.split("\t"));
    const of = (kind: string): string[][] => lines.filter((line) => line[0] === kind).map((line) => line.slice(1));
    const executables = of("exe").map(([file, ...hops]) => ({ path: file!, hops: hops.map((hop) => posix.normalize(hop)) }));
    const facts: PristineFacts = {
      env,
      startWords: [...wordsOf(config.Entrypoint), ...wordsOf((config as { Healthcheck?: { Test?: string[] } }).Healthcheck?.Test)],
      workdir: config.WorkingDir || "/",
      user: config.User ?? "",
      pathDirs: [...new Set(of("dir").map(([dir]) => dir!))],
      executables,
      libraries: new Set(of("lib").map(([name]) => name!)),
      passwd: of("pwd")
        .map((line) => line.join("\t"))
        .join("\n"),
      startFiles: [],
      startDirs: [],
      interpreters: [],
    };
    await readStartScripts(own, facts);
    for (const command of await interpretersOf(own, facts)) {
      const resolution = await askInterpreter(own, command, facts);
      if (resolution !== null) facts.interpreters.push({ command, resolution });
    }
    return facts;
  };

  const readStartScripts = async (container: Docker.Container, facts: PristineFacts): Promise<void> => {
    const own = facts.startWords.map((word) => (word.startsWith("/") ? word : word.includes("/") ? posix.join(facts.workdir, word) : word));
    const queue = own.map((word) => ({ word, named: true }));
    const seen = new Set<string>();
    while (queue.length > 0 && seen.size < mostStartFiles) {
      const { word, named } = queue.shift()!;
      const found = facts.executables.find((file) => posix.basename(file.path) === word);
      for (const path of word.startsWith("/") ? [word] : found ? [found.path, ...found.hops] : []) {
        if (seen.has(path)) continue;
        seen.add(path);
        if (path.endsWith(".d")) facts.startDirs.push(path);
        const content = await getFile(container, path, { maxBytes: largestStartFile }).catch(() => null);
        if (content === null) continue;
        const head = Buffer.from(content.subarray(0, startScriptBytes));
        const isScript = head.subarray(0, 2).toString() === "#!";
        // A start script also names configuration and the work itself, which are the agent's to change.
        if (named || isScript || path.endsWith(".sh")) facts.startFiles.push(path);
        if (isScript) queue.push(...pathsIn(head.toString()).map((inner) => ({ word: inner, named: false })));
      }
    }
  };

  const interpretersOf = async (own: Docker.Container, facts: PristineFacts): Promise<string[]> => {
    const found = new Map<string, string>();
    const add = (path: string, real: string): void => {
      // A virtual environment's python is a link, yet another interpreter than its target.
      const key = `${real} ${posix.dirname(posix.dirname(path))}`;
      if (!found.has(key)) found.set(key, path);
    };
    for (const { path, hops } of facts.executables) if (/^python(3(\.\d+)?)?$/.test(posix.basename(path))) add(path, hops.at(-1) ?? path);
    for (const { path } of facts.executables) {
      if (!/^(pytest|py\.test|nose2?)$/.test(posix.basename(path))) continue;
      const head = Buffer.from((await getFile(own, path).catch(() => null)) ?? []).toString("utf8", 0, 200);
      const [, shebang] = /^#!\s*(\/\S*python[0-9.]*)/.exec(head) ?? [];
      if (shebang !== undefined) add(shebang, shebang);
    }
    return [...found.values()];
  };

  const askInterpreter = async (own: Docker.Container, command: string, facts: PristineFacts): Promise<PristineResolution | null> => {
    const input = resolutionScript({
      fronts: [],
      homes: homesOf(facts.passwd),
      seeds: [...runnerSeeds, ...(options.installers ? ["pip", "setuptools", "wheel", "uv"] : [])],
      names: runnerModules,
      judge: null,
    });
    const host: CommandHost = {
      name: `of image ${image.name}`,
      container: own,
      watch: () => () => undefined,
      recover: () =>
        Promise.reject(new SparkError(`a container of ${image.name} hung while its modules were looked up.`, { code: "sandbox-failed" })),
    };
    const result = await runCommand(host, `'${command}' ${interpreterOptions(true)}`, {
      stdin: Buffer.from(input),
      user: "0",
      cwd: "/",
      timeoutMs: scanLimitMs,
      maxOutputBytes: scanOutputBytes,
    });
    // An interpreter that cannot run in its own image (python2, a broken one) judges nothing.
    if (result.exitCode !== 0) return null;
    return parseResolution<PristineResolution>(result.stdout, `image ${image.name}`);
  };

  return {
    facts() {
      const cache = factCaches.get(docker) ?? new Map<string, Promise<PristineFacts>>();
      factCaches.set(docker, cache);
      const key = JSON.stringify([image.id, options.env, options.binaryDirectories, options.installers]);
      const known = cache.get(key);
      if (known !== undefined) return known;
      const asked = gather();
      cache.set(key, asked);
      asked.catch(() => cache.delete(key));
      return asked;
    },
    async stat(path) {
      return await statPath(await container(), path);
    },
    async read(path, keep) {
      const own = await container();
      const entries = new Map<string, ArchiveEntry>();
      const linked: { path: string; target: string }[] = [];
      const parent = posix.dirname(path);
      await eachEntry(own, path, async ({ header, body }) => {
        const at = posix.join(parent, header.name);
        if (!keep(at)) {
          await body.cancel();
          return true;
        }
        const common = {
          name: at.slice(1),
          mode: header.mode ?? 0o644,
          uid: header.uid ?? 0,
          gid: header.gid ?? 0,
          ...(header.mtime ? { mtime: header.mtime } : {}),
        };
        if (header.type === "file") entries.set(at, { ...common, type: "file", data: Buffer.concat(await chunksOf(body)) });
        else if (header.type === "directory") entries.set(at, { ...common, type: "directory" });
        else if (header.type === "symlink") entries.set(at, { ...common, type: "symlink", linkname: header.linkname ?? "" });
        else if (header.type === "link") linked.push({ path: at, target: posix.join(parent, header.linkname ?? "") });
        return true;
      });
      // A hard link to a file that was not wanted: on its own the archive brings its content.
      for (const link of linked) {
        const target = entries.get(link.target);
        if (target !== undefined) entries.set(link.path, { ...target, name: link.path.slice(1) });
        else for (const entry of await this.read(link.path, (at) => at === link.path)) entries.set(link.path, entry);
      }
      return [...entries.values()];
    },
    async close() {
      if (made !== null) await removeContainer(await made);
    },
  };
};

const chunksOf = async (body: ReadableStream<Uint8Array>): Promise<Uint8Array[]> => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return chunks;
};

const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const splitOnce = (line: string, separator: string): [string, string] => {
  const at = line.indexOf(separator);
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
};

/** Home directories of a passwd file that a person or a verifier may have: root's and those of uids from 1000. */
export const homesOf = (passwd: string): string[] => {
  const homes = passwd
    .split("\n")
    .map((line) => line.split(":"))
    .filter((fields) => fields.length >= 7 && (fields[2] === "0" || Number(fields[2]) >= 1000) && /^\/./.test(fields[5]!))
    .map((fields) => posix.normalize(fields[5]!))
    .filter((home) => home !== "/" && home !== "/nonexistent");
  return [...new Set(["/root", ...homes])];
};
