import { describe, expect, it } from "vitest";
import { createIgnore } from "../../../formats/dockerignore.js";

describe(".dockerignore", () => {
  it.each([
    ["", "a", false],
    [".env", ".env", true],
    [".env", "sub/.env", false],
    ["**/.env", "sub/deep/.env", true],
    ["**/.env", ".env", true],
    ["*.log", "a.log", true],
    ["*.log", "sub/a.log", false],
    ["*/*.log", "sub/a.log", true],
    ["node_modules", "node_modules/a/b", true],
    ["node_modules/", "node_modules/a", true],
    ["/rooted", "rooted", true],
    ["./dotted", "dotted", true],
    ["a?c", "abc", true],
    ["a?c", "a/c", false],
    ["[ab].txt", "b.txt", true],
    ["# comment", "# comment", false],
    ["*\n!keep", "keep", false],
    ["*\n!keep", "drop", true],
    ["!keep\n*", "keep", true],
    ["docs\n!docs/README.md", "docs/README.md", false],
    ["docs\n!docs/README.md", "docs/x.md", true],
    ["a.b", "axb", false],
    ["sub/**", "sub/x/y", true],
    ["sub/**", "sub", false],
    ["  spaced  ", "spaced", true],
    ["\\#hash", "#hash", true],
  ])("%j leaves %s out: %s", (text, path, ignored) => {
    expect(createIgnore(text)(path)).toBe(ignored);
  });
});
