import { describe, expect, it } from "vitest";
import { runGate } from "../../../../../formats/skill/gate/gate.js";

const good = '---\nname: parse-logs\ndescription: "Parses logs."\n---\n\n# Parse logs\n\n1. Read the file.\n';
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** `rule:file:line:severity` of each finding. */
async function found(text: string, files: Record<string, Uint8Array> = {}, directory = "parse-logs"): Promise<string[]> {
  const { findings, passed } = await runGate({ skill: { directory, text, files } });
  expect(passed).toBe(findings.every(({ severity }) => severity === "warning"));
  return findings.map(({ rule, file, line, severity }) => `${rule}:${file}:${line}:${severity}`);
}
const withFields = (fields: string): string => `---\n${fields}\n---\n\nText that helps.\n`;

describe("specification", () => {
  it("passes a skill with every allowed field", async () => {
    const fields =
      'name: parse-logs\ndescription: d\nlicense: MIT\ncompatibility: python3\nallowed-tools: Bash Read\nmetadata:\n  version: 1.0\n  "on": yes';
    expect(await found(withFields(fields))).toEqual([]);
  });

  it.each([
    ["a name with capitals", "name: Parse-Logs\ndescription: d", "specification:SKILL.md:2:error", "Parse-Logs"],
    ["a name with two hyphens", "description: d\nname: a--b", "specification:SKILL.md:3:error", "a--b"],
    ["a name of 65 characters", `name: ${"a".repeat(65)}\ndescription: d`, "specification:SKILL.md:2:error", "a".repeat(65)],
    ["a name that is not the folder's", "name: other\ndescription: d", "specification:SKILL.md:2:error", "parse-logs"],
    ["a missing name", "description: d", "specification:SKILL.md:1:error", "parse-logs"],
    ["a missing description", "name: parse-logs", "specification:SKILL.md:1:error", "parse-logs"],
    ["an empty description", "name: parse-logs\ndescription:", "specification:SKILL.md:3:error", "parse-logs"],
    ["a blank description", 'name: parse-logs\ndescription: "  "', "specification:SKILL.md:3:error", "parse-logs"],
    [
      "a description of 1,025 characters",
      `name: parse-logs\ndescription: ${"d".repeat(1025)}`,
      "specification:SKILL.md:3:error",
      "parse-logs",
    ],
    [
      "a compatibility of 501 characters",
      `name: parse-logs\ndescription: d\ncompatibility: ${"c".repeat(501)}`,
      "specification:SKILL.md:4:error",
      "parse-logs",
    ],
    ["a field of no specification", "name: parse-logs\nversion: 1\ndescription: d", "specification:SKILL.md:3:error", "parse-logs"],
    [
      "a list under metadata",
      "name: parse-logs\ndescription: d\nmetadata:\n  tags:\n    - a",
      "specification:SKILL.md:4:error",
      "parse-logs",
    ],
    ["a description that is no valid YAML", "name: parse-logs\ndescription: Use when: foo", "frontmatter:SKILL.md:3:error", "parse-logs"],
  ])("refuses %s", async (_, fields, expected, directory) => {
    expect(await found(withFields(fields), {}, directory)).toContain(expected);
  });

  it("refuses a file without frontmatter and one with nothing behind it", async () => {
    expect(await found("# Parse logs\n\nText.\n")).toEqual(["frontmatter:SKILL.md:1:error"]);
    expect(await found("---\nname: parse-logs\ndescription: d\n---\n")).toEqual(["specification:SKILL.md:5:error"]);
  });
});

describe("code fences", () => {
  it("pass when an outer fence is longer than the one inside, or of the other character", async () => {
    expect(await found(`${good}\n\`\`\`\`md\n\`\`\`sh\nls\n\`\`\`\n\`\`\`\`\n\n~~~\n\`\`\`\n~~~\n`)).toEqual([]);
  });

  it("are reported with the line of the one that stays open, in other files too", async () => {
    expect(await found(`${good}\n\`\`\`sh\nls\n`)).toEqual(["code-fences:SKILL.md:10:error"]);
    expect(await found(good, { "references/a.md": bytes("a\n~~~\nb\n```\n") })).toEqual(["code-fences:references/a.md:2:error"]);
  });

  it("that hold another opening fence are named, since the block before was never closed", async () => {
    const { findings } = await runGate({
      skill: { directory: "parse-logs", text: `${good}\n\`\`\`py\nx = 1\n\`\`\`sh\nls\n\`\`\`\n\n\`\`\`\n`, files: {} },
    });
    expect(findings).toEqual([
      expect.objectContaining({
        rule: "code-fences",
        line: 16,
        message: expect.stringContaining("the block of line 10 holds another opening fence"),
      }),
    ]);
  });
});

describe("links", () => {
  const files = {
    "references/a b.md": bytes("[up](../SKILL.md) [beside](c.md)\n"),
    "references/c.md": bytes("c\n"),
    "run.py": bytes("print(1)\n"),
  };

  it("pass when they lead to a file or folder of the skill, to the web, or stand in code", async () => {
    const text = `${good}\n[a](references/a%20b.md#part) [b](<references/a b.md> "t") ![c](./run.py) [d](references/) [e](https://example.com/x) [f](#top)\n\n\`[x](nowhere)\`\n\n\`\`\`\n[y](nowhere)\n\`\`\`\n\n[ref]: run.py\n`;
    expect(await found(text, files)).toEqual([]);
  });

  it.each([
    ["leads to no file", "[x](scripts/run.py)", "no file scripts/run.py"],
    ["leads out of the folder", "[x](../other/SKILL.md)", "leads out"],
    ["leads out through an encoded step", "[x](references/%2e%2e/%2e%2e/y)", "leads out"],
    ["is a path of a machine", "[x](/root/data.csv)", "path of one machine"],
    ["is a Windows path", "[x](C:\\data\\a.csv)", "path of one machine"],
    ["is a file address", "![x](file:///etc/passwd)", "path of one machine"],
    ["is a home folder", "[x](~/notes.md)", "path of one machine"],
    ["is a definition that leads nowhere", "[label]: missing.md", "no file missing.md"],
  ])("are refused when one %s", async (_, line, message) => {
    const { findings } = await runGate({ skill: { directory: "parse-logs", text: `${good}\n${line}\n`, files } });
    expect(findings).toEqual([{ rule: "links", severity: "error", file: "SKILL.md", line: 10, message: expect.stringContaining(message) }]);
  });
});

describe("size", () => {
  const lines = (count: number): string => `---\nname: parse-logs\ndescription: d\n---\n${"a\n".repeat(count)}`;

  it("warns above 500 lines and refuses above 1,000", async () => {
    expect(await found(lines(500))).toEqual([]);
    expect(await found(lines(501))).toEqual(["size:SKILL.md:5:warning"]);
    expect(await found(lines(1000))).toEqual(["size:SKILL.md:5:warning"]);
    expect(await found(lines(1001))).toEqual(["size:SKILL.md:5:error"]);
  });

  it("warns above 5,000 tokens and refuses above 10,000", { timeout: 60_000 }, async () => {
    // " word" is one token of o200k_base, the first without a space too.
    const words = (count: number): string => `---\nname: parse-logs\ndescription: d\n---\n${Array(count).fill("word").join(" ")}\n`;
    expect(await found(words(4000))).toEqual([]);
    expect(await found(words(6000))).toEqual(["size:SKILL.md:5:warning"]);
    expect(await found(words(11_000))).toEqual(["size:SKILL.md:5:error"]);
  });

  it("refuses a body of a million letters without counting for minutes", { timeout: 60_000 }, async () => {
    expect(await found(`${good}${"a".repeat(1_000_000)}\n`)).toEqual(["size:SKILL.md:5:error"]);
    expect(await found(`${good}${"a".repeat(300_000)}\n`)).toEqual(["size:SKILL.md:5:error"]);
  });
});

describe("secrets", () => {
  it("are refused in any text file, without being repeated", async () => {
    const key = `sk-proj-${"aB3dE5gH7jK9".repeat(4)}`;
    const { findings } = await runGate({
      skill: { directory: "parse-logs", text: good, files: { "scripts/run.py": bytes(`\nKEY = "${key}"\n`) } },
    });
    expect(findings).toEqual([expect.objectContaining({ rule: "secrets", severity: "error", file: "scripts/run.py", line: 2 })]);
    expect(JSON.stringify(findings)).not.toContain(key);
  });
});

describe("a file that breaks off", () => {
  it.each([
    ["with a heading", "## Next", "error"],
    ["at the mark of a cut", "... [truncated]", "error"],
    ["in an open code span", "Use `jq -r", "warning"],
    ["in the middle of a sentence", "Then read the file,", "warning"],
  ])("%s is reported", async (_, last, severity) => {
    expect(await found(`${good}\n${last}\n`)).toEqual([`truncated:SKILL.md:10:${severity}`]);
  });
});

describe("an error text as a skill (spark.md 6.3)", () => {
  it("is refused as the whole file, as the body, under a heading and as the description", async () => {
    const error = "litellm.InternalServerError: OpenAIException - Empty or invalid response";
    expect(await found(error)).toContain("error-text:SKILL.md:1:error");
    expect(await found(`---\nname: parse-logs\ndescription: d\n---\n${error}\n`)).toContain("error-text:SKILL.md:5:error");
    expect(await found(`---\nname: parse-logs\ndescription: d\n---\n# Parse logs\n\n${error}\n`)).toContain("error-text:SKILL.md:5:error");
    expect(await found(`---\nname: parse-logs\ndescription: "${error}"\n---\nText.\n`)).toContain("error-text:SKILL.md:3:error");
  });
});

describe("runGate", () => {
  it("gives errors first, then by file and line, each sentence once", async () => {
    const text = `---\nname: parse-logs\ndescription: d\n---\n${"a\n".repeat(501)}[x](no.md) [x](no.md)\n\`\`\`\n`;
    expect(await found(text, { "a.md": bytes("[y](no.md)\n") })).toEqual([
      "links:SKILL.md:506:error",
      "code-fences:SKILL.md:507:error",
      "links:a.md:1:error",
      "size:SKILL.md:5:warning",
    ]);
  });
});
