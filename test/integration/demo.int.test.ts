import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runDemo } from "../../cli/demo.js";
import { linesOf, readWholeLog } from "../../formats/trajectory/read-log.js";

describe("the demo on the embedded sandbox", () => {
  let runsDir: string;
  let code: number;
  const printed: string[] = [];
  beforeAll(async () => {
    runsDir = await mkdtemp(join(tmpdir(), "spark-demo-"));
    // A cache of its own: the preflight really runs.
    code = await runDemo({
      runsDir,
      sandbox: "virtual",
      out: (line) => void printed.push(line),
      env: { XDG_CACHE_HOME: join(runsDir, "cache") },
    });
  });
  afterAll(() => rm(runsDir, { recursive: true, force: true }));
  const text = () => printed.join("\n");
  const pathAfter = (label: string): string => printed.find((line) => line.startsWith(`  ${label}`))!.slice(21);

  it("ends with exit code 0 and a published skill, and says where it is", async () => {
    expect(code, text()).toBe(0);
    expect(await readFile(pathAfter("the skill"), "utf8")).toMatch(/^---\nname: rotated-access-log-report\n/);
    const provenance = JSON.parse(await readFile(pathAfter("where it is from"), "utf8"));
    expect(provenance).toMatchObject({ author: "scripted-teacher", backend: "virtual", reward: 1, attempt: 2 });
  });

  it("says before anything else that the teacher is a script", () => {
    expect(printed[0]).toContain("SCRIPT");
  });

  it("fails, reflects, stagnates, is steered and passes, with real verdicts of the task's verifier", async () => {
    const { lines } = await readWholeLog(pathAfter("every event"));
    expect(linesOf(lines, "execution_result").map(({ status, n_tests }) => [status, n_tests])).toEqual([
      ["FAIL", 9],
      ["FAIL", 9],
      ["PASS", 9],
    ]);
    expect(linesOf(lines, "intervention").map(({ attempt, level }) => [attempt, level])).toEqual([[1, "soft"]]);
    expect(linesOf(lines, "pdi_snapshot").at(-1)!.weighted_pdi).toBeLessThan(-0.5);
    expect(linesOf(lines, "command").every(({ exit_code }) => exit_code === 0)).toBe(true);
    expect(text()).toMatch(
      /attempt 1[\s\S]*FAIL[\s\S]*attempt 2[\s\S]*a soft intervention follows[\s\S]*attempt 3[\s\S]*PASS[\s\S]*gate {6}passed/,
    );
  });
});
