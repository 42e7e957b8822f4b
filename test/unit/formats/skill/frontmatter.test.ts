import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { formatSkill, parseFrontmatter, readFrontmatter, splitFrontmatter } from "../../../../formats/skill/frontmatter.js";

const file = (yaml: string, body = "# Body\n") => `---\n${yaml}\n---\n${body}`;
const problems = (text: string) => parseFrontmatter(text).problems.map(({ line, message }) => `${line}: ${message}`);

describe("splitFrontmatter", () => {
  it("gives the YAML, the body and the body's line, with either line end", () => {
    expect(splitFrontmatter("---\nname: a\n---\nbody\n---\n")).toEqual({ yaml: "name: a", body: "body\n---\n", bodyLine: 4 });
    expect(splitFrontmatter("---\r\nname: a\r\n---\r\nbody")).toEqual({ yaml: "name: a\r", body: "body", bodyLine: 4 });
  });

  it.each(["", "# no", "\n---\na: b\n---\n", "---\nname: a\n", "----\na: b\n----\n"])("gives null for %j", (text) => {
    expect(splitFrontmatter(text)).toBeNull();
  });
});

describe("parseFrontmatter", () => {
  it("keeps scalars as they were written and knows each field's line", () => {
    const parsed = parseFrontmatter(file("name: a-b\ndescription: |\n  x\n  y\nmetadata:\n  version: 1.0\n  on: yes\nlicense:"));
    expect(parsed).toMatchObject({
      fields: { name: "a-b", description: "x\ny\n", metadata: { version: "1.0", on: "yes" }, license: "" },
      lines: { name: 2, description: 3, metadata: 6, license: 9 },
      bodyLine: 11,
      problems: [],
    });
  });

  it("says how to write `description: Use when: foo`", () => {
    expect(problems(file("name: a\ndescription: Use when: foo"))).toEqual([
      '3: a value with `: ` in it must stand in quotes: description: "Use when: foo"',
    ]);
  });

  it.each([
    ["name: a\nname: b", '3: the field "name" stands twice'],
    ["name: a\nmetadata:\n\tb: c", "4: indent with spaces, not with a tab"],
    [
      "name: a\ndescription: `code` here",
      '3: a value must not begin with this character unless it stands in quotes: description: "`code` here"',
    ],
    ["- a\n- b", "2: the frontmatter is no list of `field: value` lines"],
    ["", "2: the frontmatter is no list of `field: value` lines"],
    ["name: a\ndescription: a --- b", "3: `---` inside the frontmatter: other readers end it there; write a dash or a comma instead"],
  ])("explains %j", (yaml, message) => {
    expect(problems(file(yaml))).toContain(message);
  });

  it.each([
    ["metadata: {a: b}", 3],
    ["allowed-tools: [a, b]", 3],
    ["metadata: {}", 3],
    ["description: &d text", 3],
    ["description: !!str text", 3],
  ])("refuses %j as the reference reader does", (line, at) => {
    expect(problems(file(`name: a\n${line}`))).toEqual([expect.stringMatching(new RegExp(`^${at}: .*reference reader refuses$`))]);
  });

  it.each([
    ["", "1: the file is empty; it must begin with `---`, the fields name and description, and `---`"],
    ["\uFEFF---\nname: a\n---\n", "1: the file begins with a byte order mark: save it as UTF-8 without one"],
    ["---\nname: a\n", "1: the frontmatter is never closed: a second line `---` is missing"],
    ["\n---\nname: a\n---\n", "1: the file must begin with `---` on its first line, without empty lines before it"],
    ["# Title\n", '1: the file must begin with `---`, the fields name and description, and `---`; it begins with "# Title"'],
  ])("says why %j has no frontmatter", (text, message) => {
    expect(problems(text)).toEqual([message]);
  });
});

describe("readFrontmatter", () => {
  it("is the fields of a listing, faults ignored, or null", () => {
    expect(readFrontmatter(file("name: a\ntools: [b]"))).toEqual({ name: "a", tools: ["b"] });
    expect(readFrontmatter("# no frontmatter")).toBeNull();
  });
});

describe("formatSkill", () => {
  it("always quotes and leaves out what could only stand in flow style", () => {
    expect(
      formatSkill({ name: "a", description: "Use when: foo", metadata: { version: "1.0" }, "allowed-tools": [] }, "\n# Body\n\n"),
    ).toBe('---\nname: "a"\ndescription: "Use when: foo"\nmetadata:\n  version: "1.0"\n---\n\n# Body\n');
  });

  const line = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }).filter((text) => text.trim() !== "" && !text.includes("---"));
  test.prop([line, fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9_]{0,10}$/), line, { maxKeys: 3 })])(
    "is read back as it was written",
    (description, metadata) => {
      const parsed = parseFrontmatter(
        formatSkill({ name: "a", description, ...(Object.keys(metadata).length > 0 ? { metadata } : {}) }, "body"),
      );
      expect(parsed.problems).toEqual([]);
      expect(parsed.fields).toEqual({ name: "a", description, ...(Object.keys(metadata).length > 0 ? { metadata: { ...metadata } } : {}) });
    },
  );
});
