import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { isLocked, LOCK_FILE, lockRun } from "../../../formats/run-lock.js";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "spark-lock-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const anHourAgo = new Date(Date.now() - 3_600_000);
const leaveStaleLock = async (): Promise<void> => {
  await writeFile(join(dir, LOCK_FILE), "elsewhere pid 1\n");
  await utimes(join(dir, LOCK_FILE), anHourAgo, anHourAgo);
};

it("takes a free run, says who has it, and leaves nothing behind", async () => {
  const lock = await lockRun(dir);
  expect(await readFile(join(dir, LOCK_FILE), "utf8")).toContain(`pid ${process.pid}`);
  await lock.release();
  expect(await readdir(dir)).toEqual([]);
});

it("refuses a run whose lock beats", async () => {
  const lock = await lockRun(dir);
  expect(await isLocked(dir)).toBe(true);
  await expect(lockRun(dir)).rejects.toMatchObject({ code: "run-locked", message: expect.stringContaining(`pid ${process.pid}`) });
  await lock.release();
});

it("takes over a lock that nobody beats any more; of several that try at once exactly one gets it", async () => {
  await leaveStaleLock();
  const tries = await Promise.allSettled(Array.from({ length: 4 }, () => lockRun(dir)));
  const won = tries.flatMap((attempt) => (attempt.status === "fulfilled" ? [attempt.value] : []));
  expect(won).toHaveLength(1);
  for (const attempt of tries) if (attempt.status === "rejected") expect(attempt.reason).toMatchObject({ code: "run-locked" });
  await won[0]!.release();
});

it("says what to do where no lock can be written", async () => {
  await expect(lockRun(join(dir, "missing"))).rejects.toMatchObject({ code: "disk", message: expect.stringContaining("-o") });
});
