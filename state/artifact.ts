import { z } from "zod";

/** Longest preview that a record carries, in characters (design.md 4.2: enough for a screen). */
export const PREVIEW_CHARACTERS = 300;

/** A text or binary that stands once in a file under the task's folder; records and checkpoints carry this instead. */
export const artifactRefSchema = z.object({
  path: z.string().describe("Path relative to the task's folder in the run, with forward slashes"),
  sha256: z.string().describe("Hex digest of the file's bytes"),
  bytes: z.number().int().nonnegative().describe("Size of the file in bytes"),
  preview: z.string().max(PREVIEW_CHARACTERS).describe("The first characters, for a screen; empty for binary content"),
});
export type ArtifactRef = z.infer<typeof artifactRefSchema>;
