import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { publishSkill, skillFolderName } from "../../../../formats/skill/publish.js";
import type { Finding } from "../../../../state/skill.js";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spark-publish-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const skill = {
  directory: "parse-logs",
  text: "---\nname: parse-logs\n---\n\nText.\n",
  files: { "scripts/run.py": new TextEncoder().encode("print(1)\n") },
};
const refusal: Finding = { rule: "answers", severity: "error", file: "SKILL.md", line: 7, message: "no" };
const read = (path: string): string => readFileSync(join(dir, path), "utf8");

describe("publishSkill", () => {
  it("writes the skill's folder and puts gate report and provenance beside it, never into it", async () => {
    expect(await publishSkill(dir, skill, { passed: true, findings: [] }, { attempt: 2 })).toBe("skills/parse-logs");
    expect(read("skills/parse-logs/SKILL.md")).toBe(skill.text);
    expect(readdirSync(join(dir, "skills/parse-logs"), { recursive: true }).sort()).toEqual(["SKILL.md", "scripts", "scripts/run.py"]);
    expect(readdirSync(join(dir, "skills")).sort()).toEqual(["parse-logs", "parse-logs.gate.json", "parse-logs.provenance.json"]);
    expect(JSON.parse(read("skills/parse-logs.gate.json"))).toEqual({ skill: "parse-logs", passed: true, findings: [] });
    expect(JSON.parse(read("skills/parse-logs.provenance.json"))).toEqual({ attempt: 2 });
  });

  it("keeps what was refused under rejected/, also when a later version is published", async () => {
    expect(await publishSkill(dir, skill, { passed: false, findings: [refusal] }, {})).toBe("rejected/parse-logs");
    expect(await publishSkill(dir, { ...skill, text: `${skill.text}More.\n` }, { passed: true, findings: [] }, {})).toBe(
      "skills/parse-logs",
    );
    expect(read("rejected/parse-logs/SKILL.md")).toBe(skill.text);
    expect(JSON.parse(read("rejected/parse-logs.gate.json")).findings).toEqual([refusal]);
    expect(read("skills/parse-logs/SKILL.md")).toContain("More.");
  });

  it("writes the same again and leaves the same folder in place", async () => {
    await publishSkill(dir, skill, { passed: true, findings: [] }, {});
    const before = statSync(join(dir, "skills/parse-logs")).ino;
    await publishSkill(dir, skill, { passed: true, findings: [] }, {});
    expect(statSync(join(dir, "skills/parse-logs")).ino).toBe(before);
  });

  it("replaces another version as a whole and takes away what a killed execution left", async () => {
    await publishSkill(dir, skill, { passed: true, findings: [] }, {});
    mkdirSync(join(dir, "skills/.parse-logs.dead.new.tmp"));
    writeFileSync(join(dir, "skills/.parse-logs.dead.new.tmp/SKILL.md"), "half");
    await publishSkill(dir, { ...skill, files: {} }, { passed: true, findings: [] }, {});
    expect(readdirSync(join(dir, "skills")).sort()).toEqual(["parse-logs", "parse-logs.gate.json", "parse-logs.provenance.json"]);
    expect(readdirSync(join(dir, "skills/parse-logs"))).toEqual(["SKILL.md"]);
  });

  it("makes a name that is no path segment into one and refuses a file that leaves the folder", async () => {
    expect(skillFolderName("../../etc/passwd")).not.toMatch(/[./]/);
    expect(skillFolderName("")).toBe("-");
    expect(skillFolderName("x".repeat(5000))).toHaveLength(100);
    await publishSkill(dir, { ...skill, directory: "../out" }, { passed: false, findings: [refusal] }, {});
    expect(readdirSync(dir)).toEqual(["rejected"]);
    await expect(
      publishSkill(dir, { ...skill, files: { "../evil": new Uint8Array() } }, { passed: true, findings: [] }, {}),
    ).rejects.toMatchObject({ code: "internal" });
  });

  it("says `disk` when the folder cannot be written", async () => {
    writeFileSync(join(dir, "skills"), "a file in the way");
    await expect(publishSkill(dir, skill, { passed: true, findings: [] }, {})).rejects.toMatchObject({ code: "disk" });
  });
});
