import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runCheck } from "../../../cli/check.js";
import { checkReportSchema } from "../../../formats/skill/check-report.js";

let root = "";
let dir = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "spark-check-"));
  dir = join(root, "parse-logs");
  mkdirSync(dir);
  writeFileSync(join(dir, "SKILL.md"), '---\nname: parse-logs\ndescription: "Parses logs."\n---\n\nThe total is 48213.\n');
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe("runCheck", () => {
  it("passes a good skill with exit code 0, its absolute path, and says that answers were not checked", async () => {
    const { report, text, exitCode } = await runCheck({ skillDir: dir });
    expect(checkReportSchema.parse(report)).toEqual({ skill: dir, passed: true, findings: [] });
    expect(exitCode).toBe(0);
    expect(text).toBe(`passed: ${dir} (0 errors, 0 warnings); answers were not checked: name the task with --task`);
    expect((await runCheck({ skillDir: join(dir, "SKILL.md") })).report.skill).toBe(dir);
  });

  it("fails with exit code 5 and a line a finding when an answer of the task stands in the skill", async () => {
    const task = join(root, "task");
    for (const [path, content] of Object.entries({
      "task.toml": 'schema_version = "1.0"\n',
      "instruction.md": "Sum up.\n",
      "environment/Dockerfile": "FROM sandbox-base:py\n",
      "tests/test.sh": "[ $(cat /root/total) = 48213 ]\n",
    })) {
      mkdirSync(join(task, path, ".."), { recursive: true });
      writeFileSync(join(task, path), content);
    }
    const { report, text, exitCode } = await runCheck({ skillDir: dir, task });
    expect(report).toMatchObject({ passed: false, findings: [{ rule: "answers", severity: "error", file: "SKILL.md", line: 6 }] });
    expect(exitCode).toBe(5);
    expect(text.split("\n")).toEqual([
      expect.stringMatching(/^SKILL\.md:6: error: the number 48213 .* \[answers\]$/),
      `failed: ${dir} (1 error, 0 warnings)`,
    ]);
  });

  it("names the missing folder, the missing SKILL.md and the missing task", async () => {
    await expect(runCheck({ skillDir: join(root, "none") })).rejects.toMatchObject({ code: "file-missing" });
    await expect(runCheck({ skillDir: root })).rejects.toMatchObject({ code: "file-missing" });
    await expect(runCheck({ skillDir: dir, task: join(root, "none") })).rejects.toMatchObject({ kind: "usage" });
  });
});
