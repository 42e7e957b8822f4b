import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeAtomically } from "./run-directory.js";

/** A folder with one small file a key, shared by all runs of a user. What cannot be read was never known. */
export const createPreflightMemory = (dir: string) => ({
  get: (key: string): Promise<string | null> => readFile(join(dir, key), "utf8").catch(() => null),
  set: (key: string, value: string): Promise<void> => writeAtomically(join(dir, key), value),
});
