import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readTask } from "../../../../../formats/harbor/read-task.js";
import { runGate } from "../../../../../formats/skill/gate/gate.js";
import type { Finding } from "../../../../../state/skill.js";

let dir = "";
const write = (path: string, content: string | Buffer): void => {
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  writeFileSync(join(dir, path), content);
};
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "spark-answers-"));
  write("task.toml", 'schema_version = "1.0"\n');
  write("instruction.md", "Compute the mass from parts.csv and write it to /root/mass.json as total_mass.\n");
  write("environment/Dockerfile", "FROM sandbox-base:py\nCOPY parts.csv /root/\n");
  write("environment/parts.csv", "part,weight\nscrew-m8x40,48213\n");
  write("tests/test.sh", "#!/bin/bash\npython3 /tests/test_outputs.py\n");
  write("solution/solve.sh", "#!/bin/bash\ntrue\n");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const head = '---\nname: parts-mass\ndescription: "Computes a mass."\n---\n\n# Parts mass\n\n';
async function found(body: string, options: { seen?: string; files?: Record<string, Uint8Array> } = {}): Promise<Finding[]> {
  const { findings } = await runGate({
    skill: { directory: "parts-mass", text: `${head}${body}\n`, files: options.files ?? {} },
    task: await readTask(dir),
    seen: options.seen,
  });
  expect(findings.every(({ rule }) => rule === "answers")).toBe(true);
  return findings;
}

describe("a number of the verifier", () => {
  beforeEach(() =>
    write(
      "tests/test_outputs.py",
      "import json\n\nEXPECTED = 0.68885\nassert abs(json.load(open('/root/mass.json'))['total_mass'] - 34648.5) < 0.125\n",
    ),
  );

  it.each(["0.68885", "-0.688850", "6.8885e-1", "0.68885g"])(
    "is an error with both places, written %s (spark.md 6.1: 0.68885 reached a published skill)",
    async (written) => {
      expect(await found(`Ends at ${written} here.`)).toEqual([
        {
          rule: "answers",
          severity: "error",
          file: "SKILL.md",
          line: 8,
          message: expect.stringMatching(/^the number 0|^the number 6.*tests\/test_outputs\.py:3/),
        },
      ]);
    },
  );

  it("is an error with thousands separators, in another file of the skill, and inside code", async () => {
    expect(await found("It is 34,648.50 in sum.")).toEqual([
      expect.objectContaining({ severity: "error", message: expect.stringContaining("tests/test_outputs.py:4") }),
    ]);
    expect(await found("Text.", { files: { "a.py": new TextEncoder().encode("\nX = 34_648.5\n") } })).toEqual([
      expect.objectContaining({ file: "a.py", line: 2, severity: "error" }),
    ]);
    expect(await found("```py\nx = 34648.5\n```")).toEqual([expect.objectContaining({ line: 9 })]);
  });

  it("is a warning with three digits behind a point, and nothing with fewer", async () => {
    expect(await found("Within 0.125.")).toEqual([expect.objectContaining({ severity: "warning" })]);
    write("tests/test_outputs.py", "LIMIT = 0.25\nCOUNT = 404\n");
    expect(await found("Within 0.25 of 404.")).toEqual([]);
  });

  it("is nothing when an agent may see it: in the instruction, a data file, a file's name, or what else it is shown", async () => {
    write("tests/test_outputs.py", "A = 48213\nB = 77123\nC = 55667\nD = 91919\n");
    write("instruction.md", "Sum up to 77,123.\n");
    write("environment/run_55667.txt", "x\n");
    expect(await found("48213, 77123, 55667 and 91919.", { seen: "limit=91919" })).toEqual([]);
    expect(await found("48213, 77123, 55667 and 91919.")).toEqual([
      expect.objectContaining({ message: expect.stringContaining("the number 91919") }),
    ]);
  });

  it("is found in the solution and in the verifier's variables of task.toml too", async () => {
    write("solution/solve.sh", "echo 73.4419 > /root/mass.json\n");
    write("task.toml", 'schema_version = "1.0"\n[verifier.env]\nTARGET = "918273"\n');
    expect((await found("First 73.4419, then 918273.")).map(({ message }) => /task's (\S+)/.exec(message)?.[1])).toEqual([
      "solution/solve.sh:1",
      "task.toml:1",
    ]);
  });
});

describe("a quoted string of the verifier", () => {
  beforeEach(() =>
    write(
      "tests/test_outputs.py",
      "ok = \"alpha-particle\"\nname = 'FLAG_X9'\nplain = \"triangle\"\nmain = '__main__'\nkind = 'application/json'\nseen = 'screw-m8x40'\nday = '%Y-%m-%d'\n",
    ),
  );

  it("of eight characters is an error, quoted or unmistakable", async () => {
    expect(await found('Write "alpha-particle".')).toEqual([
      expect.objectContaining({ severity: "error", line: 8, message: expect.stringContaining("tests/test_outputs.py:1") }),
    ]);
    expect(await found("The answer is alpha-particle.")).toEqual([expect.objectContaining({ severity: "error" })]);
    expect(await found("Set `triangle`.")).toEqual([expect.objectContaining({ severity: "error" })]);
  });

  it("of six or seven is a warning", async () => {
    expect(await found("Write 'FLAG_X9'.")).toEqual([expect.objectContaining({ severity: "warning" })]);
  });

  it("is nothing as a plain word of prose, as a part of a word, when it is visible, or when it belongs to the language", async () => {
    expect(await found('Each triangle counts. Subalpha-particles. `screw-m8x40`. "__main__", "application/json", \'%Y-%m-%d\'.')).toEqual(
      [],
    );
  });
});

describe("lines of the verifier or solution", () => {
  const lines = ["mass = sum(weights) * density", "rounded = round(mass, ndigits=places)", "json.dump({'total': rounded}, stream)"];
  beforeEach(() => write("solution/solve.py", `import json\nimport sys\n\ndef main():\n    ${lines.join("\n\n    ")}\n`));
  const answers = async (body: string) => (await found(body)).filter(({ message }) => message.includes("lines in a row"));

  it("are an error from three on, through blank lines, other indents and bullets", async () => {
    expect(await answers(`\`\`\`py\n${lines.join("\n")}\n\`\`\``)).toEqual([
      { rule: "answers", severity: "error", file: "SKILL.md", line: 9, message: expect.stringMatching(/^3 lines .*solution\/solve\.py:5/) },
    ]);
    expect(await answers(lines.map((line) => `- ${line}`).join("\n\n"))).toEqual([expect.objectContaining({ severity: "error" })]);
  });

  it("are a warning when they are two, and nothing when it is one or they are apart", async () => {
    expect(await answers(lines.slice(0, 2).join("\n"))).toEqual([expect.objectContaining({ severity: "warning" })]);
    expect(await answers(`${lines[0]}\nsomething_else(entirely=True)\n${lines[2]}`)).toEqual([]);
  });

  it("are nothing when an agent may see them, or when every program has them", async () => {
    write("environment/template.py", `${lines.join("\n")}\n`);
    expect(await answers(lines.join("\n"))).toEqual([]);
    expect(await answers("import json\nimport sys\n\ndef main():\n\nDone.")).toEqual([]);
  });
});

describe("files of the task", () => {
  it("are bounded: binary ones are not compared, text in a visible binary counts as seen", async () => {
    write("tests/expected.bin", Buffer.from("\0\0 77123.5 \0"));
    write("tests/test_outputs.py", "A = 'sqlite-value'\n");
    write("environment/data.db", Buffer.from("SQLite\0\0sqlite-value\0"));
    expect(await found("77123.5 and `sqlite-value`.")).toEqual([]);
  });

  it("may hold tens of thousands of strings and numbers", { timeout: 20_000 }, async () => {
    write(
      "tests/expected.json",
      JSON.stringify(Array.from({ length: 50_000 }, (_, index) => ({ [`key-number-${index}`]: index * 1.37 + 10_000 }))),
    );
    expect((await found("The `key-number-31415` is it.")).map(({ message }) => message.split(" stands")[0])).toEqual([
      "the number 31415",
      'the text "key-number-31415"',
    ]);
  });
});
