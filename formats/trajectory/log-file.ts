import { appendFile, mkdir, open, readFile, truncate } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, SparkError } from "../../state/errors.js";

/** A line that can be written: it has a type and, unless a foreign tool made it, an identity. */
export interface IdentifiedLine {
  type: string;
  id?: string | undefined;
  [key: string]: unknown;
}

/**
 * One `trajectory.jsonl`, only ever appended to. A line that a crash left half written is no fact and is cut off when the file is
 * opened again; its record stands in the checkpoint. Appends are queued, so lines of parallel hooks never mix.
 */
export class LogFile {
  readonly path: string;
  /** Identities and command counts of what stands in the file. */
  readonly ids = new Set<string>();
  readonly #redact: (text: string) => string;
  #queue: Promise<void>;

  constructor(path: string, redact: (text: string) => string) {
    this.path = path;
    this.#redact = redact;
    this.#queue = this.#open();
    // The first append reports the failure; an unread rejection would end the process.
    this.#queue.catch(() => {});
  }

  /** Resolves when the file was read; then {@link ids} is complete. */
  ready(): Promise<void> {
    return this.#queue;
  }

  append(lines: readonly IdentifiedLine[]): Promise<void> {
    if (lines.length === 0) return this.#queue;
    this.#queue = this.#queue.then(async () => {
      const ts = Date.now() / 1000;
      const text = lines.map((line) => `${this.#redact(JSON.stringify({ ...line, ts: line.ts ?? ts }))}\n`).join("");
      try {
        await appendFile(this.path, text);
      } catch (error) {
        throw this.#failed(error);
      }
      for (const line of lines) if (line.id !== undefined) this.ids.add(line.id);
    });
    this.#queue.catch(() => {});
    return this.#queue;
  }

  async #open(): Promise<void> {
    try {
      await mkdir(dirname(this.path), { recursive: true });
      await (await open(this.path, "a")).close();
      const content = await readFile(this.path);
      const end = content.lastIndexOf(0x0a) + 1;
      if (end < content.length) await truncate(this.path, end);
      for (const line of content.subarray(0, end).toString("utf8").split("\n")) {
        const id = identityOf(line);
        if (id !== undefined) this.ids.add(id);
      }
    } catch (error) {
      throw this.#failed(error);
    }
  }

  #failed(error: unknown): SparkError {
    return new SparkError(
      `cannot write the log ${this.path}: ${messageOf(error)}; free space or make the folder writable, then resume the run`,
      { code: "disk", cause: error },
    );
  }
}

function identityOf(line: string): string | undefined {
  if (line === "") return undefined;
  try {
    return (JSON.parse(line) as { id?: string }).id;
  } catch {
    // A broken line in the middle is the reader's to report, with its number.
    return undefined;
  }
}
