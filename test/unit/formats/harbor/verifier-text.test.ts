import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VERIFIER_TEXT_CHARACTERS, verifierText } from "../../../../formats/harbor/verifier-text.js";
import type { HarborTask } from "../../../../state/task.js";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "verifier-text-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const textOf = async (files: Record<string, string>): Promise<string> => {
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), content);
  }
  return verifierText({ dir } as HarborTask);
};

describe("verifierText", () => {
  it("shows every Python file of tests/ redacted under its name and only names the others", async () => {
    const text = await textOf({
      "tests/test_b.py": "assert total() == 0.68885\n",
      "tests/helpers/a.py": "import os\n",
      "tests/test.sh": "echo 0.68885 > /tmp/answer\n",
      "tests/data/gold.json": '{"mean": 0.68885}',
      "solution/solve.py": "print(0.68885)\n",
    });
    expect(text).toBe(
      "# tests/helpers/a.py\nimport os\n\n# tests/test_b.py\nassert total() == <redacted>\n\n# other files, contents not shown\ntests/data/gold.json\ntests/test.sh",
    );
  });

  it("says of a file that cannot be parsed, or is too large, that it is withheld, and shows nothing of it", async () => {
    const text = await textOf({
      "tests/test_a.py": "def broken(:\n    return 0.68885\n",
      "tests/test_b.py": `DATA = [${"0.68885, ".repeat(70_000)}]\n`,
    });
    expect(text).toBe("# tests/test_a.py\n# withheld: it could not be parsed\n\n# tests/test_b.py\n# withheld: it is larger than 512 KiB");
  });

  it("takes telling numbers out of names", async () => {
    expect(await textOf({ "tests/gold_68885.bin": "x", "tests/utf8.py": "" })).toBe(
      "# tests/utf8.py\n\n\n# other files, contents not shown\ntests/gold_<redacted>.bin",
    );
  });

  it("is bounded and says that it was cut, also with very many files", async () => {
    const text = await textOf({
      "tests/test_a.py": "print(run())\n".repeat(5000),
      ...Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`tests/data/${index}.txt`, ""])),
    });
    expect(text.length).toBeLessThanOrEqual(VERIFIER_TEXT_CHARACTERS);
    expect(text).toContain("characters cut");
    expect(await textOf({ "tests/test_a.py": "" })).toContain("and 20 more");
  });

  it("is empty for a task without tests", async () => {
    expect(await textOf({})).toBe("");
  });
});
