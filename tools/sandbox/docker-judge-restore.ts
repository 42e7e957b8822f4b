import { posix } from "node:path";
import type Docker from "dockerode";
import { type ArchiveEntry, getFile, type PathStat, putEntries, statPath } from "./docker-archive.js";
import type { Pristine, PristineFacts } from "./docker-judge-pristine.js";
import type { Protection } from "./docker-judge-protected.js";
import type { FileChange } from "./sandbox.js";

/** What was done to a container before its first instruction. */
export interface Restoration {
  /** Changes of the agent's that were taken back. */
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
    for (const entry of found) entries.set(`/${entry.name.replace(/\/$/, "")}`, entry);
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
    replaced.push(path);
    withheld.add(path);
    // Its own entry even where nothing below judges: a link on the way must not stay.
    take(await pristine.read(path, (at) => at === path || protection.judges(at) || protection.leadsOn(at)));
  }
  await upload(container, sorted(entries));

  const blanks = outermost(blanked.filter((path) => !replaced.some((top) => below(path, top)) && !entries.has(path)));
  await upload(container, [
    ...blanks.map((path): ArchiveEntry => ({ name: path.slice(1), type: "file", mode: 0o644, data: new Uint8Array() })),
    ...shadows
      .filter(({ path }) => !replaced.some((top) => below(path, top)))
      .map(({ path, target }): ArchiveEntry => ({ name: path.slice(1), type: "symlink", mode: 0o777, linkname: target })),
  ]);
  for (const path of [...blanks, ...shadows.map((shadow) => shadow.path)]) withheld.add(path);
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
  const wanted = new Set(changes.filter((change) => change.kind !== "added").map((change) => change.path));
  const single = async (path: string): Promise<void> => {
    const stat = await pristine.stat(path);
    if (stat === null) return;
    if (stat.type === "directory") found.set(path, "directory");
    else for (const entry of await pristine.read(path, (at) => at === path)) found.set(path, entry);
  };
  const many = [...wanted].filter((path) => protection.judges(path));
  if (many.length <= singleReads) {
    for (const path of wanted) await single(path);
  } else {
    for (const path of wanted) if (path.split("/").length <= gatherDepth + 1) await single(path);
    const folders = outermost(
      [...wanted]
        .filter((path) => !found.has(path) && path.split("/").length > gatherDepth + 1)
        .map((path) =>
          path
            .split("/")
            .slice(0, gatherDepth + 1)
            .join("/"),
        ),
    );
    for (const folder of folders) {
      for (const entry of await pristine.read(folder, (at) => wanted.has(at))) {
        const path = `/${entry.name.replace(/\/$/, "")}`;
        found.set(path, entry.type === "directory" ? "directory" : entry);
      }
    }
  }
  return changes.map((change) => ({ change, original: found.get(change.path) ?? null }));
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
