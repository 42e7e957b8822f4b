import type Docker from "dockerode";
import { messageOf, SparkError } from "../../state/errors.js";
import { putEntries, statPath } from "./docker-archive.js";
import type { DockerSandbox, PreparedContainer } from "./docker-container.js";
import { snapshotChanges } from "./docker-judge-changes.js";
import { createPristine, type Pristine, type PristineFacts } from "./docker-judge-pristine.js";
import { installsPackages, type Protection, protect } from "./docker-judge-protected.js";
import { readTestReach } from "./docker-judge-reach.js";
import {
  compareResolution,
  interpreterOptions,
  type PristineResolution,
  parseResolution,
  type Resolution,
  resolutionScript,
} from "./docker-judge-resolution.js";
import { outermost, readEach, restore, restorePasswd } from "./docker-judge-restore.js";
import type { CreateOptions, FileChange, ImageRef, JudgeOptions, JudgeResult } from "./sandbox.js";

const scanRounds = 3;
const scanLimitMs = 120_000;
const scanOutputBytes = 64 * 1024 * 1024;
/** Paths of one `rm`. */
const removeAtOnce = 500;

/**
 * A container with the agent's changes in which everything that judges is as in the pristine image (sandbox.md 4.4, M6), steps
 * 2 to 4: files go back before the first instruction, added hooks are blanked; then caches and shadowing modules are removed,
 * and where each module that judges is found is compared with the pristine image. Copying the tests in is the caller's.
 * Not covered: candidate code that the test process itself imports; packages other than the test runner's that tests import.
 * A container that twice does not come up with the agent's changes, while the pristine image does, is given back as the
 * pristine one and tampered: to break it must not earn a free retry.
 *
 * @param prepare creates a container, not started
 */
export const judge = async (
  docker: Docker,
  options: JudgeOptions,
  prepare: (options: CreateOptions) => Promise<PreparedContainer>,
): Promise<JudgeResult> => {
  const changes = options.changes ?? (await snapshotChanges(docker, options.image, options.snapshot));
  const once = (): Promise<JudgeResult> => judgeOnce(docker, { ...options, changes }, prepare);
  try {
    return await once();
  } catch (error) {
    if (!isBroken(error) || changes.length === 0) throw error;
  }
  try {
    return await once();
  } catch (error) {
    if (!isBroken(error)) throw error;
    const sandbox = await (await prepare(options)).start();
    // An entrypoint that ends by itself needs a moment for it; a command tells.
    const alive = await sandbox.exec("true", { user: "0", cwd: "/" }).catch(() => null);
    if (alive?.exitCode !== 0) {
      await sandbox.close();
      throw error;
    }
    return { sandbox, withheld: [], tampered: [(options.workdir ?? options.image.workdir) || "/"] };
  }
};

const isBroken = (error: unknown): boolean =>
  SparkError.isInstance(error) && (error.code === "sandbox-lost" || error.code === "sandbox-failed");

const judgeOnce = async (
  docker: Docker,
  options: JudgeOptions & { changes: FileChange[] },
  prepare: (options: CreateOptions) => Promise<PreparedContainer>,
): Promise<JudgeResult> => {
  const { changes } = options;
  const reach = await readTestReach(options.testsDir);
  const pristine = createPristine(docker, options.image, {
    run: options.run,
    env: options.env,
    binaryDirectories: reach.binaryDirectories,
    installers: installsPackages(reach),
  });
  const image: ImageRef = { ...options.image, id: options.snapshot };
  let prepared: PreparedContainer | null = null;
  let sandbox: DockerSandbox | null = null;
  try {
    const asked = changes.length === 0 ? null : pristine.facts();
    asked?.catch(() => undefined);
    prepared = await prepareIn({ ...options, image }, prepare, changes);
    const before = prepared.container.id;
    if (asked === null) return { sandbox: await prepared.start(), withheld: [], tampered: [] };
    const facts = await asked;
    const protection = protect(facts, { ...(options.workdir === undefined ? {} : { workdir: options.workdir }), reach });
    const restored = await restore(prepared.container, pristine, protection, changes);
    const withheld = new Set(restored.withheld);
    const users = ["root", "0", ...[facts.user, options.user ?? ""].map((user) => user.split(":")[0]!)].filter(Boolean);
    if (await restorePasswd(prepared.container, facts, changes, users)) withheld.add("/etc/passwd");
    for (const path of await restoreWorkdir(prepared.container, options.workdir ?? facts.workdir, changes)) withheld.add(path);

    sandbox = await prepared.start();
    if (sandbox.container.id !== before) {
      throw new SparkError(
        `the container ${options.name} was made anew at its start and lost what was put into it. Use --verifier shared on this engine.`,
        { code: "sandbox-failed" },
      );
    }
    await remove(sandbox, restored.blanked);
    if (changes.some((change) => change.path === "/etc/ld.so.cache")) await rebuildLoaderCache(sandbox);
    const tampered = await compare(sandbox, pristine, facts, protection, changes, withheld);
    return { sandbox, withheld: [...withheld].sort(), tampered: tampered.sort() };
  } catch (error) {
    await (sandbox?.close() ?? prepared?.remove());
    throw error;
  } finally {
    await pristine.close();
  }
};

/** Step 4. Returns what still differs after three rounds. */
const compare = async (
  sandbox: DockerSandbox,
  pristine: Pristine,
  facts: PristineFacts,
  protection: Protection,
  changes: readonly FileChange[],
  withheld: Set<string>,
): Promise<string[]> => {
  const kinds = new Map(changes.map((change) => [change.path, change.kind]));
  const tampered = new Set<string>();
  for (const { command, resolution } of facts.interpreters) {
    for (let round = 1; ; round += 1) {
      const here = await scan(sandbox, command, resolution, protection);
      // It ran in the pristine image, and everything it needs was put back: what breaks it is not honest work.
      if (here === null) {
        tampered.add(command);
        break;
      }
      const { remove: extra, restore: different } = compareResolution(resolution, here, (path) => kinds.get(path));
      if (extra.length === 0 && different.length === 0) break;
      if (round > scanRounds) {
        for (const path of [...extra, ...different]) tampered.add(path);
        break;
      }
      await remove(sandbox, extra);
      await putEntries(sandbox.container, "/", await readEach(pristine, different));
      for (const path of [...extra, ...different]) if (kinds.has(path) && !path.includes("/__pycache__")) withheld.add(path);
    }
  }
  return [...tampered];
};

const scan = async (
  sandbox: DockerSandbox,
  command: string,
  resolution: PristineResolution,
  protection: Protection,
): Promise<Pick<Resolution, "matches" | "digests"> | null> => {
  const { path, names, dotted, distributions, firstSite } = resolution;
  const judged = { path, names, dotted, distributions, firstSite };
  const source = resolutionScript({ fronts: protection.fronts, homes: protection.homes, seeds: [], names: [], judge: judged });
  const result = await sandbox.exec(`'${command}' ${interpreterOptions(false)}`, {
    stdin: Buffer.from(source),
    user: "0",
    cwd: "/",
    timeoutMs: scanLimitMs,
    maxOutputBytes: scanOutputBytes,
  });
  return result.exitCode === 0 ? parseResolution(result.stdout, sandbox.id) : null;
};

const quoted = (path: string): string => `'${path.replaceAll("'", "'\\''")}'`;

/** Removes paths with the restored tools; links are removed, never followed. */
const remove = async (sandbox: DockerSandbox, paths: readonly string[]): Promise<void> => {
  const all = outermost(paths);
  if (all.length === 0) return;
  const lines: string[] = [];
  for (let at = 0; at < all.length; at += removeAtOnce)
    lines.push(
      `rm -rf -- ${all
        .slice(at, at + removeAtOnce)
        .map(quoted)
        .join(" ")}`,
    );
  const result = await sandbox.exec("sh -s", { stdin: Buffer.from(`${lines.join("\n")}\n`), user: "0", cwd: "/", timeoutMs: scanLimitMs });
  if (result.exitCode !== 0 && result.exitCode !== 1) {
    throw new SparkError(
      `${all.length} paths could not be removed from ${sandbox.id}: ${Buffer.from(result.stderr).toString().slice(0, 300)}`,
      { code: "sandbox-failed" },
    );
  }
};

/** The engine refuses a container whose working directory is a file, and that must not be the agent's free retry: then it is made in `/`. */
const prepareIn = async (
  options: CreateOptions,
  prepare: (options: CreateOptions) => Promise<PreparedContainer>,
  changes: readonly FileChange[],
): Promise<PreparedContainer> => {
  const workdir = options.workdir ?? options.image.workdir;
  try {
    return await prepare(options);
  } catch (error) {
    if (!/not a directory/i.test(messageOf(error)) || !changes.some((change) => isOrHolds(change.path, workdir))) throw error;
    return await prepare({ ...options, workdir: "/" });
  }
};

const isOrHolds = (path: string, target: string): boolean => path === target || target.startsWith(`${path}/`);

/** Makes the working directory one again, where the agent left something else in its place. */
const restoreWorkdir = async (container: Docker.Container, workdir: string, changes: readonly FileChange[]): Promise<string[]> => {
  const replaced: string[] = [];
  const parts = workdir.split("/").filter(Boolean);
  for (let depth = 1; depth <= parts.length; depth += 1) {
    const path = `/${parts.slice(0, depth).join("/")}`;
    if (!changes.some((change) => change.path === path)) continue;
    const stat = await statPath(container, path);
    if (
      stat === null ||
      stat.type === "directory" ||
      (stat.type === "symlink" && (await statPath(container, `${path}/.`))?.type === "directory")
    )
      continue;
    await putEntries(container, "/", [{ name: path.slice(1), type: "directory", mode: 0o755 }]);
    replaced.push(path);
  }
  return replaced;
};

/**
 * The pristine cache went back; libraries that the agent installed outside of the loader's own directories are found only
 * through a new one. It is kept when each library of the pristine cache is still found where it was.
 */
const rebuildLoaderCache = async (sandbox: DockerSandbox): Promise<void> => {
  const script = `command -v ldconfig >/dev/null && ldconfig -X -C /etc/.ld.so.cache 2>/dev/null || { rm -f /etc/.ld.so.cache; exit 0; }
found() { ldconfig -C "$1" -p | awk 'NR > 1 && !seen[$1]++ { print $1, $NF }' | sort; }
found /etc/ld.so.cache >/tmp/.ld.old; found /etc/.ld.so.cache >/tmp/.ld.new
[ -s /tmp/.ld.old ] && [ -z "$(comm -23 /tmp/.ld.old /tmp/.ld.new)" ] && ! comm -13 /tmp/.ld.old /tmp/.ld.new | grep -q '^libnss_' && mv /etc/.ld.so.cache /etc/ld.so.cache
rm -f /etc/.ld.so.cache /tmp/.ld.old /tmp/.ld.new`;
  await sandbox.exec(script, { user: "0", cwd: "/", timeoutMs: scanLimitMs });
};
