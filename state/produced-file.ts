/** A file that the agent left in its container. */
export interface ProducedFile {
  path: string;
  /** Content of a small text file; empty for a binary or a larger one. */
  text: string;
  bytes: number;
}
