import { messageOf, SparkError } from "../../state/errors.js";
import { resolutionSource } from "./docker-judge-resolution-script.js";
import type { FileChange } from "./sandbox.js";

/** Where the names that judge are found by one interpreter. Made by {@link resolutionScript} inside a container. */
export interface Resolution {
  /** The verifier's module path without the directories before it, in search order. */
  path: string[];
  /** Index in `path` where each name is found in the pristine image, null when it is found nowhere. */
  names: Record<string, number | null>;
  /** For packages without `__init__` that the standard library tries to import: the submodules asked for. */
  dotted: Record<string, string[]>;
  /** Distributions of the test runner and what it needs, normalised names. */
  distributions: string[];
  /** Files or package directories found for each name; a negative index is a directory that comes before `path`. */
  matches: { name: string; index: number; path: string; initializer: string | null }[];
  /** Content digest of every file behind the matches, of start-up hooks, and of what announces plugins of the test runner. */
  digests: Record<string, string>;
}

/** What the script is told. `judge` is null in the pristine image, which decides path and names; else what that scan said. */
export interface ResolutionInput {
  /** Directories that come before the module path: working directories, PYTHONPATH, directories of scripts on PATH. */
  fronts: string[];
  /** Home directories whose user packages the verifier would see. */
  homes: string[];
  /** Distributions whose packages judge, with everything they require; those that the image lacks too. */
  seeds: string[];
  /** Modules that judge even where the image lacks them: the tests install them, and must not find the agent's. */
  names: string[];
  judge: Pick<PristineResolution, "path" | "names" | "dotted" | "distributions" | "firstSite"> | null;
}

/** The pristine image's resolution, with what its interpreter says about itself. */
export interface PristineResolution extends Resolution {
  /** Index in `path` of the first directory that is not of the standard library. */
  firstSite: number;
  /** Top-level modules of the test runner and what it needs. */
  tops: string[];
  /** Directories and archives of the standard library. */
  standard: string[];
  /** Real path of the interpreter. */
  executable: string;
  prefix: string[];
}

/** Source for `python3 -I -S -B -X pycache_prefix=/nonexistent -` (without `-S` in the pristine image). */
export const resolutionScript = (input: ResolutionInput): string =>
  `import json\nC = json.loads(${JSON.stringify(JSON.stringify(input))})\n${resolutionSource}`;

/** Options of the interpreter: isolated from environment and user, no caches read or written; here also without start-up hooks. */
export const interpreterOptions = (pristine: boolean): string => `-I ${pristine ? "" : "-S "}-B -X pycache_prefix=/nonexistent -`;

/** Parses what the script printed. Throws `sandbox-failed`. */
export const parseResolution = <T>(stdout: Uint8Array, place: string): T => {
  try {
    return JSON.parse(Buffer.from(stdout).toString("utf8")) as T;
  } catch (error) {
    throw new SparkError(`the module scan in ${place} answered no JSON: ${messageOf(error)}. Look whether its python3 works.`, {
      code: "sandbox-failed",
      cause: error,
    });
  }
};

/** Modules that distributions pack apart from their standard library and that no test runner imports: installing them is honest work. */
const separatelyPacked = new Set(["tkinter", "_tkinter", "turtle", "distutils", "lib2to3", "ensurepip", "_gdbm", "_dbm"]);

/** Under this name stands a file before the module path that announces a plugin of the test runner, the work's own or not. */
const pluginGroup = "pytest11";

/** What must be done so that names resolve as in the pristine image. */
export interface ResolutionDifference {
  /** Paths that the pristine image does not have. */
  remove: string[];
  /** Paths that are missing or differ. */
  restore: string[];
}

/**
 * Compares where names are found. Before the module path (working directory, PATH) only what was added counts: a file that the
 * image itself has there is the task's work, not the judge.
 * @param kindOf what the agent did to this path, if anything
 */
export const compareResolution = (
  pristine: Pick<Resolution, "matches" | "digests" | "names">,
  here: Pick<Resolution, "matches" | "digests">,
  kindOf: (path: string) => FileChange["kind"] | undefined,
): ResolutionDifference => {
  const added = (path: string): boolean => kindOf(path) === "added";
  const remove = new Set<string>();
  const restore = new Set<string>();
  const known = new Set(pristine.matches.map((match) => match.path));
  for (const match of here.matches) {
    if (known.has(match.path)) continue;
    if (match.name === pluginGroup) {
      if (kindOf(match.path) !== undefined) remove.add(match.path);
      continue;
    }
    if (match.index >= 0 && pristine.names[match.name] === null && separatelyPacked.has(match.name)) continue;
    // A directory that the image has becomes a package by an added initializer.
    const target = added(match.path) || match.initializer === null ? match.path : match.initializer;
    if (match.index >= 0 || added(target)) remove.add(target);
  }
  const beneath = (path: string): boolean => [...remove].some((top) => path === top || path.startsWith(`${top}/`));
  for (const [path, digest] of Object.entries(here.digests)) {
    const expected = pristine.digests[path];
    if (expected === digest) continue;
    if (expected !== undefined) restore.add(path);
    else if (!beneath(path) && !isSeparatelyPacked(path, here, pristine)) remove.add(path);
  }
  for (const path of Object.keys(pristine.digests)) if (here.digests[path] === undefined && !isCache(path)) restore.add(path);
  return { remove: [...remove], restore: [...restore] };
};

/** A cache that is missing is made again from its source. */
const isCache = (path: string): boolean => path.includes("/__pycache__/");

const isSeparatelyPacked = (path: string, here: Pick<Resolution, "matches">, pristine: Pick<Resolution, "names">): boolean =>
  here.matches.some(
    (match) =>
      separatelyPacked.has(match.name) &&
      pristine.names[match.name] === null &&
      (path === match.path || path.startsWith(`${match.path}/`) || path.includes(`/__pycache__/${match.name}.`)),
  );
