import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSkill } from "../../../../formats/skill/read-skill.js";

let root = "";
let dir = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "spark-read-skill-"));
  dir = join(root, "parse-logs");
  mkdirSync(join(dir, "references"), { recursive: true });
  writeFileSync(join(dir, "SKILL.md"), "---\nname: parse-logs\n---\n");
  writeFileSync(join(dir, "references/a.md"), "a");
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("readSkill", () => {
  it("reads SKILL.md and every file beside it, without what version control leaves", async () => {
    mkdirSync(join(dir, ".git"));
    writeFileSync(join(dir, ".git/HEAD"), "x");
    const skill = await readSkill(dir);
    expect(skill).toMatchObject({ directory: "parse-logs", text: "---\nname: parse-logs\n---\n" });
    expect(Object.keys(skill.files)).toEqual(["references/a.md"]);
    expect(await readSkill(join(dir, "SKILL.md"))).toEqual(skill);
  });

  it("follows a link inside the folder and refuses one that leads out", async () => {
    symlinkSync("references/a.md", join(dir, "b.md"));
    expect(Object.keys((await readSkill(dir)).files)).toEqual(["b.md", "references/a.md"]);
    symlinkSync("/etc/passwd", join(dir, "c.md"));
    await expect(readSkill(dir)).rejects.toMatchObject({
      code: "file-invalid",
      message: expect.stringContaining("leads out of the skill"),
    });
  });

  it("ends at a link to a folder above it", async () => {
    symlinkSync("..", join(dir, "references/up"));
    await expect(readSkill(dir)).rejects.toMatchObject({ code: "file-invalid" });
  });

  it("names what is missing: the folder, or its SKILL.md", async () => {
    await expect(readSkill(join(root, "none"))).rejects.toMatchObject({ code: "file-missing" });
    await expect(readSkill(root)).rejects.toMatchObject({ code: "file-missing", message: expect.stringContaining("holds no SKILL.md") });
  });

  it("refuses a file above 10 MB and a SKILL.md that is not UTF-8", async () => {
    writeFileSync(join(dir, "big.bin"), "");
    truncateSync(join(dir, "big.bin"), 10_000_001);
    await expect(readSkill(dir)).rejects.toMatchObject({ code: "file-invalid", message: expect.stringContaining("big.bin") });
    rmSync(join(dir, "big.bin"));
    writeFileSync(join(dir, "SKILL.md"), Buffer.from([0x2d, 0xff, 0xfe]));
    await expect(readSkill(dir)).rejects.toMatchObject({ code: "file-invalid", message: expect.stringContaining("UTF-8") });
  });
});
