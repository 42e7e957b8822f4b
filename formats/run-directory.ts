import { createHash, randomUUID } from "node:crypto";
import { mkdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { type ArtifactRef, PREVIEW_CHARACTERS } from "../state/artifact.js";
import { messageOf, SparkError } from "../state/errors.js";

/** Where a task's records stand: `<runsDir>/<run>/<task>`. */
export interface RunAddress {
  run: string;
  task: string;
}

const SEPARATOR = "--";

/** The thread id of a task in a run: what the checkpointer, the observer and container names go by. */
export const threadIdOf = (address: RunAddress): string => `${address.run}${SEPARATOR}${address.task}`;

/**
 * The folder of a thread. An id without `--` (a server's UUID) is the run, and the task's directory name comes from the state.
 * Without a thread id the caller passes the root run's id.
 */
export function addressOf(threadId: string, taskPath: string): RunAddress {
  const at = threadId.indexOf(SEPARATOR);
  if (at > 0) return { run: safeName(threadId.slice(0, at)), task: safeName(threadId.slice(at + SEPARATOR.length)) };
  return { run: safeName(threadId), task: safeName(basename(taskPath) || "task") };
}

/** A name that is one path segment: other characters become `-`. */
export const safeName = (name: string): string => name.replace(/[^A-Za-z0-9._-]/g, "-").replace(/^\.+/, "-") || "-";

/** Writes a file so that a reader sees the old or the new content, never half of it. Throws SparkError `disk`. */
export async function writeAtomically(path: string, content: string | Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path).slice(0, 100)}.${randomUUID().slice(0, 8)}.tmp`);
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(temporary, content);
    await rename(temporary, path);
  } catch (error) {
    throw new SparkError(`cannot write ${path}: ${messageOf(error)}; free space or choose another folder with -o`, {
      code: "disk",
      cause: error,
    });
  }
}

/** Makes a run's folder. Throws SparkError `disk`. */
export async function makeRunDirectory(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true });
  } catch (error) {
    throw new SparkError(`cannot make ${dir}: ${messageOf(error)}; choose a writable folder with -o`, { code: "disk", cause: error });
  }
}

/** The folder of one task in a run: long texts go in once, records carry references. */
export class TaskDirectory {
  readonly dir: string;
  readonly #redact: (text: string) => string;

  constructor(runsDir: string, address: RunAddress, options: { redact?: (text: string) => string } = {}) {
    this.dir = resolve(runsDir, address.run, address.task);
    this.#redact = options.redact ?? ((text) => text);
  }

  /** Stores text or bytes under their digest. Text is redacted first. Storing the same content twice writes one file. */
  async put(content: string | Uint8Array, extension = "txt"): Promise<ArtifactRef> {
    const clean = typeof content === "string" ? this.#redact(content) : content;
    const bytes = typeof clean === "string" ? Buffer.from(clean, "utf8") : clean;
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const path = `blobs/${sha256.slice(0, 2)}/${sha256}.${extension}`;
    const target = join(this.dir, path);
    const present = await stat(target).then(
      (entry) => entry.size === bytes.byteLength,
      () => false,
    );
    if (!present) await writeAtomically(target, bytes);
    return {
      path,
      sha256,
      bytes: bytes.byteLength,
      preview: typeof clean === "string" ? clean.slice(0, PREVIEW_CHARACTERS).replace(/[\uD800-\uDBFF]$/, "") : "",
    };
  }

  /** The whole text behind a reference; empty for null. Throws SparkError `file-missing`. */
  async text(ref: ArtifactRef | null): Promise<string> {
    return ref === null ? "" : (await this.bytes(ref.path)).toString("utf8");
  }

  async bytes(path: string): Promise<Buffer> {
    const target = this.path(path);
    try {
      return await readFile(target);
    } catch (error) {
      throw new SparkError(`${target}: ${messageOf(error)}; the run's folder is incomplete, start a new run`, {
        code: "file-missing",
        cause: error,
      });
    }
  }

  /** Writes a file of the task's folder (a trial directory, a report). Text is redacted. */
  async write(path: string, content: string | Uint8Array): Promise<void> {
    await writeAtomically(this.path(path), typeof content === "string" ? this.#redact(content) : content);
  }

  /** Removes a folder inside this one with everything in it. */
  async empty(path: string): Promise<void> {
    await rm(this.path(path), { recursive: true, force: true });
  }

  async exists(path: string): Promise<boolean> {
    return stat(this.path(path)).then(
      () => true,
      () => false,
    );
  }

  /** Absolute path of something inside this folder. Throws when it would leave the folder. */
  path(inside: string): string {
    const target = resolve(this.dir, inside);
    const back = relative(this.dir, target);
    if (back.startsWith("..") || isAbsolute(back))
      throw new SparkError(`${inside} leaves the task's folder ${this.dir}`, { code: "internal" });
    return target;
  }
}

/** Folder of an attempt's Harbor trial directory inside the task's folder, numbers from 0 as on the wire; an infrastructure failure (`retry`) does not use up the attempt's number. */
export const trialDirectoryName = (task: string, attempt: number, retry: number | null): string =>
  `${task}__attempt-${attempt}${retry === null ? "" : `__retry-${retry}`}`;
