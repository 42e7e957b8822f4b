import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parseSkillReply } from "../../../../formats/skill/reply.js";
import { recordedPath } from "../../../support/recorded.js";

const file =
  '---\nname: parse-logs\ndescription: "Parses logs. Use when: a log is given."\n---\n\n# Parse logs\n\n```python\nprint(1)\n```\n\nDone.\n';
const problem = (reply: string): string => {
  const parsed = parseSkillReply(reply);
  return "problem" in parsed ? parsed.problem : `accepted as ${parsed.name}`;
};

describe("parseSkillReply takes", () => {
  it.each([
    ["the file itself", file],
    ["the file with Windows line ends and a byte order mark", `\uFEFF${file.replaceAll("\n", "\r\n")}`],
    ["the file in one outer fence as long as its own fences", `\`\`\`markdown\n${file}\`\`\``],
    ["the file in a longer outer fence", `\`\`\`\`md SKILL.md\n${file}\`\`\`\`\n`],
    ["the file in an outer fence of tildes", `~~~\n${file}~~~`],
    ["the file behind chatter", `Sure! Here is the skill:\n\n${file}`],
    ["the file between chatter, in a fence", `Here is SKILL.md:\n\n\`\`\`\n${file}\`\`\`\n\nLet me know if it helps.`],
    ["the file behind a rule line that opens no frontmatter", `Here it is.\n\n---\n\n${file}`],
  ])("%s", (_, reply) => {
    expect(parseSkillReply(reply)).toEqual({ name: "parse-logs", text: file });
  });

  it("a name as it is written, legal or not", () => {
    expect(parseSkillReply(file.replace("parse-logs", "Parse Logs"))).toMatchObject({ name: "Parse Logs" });
  });
});

describe("parseSkillReply names a file without a name, which the gate then refuses,", () => {
  it.each([
    ["by its title", file.replace("name: parse-logs", 'title: "Parse: Logs & more!"'), "parse-logs-more"],
    ["by its first heading", file.replace("name: parse-logs\n", ""), "parse-logs"],
    ["`skill` without either", file.replace("name: parse-logs\n", "").replace("# Parse logs", "Text."), "skill"],
  ])("%s", (_, reply, name) => {
    expect(parseSkillReply(reply)).toMatchObject({ name });
  });
});

describe("parseSkillReply refuses", () => {
  it("an empty reply", () => expect(problem(" \n")).toBe("the reply is empty"));

  it("an error text as a skill (spark.md 6.3)", () => {
    expect(problem("[LLM ERROR] litellm.InternalServerError: Empty or invalid response from LLM endpoint")).toContain(
      "not a SKILL.md: [LLM ERROR]",
    );
    expect(problem("---\nname: x\ndescription: y\n---\n\nTraceback (most recent call last):\n  File")).toContain(
      "behind the frontmatter is a Python traceback",
    );
  });

  it("a skill that ends inside an open code fence, with the fence's line (spark.md 6.3)", () => {
    expect(problem(file.slice(0, file.indexOf("print(1)") + 5))).toContain("the code fence that opens at line 8");
    expect(problem(`\`\`\`markdown\n${file.slice(0, file.indexOf("print(1)"))}`)).toContain("outer code fence is not closed");
  });

  it("a reply without frontmatter, without a body, with frontmatter that never ends", () => {
    expect(problem("# A skill\n\nText.")).toContain("no frontmatter");
    expect(problem("---\nname: x\ndescription: y\n---\n")).toContain("nothing stands behind");
    expect(problem("---\nname: x\ndescription: y\n")).toContain("never closed");
  });
});

const runs = recordedPath("runs");
describe.skipIf(runs === null)("the six recorded replies", () => {
  it("are named by their name, else by their title; the one that was cut is refused", () => {
    const answers = readdirSync(runs ?? "").map((run) => {
      const lines = readFileSync(join(runs ?? "", run, "trajectory.jsonl"), "utf8").split("\n");
      const call = lines
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line))
        .find((event) => event.type === "skill_gen_call");
      return [run, problem(call.response).slice(0, 45)];
    });
    expect(Object.fromEntries(answers)).toEqual({
      "3d-scan-calc": "accepted as binary-stl-main-component-mass",
      "citation-check": "accepted as citation-authenticity-verificatio",
      "jax-computing-basics": "accepted as jax-computing-basics-solving-nump",
      "lean4-proof": "accepted as lean-4-proof-by-induction-sequenc",
      "r2r-mpc-control": "the file ends inside the code fence that open",
      "threejs-to-obj": "accepted as three-js-to-obj-export-for-blende",
    });
  });
});
