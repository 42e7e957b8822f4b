import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseReward, readReward, scalarReward } from "../../../../formats/harbor/reward.js";

const json = (text: string) => parseReward({ json: text, txt: null });
const txt = (text: string) => parseReward({ json: null, txt: text });

describe("scalarReward", () => {
  it("is the key reward, else the only key, else the smallest of several", () => {
    expect(scalarReward({ reward: 0.25, other: 0 })).toBe(0.25);
    expect(scalarReward({ accuracy: 0.75 })).toBe(0.75);
    expect(scalarReward({ accuracy: 1, speed: -2, style: 0.5 })).toBe(-2);
    expect(scalarReward({})).toBeNull();
  });
});

describe("parseReward", () => {
  it("reads reward.json first and never mixes the two files", () => {
    expect(parseReward({ json: '{"score": 0.5}', txt: "1" })).toEqual({
      kind: "rewarded",
      reward: 0.5,
      rewards: { score: 0.5 },
      file: "reward.json",
    });
    expect(parseReward({ json: "broken", txt: "1" })).toMatchObject({ kind: "unreadable", exception: "VerifierOutputParseError" });
  });

  it.each([
    ["1", 1],
    [" 0.5\n", 0.5],
    ["-3.5e-1", -0.35],
    ["1_000", 1000],
    [".5", 0.5],
    ["2.", 2],
    ["7", 7],
  ])("takes %j in reward.txt for %d, unclamped", (text, reward) => {
    expect(txt(text)).toEqual({ kind: "rewarded", reward, rewards: { reward }, file: "reward.txt" });
  });

  it.each(["nan", "inf", "-Infinity", "1e999", "0x10", "1 1", "one", "\n", "1,5", "1__0", "--1"])("refuses %j in reward.txt", (text) => {
    expect(txt(text)).toMatchObject({ kind: "unreadable", exception: "VerifierOutputParseError", file: "reward.txt" });
  });

  it.each([
    ['{"reward": "1"}', "VerifierOutputParseError"],
    ['{"reward": null}', "VerifierOutputParseError"],
    ['{"reward": {"a": 1}}', "VerifierOutputParseError"],
    ['{"reward": NaN}', "VerifierOutputParseError"],
    ['{"reward": 1e999}', "VerifierOutputParseError"],
    ["[1]", "VerifierOutputParseError"],
    ["1", "ValidationError"],
    ["null", "VerifierOutputParseError"],
    ["{}", "VerifierOutputParseError"],
    ["{", "VerifierOutputParseError"],
  ])("refuses %s in reward.json with Harbor's %s", (text, exception) => {
    expect(json(text)).toMatchObject({ kind: "unreadable", exception, file: "reward.json" });
  });

  it("takes a boolean for 0 or 1, as Harbor does", () => {
    expect(json('{"passed": true}')).toMatchObject({ kind: "rewarded", reward: 1, rewards: { passed: 1 } });
  });

  it("tells an empty file from a missing one", () => {
    expect(txt("")).toMatchObject({ exception: "RewardFileEmptyError", message: "reward.txt is empty" });
    expect(json("")).toMatchObject({ exception: "RewardFileEmptyError", message: "reward.json is empty" });
    expect(parseReward({ json: null, txt: null })).toMatchObject({ exception: "RewardFileNotFoundError", file: null });
  });

  it("says in its message what stood in the file, cut", () => {
    const outcome = txt(`yes${"!".repeat(500)}`);
    expect(outcome.kind === "unreadable" && outcome.message).toMatch(/^reward\.txt must be one finite number, got "yes!+\.\.\."$/);
  });
});

describe("readReward", () => {
  let dir = "";
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "reward-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it("reads the files of a directory, and a directory that does not exist as no reward", async () => {
    await writeFile(join(dir, "reward.txt"), "1\n");
    expect(await readReward(dir)).toMatchObject({ kind: "rewarded", reward: 1, file: "reward.txt" });
    await writeFile(join(dir, "reward.json"), '{"reward": 0}');
    expect(await readReward(dir)).toMatchObject({ reward: 0, file: "reward.json" });
    expect(await readReward(join(dir, "nowhere"))).toMatchObject({ exception: "RewardFileNotFoundError" });
  });

  it("does not follow a link that an agent left in place of the file", async () => {
    await writeFile(join(dir, "secret"), "1");
    await symlink("secret", join(dir, "reward.txt"));
    expect(await readReward(dir)).toMatchObject({ exception: "RewardFileNotFoundError" });
  });
});
