import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { taskDigest } from "../../../../formats/harbor/digest.js";
import { ignoreRules } from "../../../../formats/harbor/ignore-rules.js";

const FILES: Record<string, string> = {
  "task.toml": "a",
  "instruction.md": "b",
  "README.md": "c",
  "extra.txt": "x",
  "trajectory.json": "{}",
  "environment/Dockerfile": "FROM x",
  "environment/__pycache__/a.pyc": "1",
  "environment/b.pyc": "2",
  "environment/.DS_Store": "3",
  "environment/keep~": "4",
  "tests/a.swp": "5",
  "tests/Z/ä.txt": "6",
  "tests/z-last": "6",
  "tests/Z.txt": "7",
  "solution/deep/er/x.py": "8",
  "steps/s1/instruction.md": "9",
  "environment/\u{1F600}": "10",
  "environment/\uFFEE": "11",
};

let dir = "";
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "digest-"));
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(dirname(join(dir, path)), { recursive: true });
    await writeFile(join(dir, path), text);
  }
});
afterEach(() => rm(dir, { recursive: true, force: true }));

// Both digests were computed over the same files by harbor.publisher.packager of Harbor 0.24.
describe("taskDigest", () => {
  it("is that of Harbor's lock file, in the order of code points, not of UTF-16 units", async () => {
    expect(await taskDigest(dir)).toBe("3b802732775ee36dca3b17148f4c515ea6588caac85225c2830d121bd2d3fbe1");
  });

  it("honours a .gitignore in place of the default rules", async () => {
    await writeFile(
      join(dir, ".gitignore"),
      "# comment\n\n*.txt\n!Z.txt\n/environment/b.pyc\ndeep/\ntests/*.swp\n**/keep~\nsteps/**\n\\#x\nsolution/**/x.py\n",
    );
    expect(await taskDigest(dir)).toBe("c7e8ea9ccebd664051e5594d07372f57372f921eb9f566dd69e5dd5a1c96a3eb");
  });

  it("changes with a file's content and name, and not with files that no part of the task is", async () => {
    const before = await taskDigest(dir);
    await writeFile(join(dir, "notes.md"), "new");
    await mkdir(join(dir, "jobs"));
    await writeFile(join(dir, "jobs", "x"), "new");
    expect(await taskDigest(dir)).toBe(before);
    await writeFile(join(dir, "tests", "z-last"), "changed");
    expect(await taskDigest(dir)).not.toBe(before);
  });

  it("does not enter a link to a folder, so a loop ends", async () => {
    const before = await taskDigest(dir);
    await symlink("..", join(dir, "tests", "loop"));
    await symlink("nowhere", join(dir, "tests", "dangling"));
    expect(await taskDigest(dir)).toBe(before);
  });
});

const PATHS = [
  ...["a", "a/x", "b/a", "b/a/c", "a/b", "c/a/b", "a/q/b", "a/q/r/b", "x.log", "keep.log", "d/keep.log", "a.txt", "c.txt", "fooX", "foo"],
  ...["dir/x.c", "dir/s/x.c", "!x", "x", "src/m", "y/x/z", "z", "q/z", "[", "afoo"],
];

// Expected values: pathspec 1.0 (gitignore), which Harbor uses.
describe("ignoreRules", () => {
  it.each<[string, string[]]>([
    ["a", ["a", "a/x", "b/a", "b/a/c", "a/b", "c/a/b", "a/q/b", "a/q/r/b"]],
    ["a/", ["a/x", "b/a/c", "a/b", "c/a/b", "a/q/b", "a/q/r/b"]],
    ["/a", ["a", "a/x", "a/b", "a/q/b", "a/q/r/b"]],
    ["a/b", ["a/b"]],
    ["a/**/b", ["a/b", "a/q/b", "a/q/r/b"]],
    ["**/z", ["y/x/z", "z", "q/z"]],
    ["/**/z", ["y/x/z", "z", "q/z"]],
    ["[ab].txt", ["a.txt"]],
    ["[!ab].txt", ["c.txt"]],
    ["foo?", ["fooX"]],
    ["dir/*.c", ["dir/x.c"]],
    ["\\!x", ["!x"]],
    ["[[]", ["["]],
    ["/*", PATHS.filter((path) => !path.includes("/"))],
    ["*.log\n!keep.log", ["x.log"]],
    ["# a\n\n   ", []],
  ])("%j", (text, hits) => {
    expect(PATHS.filter(ignoreRules(text))).toEqual(hits);
  });
});
