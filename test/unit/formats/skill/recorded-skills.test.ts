import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readTask } from "../../../../formats/harbor/read-task.js";
import { runGate } from "../../../../formats/skill/gate/gate.js";
import { parseSkillReply } from "../../../../formats/skill/reply.js";
import type { HarborTask } from "../../../../state/task.js";
import { recordedPath } from "../../../support/recorded.js";

const runs = recordedPath("runs");
const names = ["3d-scan-calc", "citation-check", "jax-computing-basics", "lean4-proof", "r2r-mpc-control", "threejs-to-obj"] as const;

const gateOf = (directory: string, text: string, task?: HarborTask) => runGate({ skill: { directory, text, files: {} }, task });
const errorsOf = async (directory: string, text: string, task?: HarborTask): Promise<string[]> =>
  (await gateOf(directory, text, task)).findings
    .filter(({ severity }) => severity === "error")
    .map(({ rule, line, message }) => `${rule}:${line}: ${message}`);

/** A skill that has nothing against it. */
const good = (name: string, body = "# Method\n\n1. Read the input.\n2. Compute, then check the result.\n") =>
  `---\nname: ${name}\ndescription: "Computes a mass. Use when: an STL holds several parts"\n---\n\n${body}`;

describe.skipIf(runs === null)("the six recorded skills", () => {
  const read = (name: string) => readFile(join(runs!, name, "SKILL.md"), "utf8");

  it.each(names)("%s is refused, as all 50 of the release are by the Agent Skills specification (spark.md 6.3)", async (name) => {
    const { passed, findings } = await gateOf(name, await read(name));
    expect(passed).toBe(false);
    expect(findings.filter(({ rule }) => rule === "specification").length).toBeGreaterThan(0);
    expect(findings.every(({ file, line }) => file === "SKILL.md" && line !== null && line > 0)).toBe(true);
  });

  it("five have no name and no description, and every unknown field is named with its line", async () => {
    for (const name of names.slice(1)) {
      const errors = await errorsOf(name, await read(name));
      expect(errors).toContainEqual(expect.stringMatching(/^specification:1: the field name is missing/));
      expect(errors).toContainEqual(expect.stringMatching(/^specification:1: the field description is missing/));
    }
    const lean = await errorsOf("lean4-proof", await read("lean4-proof"));
    expect(lean).toContainEqual(expect.stringMatching(/^specification:2: the field skill_id is not in the specification/));
    expect(lean).toContainEqual(expect.stringMatching(/^specification:7: the field success_rate is not in the specification/));
  });

  it("3d-scan-calc has a legal name that is not its folder's", async () => {
    expect(await errorsOf("3d-scan-calc", await read("3d-scan-calc"))).toContainEqual(
      expect.stringMatching(/^specification:2: the name "binary-stl-main-component-mass" differs from the folder's name "3d-scan-calc"/),
    );
  });

  it("r2r-mpc-control ends in an open code fence, the others do not (spark.md 6.3)", async () => {
    for (const name of names) {
      const fences = (await errorsOf(name, await read(name))).filter((error) => error.startsWith("code-fences:"));
      expect(fences).toEqual(name === "r2r-mpc-control" ? [expect.stringMatching(/^code-fences:395: .*never closed/)] : []);
    }
  });
});

describe.skipIf(runs === null)("the six recorded replies of the distiller", () => {
  it("give the text that was published, also where a fence stood around it; the one that was cut is asked for again", async () => {
    for (const name of names) {
      const lines = (await readFile(join(runs!, name, "trajectory.jsonl"), "utf8")).trim().split("\n");
      const call = lines
        .map((line) => JSON.parse(line) as { type: string; response: string })
        .find(({ type }) => type === "skill_gen_call");
      const parsed = parseSkillReply(call!.response);
      if (name === "r2r-mpc-control") expect(parsed).toEqual({ problem: expect.stringMatching(/ends inside the code fence/) });
      else expect((parsed as { text: string }).text.trim()).toBe((await readFile(join(runs!, name, "SKILL.md"), "utf8")).trim());
    }
  });
});

describe("what the release published and ours does not", () => {
  it("an error message as a skill, bare or under a frontmatter", async () => {
    const error = "[LLM ERROR] litellm.InternalServerError: OpenAIException - Empty or invalid response";
    expect(await errorsOf("mass", error)).toContainEqual(expect.stringMatching(/^error-text:1: /));
    expect(await errorsOf("mass", good("mass", error))).toContainEqual(expect.stringMatching(/^error-text:/));
    expect(parseSkillReply(error)).toEqual({ problem: expect.stringContaining("an error line of the model client") });
  });

  it("a skill that ends inside an open code fence", async () => {
    expect(await errorsOf("mass", good("mass", "# Method\n\n```python\nprint(1)\n"))).toEqual([expect.stringMatching(/^code-fences:8: /)]);
  });

  it("passes a skill that has none of these faults", async () => {
    expect(await gateOf("mass", good("mass"))).toEqual({ passed: true, findings: [] });
  });
});

describe("the scalar 0.68885 that leaked through a regex-redacted verifier (spark.md 6.1)", () => {
  let root: string;
  let task: HarborTask;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), "spark-gate-"));
    const files: Record<string, string> = {
      "task.toml": 'version = "1.0"\n',
      "instruction.md": "Compute the settling ratio and write it to /app/ratio.txt.\n",
      "environment/Dockerfile": "FROM sandbox-base:py\n",
      "tests/test.sh": "#!/bin/bash\n",
      "tests/test_outputs.py": "EXPECTED_RATIO = 0.68885\n\ndef test_ratio():\n    assert abs(read() - EXPECTED_RATIO) < 1e-3\n",
    };
    for (const [path, content] of Object.entries(files)) {
      await mkdir(join(root, path, ".."), { recursive: true });
      await writeFile(join(root, path), content);
    }
    task = await readTask(root);
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  it.each(["0.68885", "-0.688850", "6.8885e-1", ".68885"])("is found when a skill says %s", async (written) => {
    expect(await errorsOf("mass", good("mass", `# Method\n\nThe ratio comes out at ${written}.\n`), task)).toEqual([
      expect.stringMatching(/^answers:8: .*tests\/test_outputs\.py:1/),
    ]);
  });

  it("is found when the tests have more digits than the skill quotes", async () => {
    await writeFile(join(root, "tests", "test_more.py"), "RATIO = 0.423817264\n");
    expect(await errorsOf("mass", good("mass", "# Method\n\nExpect about 0.42382.\n"), task)).toEqual([
      expect.stringMatching(/tests\/test_more\.py:1/),
    ]);
  });

  it("is a warning only, when it is a constant that every program may need", async () => {
    await writeFile(join(root, "tests", "test_read.py"), "CHUNK = 65536\nCRC = 0x1021\n");
    const { passed, findings } = await gateOf("mass", good("mass", "# Method\n\nRead 65536 bytes, CRC polynomial 0x1021.\n"), task);
    expect(passed).toBe(true);
    expect(findings.map(({ rule, severity }) => `${rule} ${severity}`)).toEqual(["answers warning", "answers warning"]);
  });

  it("weighs a quoted string in prose by how much it is a name", async () => {
    await writeFile(join(root, "tests", "test_names.py"), 'A = "Crystal Palace"\nB = "Tottenham"\nC = "value missing"\nD = "category"\n');
    const { findings } = await gateOf(
      "mass",
      good("mass", "# Method\n\nCrystal Palace\n\nTottenham\n\nvalue missing\n\nthe category\n"),
      task,
    );
    expect(findings.map(({ severity, line }) => `${severity} ${line}`)).toEqual(["error 8", "warning 10", "warning 12"]);
  });

  it("is no finding when the skill only says how to compute it", async () => {
    expect(await errorsOf("mass", good("mass"), task)).toEqual([]);
  });
});
