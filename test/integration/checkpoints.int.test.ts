import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openCheckpointer } from "../../graphs/checkpointer.js";
import type { SkillGenerationState } from "../../state/skill-generation.js";
import { memo, openGeneration, skillText, verdict } from "../support/generation.js";

const works = await openCheckpointer(tmpdir(), null).then(
  ({ close }) => close().then(() => true),
  (error: Error) => {
    console.warn(`skipped: ${error.message}`);
    return false;
  },
);

/** 200 kB whose start the model is shown and whose middle it is not. */
const output = (step: string) => `START-${step} ${"x".repeat(100_000)} MIDDLE-${step} ${"y".repeat(100_000)}`;

interface Measured {
  state: SkillGenerationState;
  /** What the checkpoints hold, as bytes in Latin 1. */
  stored: string;
  /** Text of the files that records refer to. */
  blobs: string[];
}

/** Runs attempts of so many steps each with SQLite checkpoints; the last one solves the task. */
async function measure(attempts: number, steps: number): Promise<Measured> {
  const dir = await mkdtemp(join(tmpdir(), "spark-checkpoints-"));
  const checkpointer = await openCheckpointer(dir, null);
  let call = 0;
  const generation = await openGeneration({
    teacher: () => {
      const at = call++;
      const step = at % (steps + 1);
      return step < steps ? { commands: [`work ${Math.floor(at / (steps + 1))}-${step}`] } : "done";
    },
    summary: [...Array.from({ length: attempts - 1 }, (_, failed) => memo({ failed: failed + 1 })), skillText()],
    commands: [
      { match: /^work (\S+)$/, result: (_command, [, step]) => output(step!) },
      { match: /^if \[ /, result: "" },
    ],
    rewards: [...Array.from({ length: attempts - 1 }, () => verdict(0, { total: "wrong" })), verdict(1, { total: null })],
    settings: { maxAttempts: attempts, maxSteps: steps + 5 },
    checkpointer: checkpointer.saver as never,
  });
  try {
    const state = await generation.run();
    await checkpointer.close();
    const files = (await readdir(dir)).map((name) => readFile(join(dir, name), "latin1"));
    const blobs = (await readdir(generation.store.path("blobs"), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => readFile(join(entry.parentPath, entry.name), "utf8"));
    return { state, stored: (await Promise.all(files)).join(""), blobs: await Promise.all(blobs) };
  } finally {
    await generation.remove();
    await rm(dir, { recursive: true, force: true });
  }
}

describe.skipIf(!works)("checkpoints", () => {
  it("hold references: of a command's output only what the model was shown, the whole is a file", async () => {
    const { state, stored, blobs } = await measure(3, 3);
    expect(state.attempts.map(({ status, rollout }) => [status, rollout.commandCount])).toEqual([
      ["FAIL", 3],
      ["FAIL", 3],
      ["PASS", 3],
    ]);
    for (const step of ["0-0", "1-2", "2-1"]) {
      expect(stored.includes(`START-${step} `), `shown of ${step}`).toBe(true);
      expect(stored.includes(`MIDDLE-${step} `), `not shown of ${step}`).toBe(false);
      expect(blobs.filter((text) => text === output(step))).toHaveLength(1);
    }
  });

  it("of an attempt of 40 steps with 8 kB shown and 200 kB logged a step take less than 1 MB, and grow as the steps do", async () => {
    const half = await measure(1, 20);
    const whole = await measure(1, 40);
    expect(whole.state.attempts).toMatchObject([{ status: "PASS", rollout: { steps: 41, commandCount: 40 } }]);
    expect(whole.stored.length).toBeLessThan(1_000_000);
    expect(whole.stored.length).toBeLessThan(2.2 * half.stored.length);
  });
});
