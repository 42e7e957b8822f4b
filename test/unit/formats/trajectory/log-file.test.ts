import { appendFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { LogFile } from "../../../../formats/trajectory/log-file.js";
import { SparkError } from "../../../../state/errors.js";

let dir: string;
let path: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "log-file-"));
  path = join(dir, "run", "task", "trajectory.jsonl");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const plain = (text: string): string => text;
const given = async (content: string): Promise<void> => {
  await mkdir(join(dir, "run", "task"), { recursive: true });
  await writeFile(path, content);
};

describe("LogFile", () => {
  it("makes its folder and appends a line an event, with a time where the event has none", async () => {
    const log = new LogFile(path, plain);
    await log.append([
      { type: "a", id: "1" },
      { type: "b", ts: 5 },
    ]);
    await log.append([]);
    const lines = (await readFile(path, "utf8")).split("\n");
    expect(lines).toHaveLength(3);
    const first = JSON.parse(lines[0]!) as { ts: number };
    expect(first).toEqual({ type: "a", id: "1", ts: expect.any(Number) as number });
    expect(JSON.parse(lines[1]!)).toEqual({ type: "b", ts: 5 });
    expect([...log.ids]).toEqual(["1"]);
  });

  it("never truncates what stands there, and knows the identities of it", async () => {
    await given('{"type":"a","id":"1"}\nnot json\n{"type":"old"}\n');
    const log = new LogFile(path, plain);
    await log.ready();
    expect([...log.ids]).toEqual(["1"]);
    await log.append([{ type: "b", id: "2", ts: 1 }]);
    expect(await readFile(path, "utf8")).toBe('{"type":"a","id":"1"}\nnot json\n{"type":"old"}\n{"type":"b","id":"2","ts":1}\n');
  });

  it.each([
    ['{"type":"a","id":"1"}\n{"type":"b","i', '{"type":"a","id":"1"}\n'],
    ['{"type":"a","id":"1"', ""],
    ["é".repeat(3), ""],
  ])("cuts a torn last line off when it is opened again: %j", async (content, left) => {
    await given(content);
    const log = new LogFile(path, plain);
    await log.append([{ type: "c", ts: 1 }]);
    expect(await readFile(path, "utf8")).toBe(`${left}{"type":"c","ts":1}\n`);
  });

  it("keeps lines of appends at the same time whole and in the order of the calls", async () => {
    const log = new LogFile(path, plain);
    await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        log.append([
          { type: "a", id: `${index}`, ts: 1, text: "x".repeat(20_000) },
          { type: "b", id: `${index}b`, ts: 1 },
        ]),
      ),
    );
    const ids = (await readFile(path, "utf8"))
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { id: string }).id);
    expect(ids).toEqual(Array.from({ length: 50 }, (_, index) => [`${index}`, `${index}b`]).flat());
  });

  it("redacts the serialised line", async () => {
    await new LogFile(path, (text) => text.replaceAll("hunter2", "***")).append([{ type: "a", ts: 1, text: "hunter2" }]);
    expect(await readFile(path, "utf8")).toBe('{"type":"a","ts":1,"text":"***"}\n');
  });

  it("says what to do when it cannot be opened, to everyone who asks, and counts no identity as written", async () => {
    await mkdir(path, { recursive: true });
    const log = new LogFile(path, plain);
    for (const attempt of [log.ready(), log.append([{ type: "a", id: "1" }]), log.append([])]) {
      const error = await attempt.catch((thrown: unknown) => thrown);
      expect(SparkError.isInstance(error) && error.code).toBe("disk");
      expect((error as Error).message).toContain(path);
    }
    expect(log.ids.size).toBe(0);
  });

  it("reads long files with lines of many sizes", async () => {
    await given("");
    for (let index = 0; index < 20; index += 1)
      await appendFile(path, `${JSON.stringify({ type: "a", id: `${index}`, text: "é".repeat(index * 5000) })}\n`);
    const log = new LogFile(path, plain);
    await log.ready();
    expect(log.ids.size).toBe(20);
  });
});
