import { randomUUID } from "node:crypto";
import { open, readFile, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, SparkError } from "../state/errors.js";

export const LOCK_FILE = "lock";
const BEAT_MS = 1000;
/** A lock without a beat for so long belongs to nobody. */
const STALE_MS = 15_000;
/** A fresh lock is watched for so long before it counts as living: its process may have been killed a moment ago. */
const WATCH_MS = 3500;
/** After taking over a stale lock: another process that found the same one has taken it by then. */
const CONTEST_MS = 300;

/** Modification time of a run's lock in milliseconds, null when there is none. */
const beatOf = (path: string): Promise<number | null> =>
  stat(path).then(
    (entry) => entry.mtimeMs,
    () => null,
  );

/** Whether somebody works on the run now: its lock beats. Goes by beats alone, never by process id, so other hosts and containers count too. */
export async function isLocked(runDir: string): Promise<boolean> {
  const path = join(runDir, LOCK_FILE);
  const first = await beatOf(path);
  if (first === null || Date.now() - first > STALE_MS) return false;
  for (const until = Date.now() + WATCH_MS; Date.now() < until; ) {
    await sleep(250);
    const beat = await beatOf(path);
    if (beat === null) return false;
    if (beat !== first) return true;
  }
  return false;
}

const ownerOf = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");

const taken = (runDir: string, owner: string): SparkError =>
  new SparkError(
    `${runDir} is being worked on (${owner.split(" ").slice(0, 3).join(" ").trim() || "its lock beats"}); wait for it or stop it first`,
    { code: "run-locked" },
  );

/** Takes the run for this process and beats until it is released. Throws SparkError `run-locked` while another one works on it. */
export async function lockRun(runDir: string): Promise<{ release(): Promise<void> }> {
  const path = join(runDir, LOCK_FILE);
  if (await isLocked(runDir)) throw taken(runDir, await ownerOf(path));
  const isStale = (await beatOf(path)) !== null;
  const owner = `${hostname()} pid ${process.pid} ${randomUUID()}\n`;
  try {
    await rm(path, { force: true });
    const file = await open(path, "wx");
    await file.writeFile(owner);
    await file.close();
    if (isStale) await sleep(CONTEST_MS);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw taken(runDir, await ownerOf(path));
    throw new SparkError(`cannot lock ${runDir}: ${messageOf(error)}; make the folder writable or choose another with -o`, {
      code: "disk",
      cause: error,
    });
  }
  // Of two that find a stale lock the second one removes the first one's: who stands there now has the run.
  const holder = await ownerOf(path);
  if (holder !== owner) throw taken(runDir, holder);
  const timer = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), BEAT_MS);
  timer.unref();
  return {
    async release() {
      clearInterval(timer);
      await rm(path, { force: true });
    },
  };
}
