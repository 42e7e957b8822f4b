import { posix } from "node:path";
import type Docker from "dockerode";
import { type ArchiveEntry, getFile, type PathStat, putEntries, statPath } from "./docker-archive.js";
import type { Pristine, PristineFacts } from "./docker-judge-pristine.js";
import type { Protection } from "./docker-judge-protected.js";
import type { FileChange } from "./sandbox.js";

/** What was done to a container before its first instruction. */
export interface Restoration {
  /** Changes of the agent's that were taken back. Caches that were added are not named: python made them, and makes them again. */
  withheld: string[];
  /** Blanked files, to be removed once something runs there. */
  blanked: string[];
}

/** Above so many paths whole directories of the pristine image are streamed instead of asking for each path. */
const singleReads = 24;
/** Depth at which such paths are gathered: `/usr/lib/python3.11/json` is read with `/usr/lib/python3.11`. */
const gatherDepth = 3;
/** Bytes of one upload. */
const uploadBytes = 64 * 1024 * 1024;
const passwdBytes = 1024 * 1024;

const below = (path: string, top: string): boolean => path === top || path.startsWith(`${top}/`);

/** Outermost of these paths. */
export const outermost = (paths: readonly string[]): string[] => {
  const kept: string[] = [];
  for (const path of [...new Set(paths)].sort((a, b) => (`${a}/` < `${b}/` ? -1 : 1)))
    if (kept.length === 0 || !below(path, kept.at(-1)!)) kept.push(path);
  return kept;
};

const upload = async (container: Docker.Container, entries: readonly ArchiveEntry[]): Promise<void> => {
  let part: ArchiveEntry[] = [];
  let size = 0;
  for (const entry of entries) {
    part.push(entry);
    size += entry.type === "file" && "data" in entry ? entry.data.byteLength : 0;
    if (size < uploadBytes) continue;
    await putEntries(container, "/", part);
    part = [];
    size = 0;
  }
  await putEntries(container, "/", part);
};

/**
 * Puts back what judges (sandbox.md 4.4 step 2). An archive entry takes the place of whatever stands at its path, also of a
 * directory, and a directory entry the place of a link; but a link on the way to it would lead it elsewhere, so whatever
 * stands where the pristine image has a directory on the way to what judges is replaced first, with all that judges below it.
 */
export const restore = async (
  container: Docker.Container,
  pristine: Pristine,
  protection: Protection,
  changes: readonly FileChange[],
): Promise<Restoration> => {
  const withheld = new Set<string>();
  const candidates: FileChange[] = [];
  const blanked: string[] = [];
  const shadows: { path: string; target: string }[] = [];
  const parents = new Set(changes.map((change) => posix.dirname(change.path)));
  for (const change of changes) {
    const treatment = protection.treat(change);
    if (treatment.kind === "blank") blanked.push(change.path);
    else if (treatment.kind === "shadow") {
      // A directory of that name is no program.
      if (!parents.has(change.path)) shadows.push({ path: change.path, target: treatment.target });
    } else if (treatment.kind !== "carry") candidates.push(change);
  }

  const entries = new Map<string, ArchiveEntry>();
  const take = (found: readonly ArchiveEntry[]): void => {
    for (const entry of found) entries.set(pathOf(entry), entry);
  };
  const standing = new Map<string, Promise<PathStat | null>>();
  const stands = (path: string): Promise<PathStat | null> => {
    const asked = standing.get(path) ?? statPath(container, path);
    standing.set(path, asked);
    return asked;
  };
  // Directories first: what is replaced whole needs no further look at what was changed in it.
  const replaced: string[] = [];
  const kept = await originals(pristine, candidates, protection);
  for (const { change, original } of kept.sort((a, b) => (a.change.path < b.change.path ? -1 : 1))) {
    const { path, kind } = change;
    if (original === null) {
      // Not in the image: a link or a file of the agent's where a directory that judges would stand.
      const now = kind === "deleted" ? null : await stands(path);
      if (now !== null && now.type !== "directory") blanked.push(path);
      continue;
    }
    if (replaced.some((top) => below(path, top))) continue;
    if (original !== "directory") {
      if (!protection.judges(path) && original.type !== "symlink") continue;
      entries.set(path, original);
      withheld.add(path);
      if (original.type === "symlink") replaced.push(path);
      continue;
    }
    const now = await stands(path);
    if (kind !== "deleted" && now?.type === "directory") continue;
    const content = await pristine.read(path, (at) => at === path || protection.judges(at) || protection.leadsOn(at));
    // A directory that was only deleted matters for what judges in it; something else in its place is never left on the way.
    if (now === null && content.every((entry) => entry.type === "directory")) continue;
    replaced.push(path);
    withheld.add(path);
    take(content);
  }
  await upload(container, sorted(entries));

  const blanks = outermost(blanked.filter((path) => !replaced.some((top) => below(path, top)) && !entries.has(path)));
  await upload(container, [
    ...blanks.map((path): ArchiveEntry => ({ name: path.slice(1), type: "file", mode: 0o644, data: new Uint8Array() })),
    ...shadows
      .filter(({ path }) => !replaced.some((top) => below(path, top)))
      .map(({ path, target }): ArchiveEntry => ({ name: path.slice(1), type: "symlink", mode: 0o777, linkname: target })),
  ]);
  for (const path of [...blanks, ...shadows.map((shadow) => shadow.path)]) if (!path.includes("/__pycache__")) withheld.add(path);
  return { withheld: [...withheld], blanked: blanks };
};

const sorted = (entries: ReadonlyMap<string, ArchiveEntry>): ArchiveEntry[] =>
  [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);

/** What the pristine image has at each path: null nothing, else the entry itself, for a directory only the word. */
const originals = async (
  pristine: Pristine,
  changes: readonly FileChange[],
  protection: Protection,
): Promise<{ change: FileChange; original: ArchiveEntry | "directory" | null }[]> => {
  const found = new Map<string, ArchiveEntry | "directory">();
  const wanted = changes.filter((change) => change.kind !== "added").map((change) => change.path);
  const gathered = wanted.filter((path) => protection.judges(path)).length > singleReads ? wanted.filter(isDeep) : [];
  for (const path of wanted.filter((one) => !gathered.includes(one))) {
    const stat = await pristine.stat(path);
    if (stat?.type === "directory") found.set(path, "directory");
    else if (stat !== null) for (const entry of await pristine.read(path, (at) => at === path)) found.set(path, entry);
  }
  for (const entry of await gather(pristine, gathered)) found.set(pathOf(entry), entry.type === "directory" ? "directory" : entry);
  return changes.map((change) => ({ change, original: found.get(change.path) ?? null }));
};

const pathOf = (entry: ArchiveEntry): string => `/${entry.name.replace(/\/$/, "")}`;
const isDeep = (path: string): boolean => path.split("/").length > gatherDepth + 1;

/** Reads many paths by streaming the directories that hold them: one request to the engine costs as much as a megabyte. */
const gather = async (pristine: Pristine, paths: readonly string[]): Promise<ArchiveEntry[]> => {
  const wanted = new Set(paths);
  const entries: ArchiveEntry[] = [];
  for (const folder of outermost(
    paths.map((path) =>
      path
        .split("/")
        .slice(0, gatherDepth + 1)
        .join("/"),
    ),
  )) {
    entries.push(...(await pristine.read(folder, (at) => wanted.has(at))));
  }
  return entries;
};

/** The entries of these files of the pristine image. */
export const readEach = async (pristine: Pristine, paths: readonly string[]): Promise<ArchiveEntry[]> => {
  const gathered = paths.length > singleReads ? paths.filter(isDeep) : [];
  const entries = await gather(pristine, gathered);
  for (const path of paths.filter((one) => !gathered.includes(one))) entries.push(...(await pristine.read(path, (at) => at === path)));
  return entries;
};

/**
 * The lines of those users under whom the verifier runs go back into the agent's /etc/passwd (their home and shell decide what
 * a command reads), all others stay: to add a user is honest work.
 */
export const mergedPasswd = (pristine: string, agents: string, users: readonly string[]): string => {
  const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");
  const judging = lines(pristine).filter((line) => users.includes(line.split(":")[0]!) || users.includes(line.split(":")[2]!));
  const names = new Set(judging.map((line) => line.split(":")[0]));
  return `${[...judging, ...lines(agents).filter((line) => !names.has(line.split(":")[0]))].join("\n")}\n`;
};

/** Writes the merged /etc/passwd when the agent changed it; true when that took something back. */
export const restorePasswd = async (
  container: Docker.Container,
  facts: PristineFacts,
  changes: readonly FileChange[],
  users: readonly string[],
): Promise<boolean> => {
  if (
    facts.passwd === "" ||
    !changes.some((change) => change.path === "/etc/passwd" || (change.path === "/etc" && change.kind === "deleted"))
  )
    return false;
  const content = await getFile(container, "/etc/passwd", { maxBytes: passwdBytes }).catch(() => null);
  const agents = content === null ? null : Buffer.from(content).toString("utf8");
  const merged = agents === null ? `${facts.passwd}\n` : mergedPasswd(facts.passwd, agents, users);
  const asSet = (text: string): string => text.split("\n").filter(Boolean).sort().join("\n");
  if (agents !== null && asSet(agents) === asSet(merged)) return false;
  await putEntries(container, "/", [{ name: "etc/passwd", type: "file", mode: 0o644, data: Buffer.from(merged) }]);
  return true;
};
