import { existsSync } from "node:fs";
import { resolve } from "node:path";

/** Absolute path of something in ../shared/recorded, or null, said aloud, in a clone that has none. With REQUIRE_SHARED=1 it throws. */
export function recordedPath(inside: string): string | null {
  const path = resolve(import.meta.dirname, "../../../shared/recorded", inside);
  if (existsSync(path)) return path;
  if (process.env.REQUIRE_SHARED === "1") throw new Error(`${path} is missing and REQUIRE_SHARED=1`);
  console.warn(`skipped: ${path} is missing`);
  return null;
}
