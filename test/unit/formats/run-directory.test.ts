import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addressOf, safeName, TaskDirectory, threadIdOf, trialDirectoryName, writeAtomically } from "../../../formats/run-directory.js";
import { PREVIEW_CHARACTERS } from "../../../state/artifact.js";
import { SparkError } from "../../../state/errors.js";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "run-directory-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const codeOf = (error: unknown): string | undefined => (SparkError.isInstance(error) ? error.code : undefined);
const files = async (): Promise<string[]> =>
  (await readdir(dir, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));

describe("addressOf", () => {
  it("splits a thread `run--task` at its first separator and takes any other thread for the run", () => {
    expect(addressOf("night--t-1", "/x/y")).toEqual({ run: "night", task: "t-1" });
    expect(addressOf("night--a--b", "/x/y")).toEqual({ run: "night", task: "a--b" });
    expect(addressOf("3f2504e0-4f89-41d3-9a0c-0305e82c3301", "/x/my task/")).toEqual({
      run: "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
      task: "my-task",
    });
    expect(addressOf("--t", "")).toEqual({ run: "--t", task: "task" });
  });

  it("gives back what a thread id was made of, for any names that a run may have", () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._-]{0,20}$/);
    fc.assert(
      fc.property(
        name.filter((run) => !run.includes("--") && !run.endsWith("-")),
        name,
        (run, task) => {
          expect(addressOf(threadIdOf({ run, task }), "/elsewhere")).toEqual({ run, task });
        },
      ),
    );
  });

  it("never leaves the runs folder, whatever a thread or a task is called", () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (threadId, task) => {
        const address = addressOf(threadId, task);
        for (const part of [address.run, address.task]) {
          expect(part).toMatch(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/);
          expect(safeName(part)).toBe(part);
        }
      }),
    );
  });

  it("names the trial directory of an attempt, and of a failure that uses up no number", () => {
    expect(trialDirectoryName("t", 0, null)).toBe("t__attempt-0");
    expect(trialDirectoryName("t", 2, 1)).toBe("t__attempt-2__retry-1");
  });
});

describe("TaskDirectory", () => {
  const address = { run: "r", task: "t" };

  it("stores a text under its digest once and refers to it with size and preview", async () => {
    const store = new TaskDirectory(dir, address);
    const text = `é${"x".repeat(400)}`;
    const [first, second] = await Promise.all([store.put(text), store.put(text)]);
    expect(first).toEqual(second);
    expect(first).toEqual({
      path: expect.stringMatching(/^blobs\/[0-9a-f]{2}\/[0-9a-f]{64}\.txt$/) as string,
      sha256: createHash("sha256").update(text).digest("hex"),
      bytes: 402,
      preview: text.slice(0, PREVIEW_CHARACTERS),
    });
    expect(await store.text(first)).toBe(text);
    expect(await files()).toEqual([join(store.dir, first.path)]);
  });

  it("mends a blob that a crash left with another size", async () => {
    const store = new TaskDirectory(dir, address);
    const ref = await store.put("whole text");
    await writeFile(store.path(ref.path), "who");
    await store.put("whole text");
    expect(await store.text(ref)).toBe("whole text");
  });

  it("redacts texts before their digest is taken, and leaves bytes alone", async () => {
    const store = new TaskDirectory(dir, address, { redact: (text) => text.replaceAll("secret", "***") });
    const ref = await store.put("a secret");
    expect([ref.preview, await store.text(ref), ref.sha256]).toEqual([
      "a ***",
      "a ***",
      createHash("sha256").update("a ***").digest("hex"),
    ]);
    const bytes = await store.put(Buffer.from("a secret"), "bin");
    expect([bytes.preview, (await store.bytes(bytes.path)).toString()]).toEqual(["", "a secret"]);
    await store.write("report.json", '{"a":"secret"}');
    expect(await readFile(store.path("report.json"), "utf8")).toBe('{"a":"***"}');
  });

  it("cuts a preview at a whole character", async () => {
    const { preview } = await new TaskDirectory(dir, address).put(`${"x".repeat(PREVIEW_CHARACTERS - 1)}😀`);
    expect(preview).toBe("x".repeat(PREVIEW_CHARACTERS - 1));
  });

  it("reads nothing for no reference and says what a missing file means", async () => {
    const store = new TaskDirectory(dir, address);
    expect(await store.text(null)).toBe("");
    const error = await store.bytes("blobs/aa/none.txt").catch((thrown: unknown) => thrown);
    expect(codeOf(error)).toBe("file-missing");
    expect((error as Error).message).toMatch(/none\.txt.*incomplete/);
  });

  it("refuses paths that leave its folder", () => {
    const store = new TaskDirectory(dir, address);
    for (const path of ["..", "../other", "a/../../other", "/etc/passwd"])
      expect(() => store.path(path)).toThrow(/leaves the task's folder/);
    expect(store.path("a/../b")).toBe(join(store.dir, "b"));
  });

  it("empties a folder and knows what exists", async () => {
    const store = new TaskDirectory(dir, address);
    await store.write("trial/agent/a.txt", "x");
    expect(await store.exists("trial/agent/a.txt")).toBe(true);
    await store.empty("trial");
    await store.empty("trial");
    expect(await store.exists("trial")).toBe(false);
  });
});

describe("writeAtomically", () => {
  it("replaces a file whole and leaves no temporary file behind", async () => {
    await writeAtomically(join(dir, "a.txt"), "one");
    await writeAtomically(join(dir, "a.txt"), "two");
    expect(await files()).toEqual([join(dir, "a.txt")]);
    expect(await readFile(join(dir, "a.txt"), "utf8")).toBe("two");
  });

  it("tells a disk that refuses from other errors, with the path and what to do", async () => {
    await writeFile(join(dir, "file"), "");
    const error = await writeAtomically(join(dir, "file", "below"), "x").catch((thrown: unknown) => thrown);
    expect(codeOf(error)).toBe("disk");
    expect((error as Error).message).toMatch(/file\/below.*free space/);
  });
});
