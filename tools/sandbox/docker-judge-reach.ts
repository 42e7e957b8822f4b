import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** What the files of a task's tests mention: the programs, directories and files that they can reach. */
export interface TestReach {
  /** Every word that could be the name of a program. */
  words: ReadonlySet<string>;
  /** Absolute directories that a script changes into. */
  workingDirectories: string[];
  /** Absolute paths ending in `/bin` or `/sbin`: tests put such directories on PATH. */
  binaryDirectories: string[];
}

const largestFile = 1024 * 1024;
const mostFiles = 2000;

/** Reads what one text mentions; exported for tests. */
export const reachOf = (texts: readonly string[]): TestReach => {
  const words = new Set<string>();
  const workingDirectories = new Set<string>();
  const binaryDirectories = new Set<string>();
  for (const text of texts) {
    for (const [word] of text.matchAll(/[A-Za-z0-9_][A-Za-z0-9_.+-]*/g)) {
      words.add(word);
      // `git.` at the end of a sentence is git.
      words.add(word.replace(/[.+-]+$/, ""));
    }
    for (const [, dir] of text.matchAll(/\bcd\s+["']?(\/[A-Za-z0-9_./-]*)/g)) workingDirectories.add(dir!.replace(/(.)\/+$/, "$1"));
    for (const [, dir] of text.matchAll(/(\/[A-Za-z0-9_./-]*\/s?bin)\b/g)) binaryDirectories.add(dir!);
  }
  return { words, workingDirectories: [...workingDirectories], binaryDirectories: [...binaryDirectories] };
};

/** Reads a task's tests on the host. Binary, very large and unreadable files mention nothing; a missing directory neither. */
export const readTestReach = async (testsDir: string): Promise<TestReach> => {
  const names = await readdir(testsDir, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const texts: string[] = [];
  for (const name of names.slice(0, mostFiles)) {
    const path = join(testsDir, name);
    const info = await stat(path).catch(() => null);
    if (info === null || !info.isFile() || info.size > largestFile) continue;
    const content = await readFile(path);
    if (!content.subarray(0, 8192).includes(0)) texts.push(content.toString());
  }
  return reachOf(texts);
};
