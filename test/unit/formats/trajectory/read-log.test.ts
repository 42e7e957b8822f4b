import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { linesOf, readLog, readWholeLog } from "../../../../formats/trajectory/read-log.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "spark-read-log-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let count = 0;
const log = (content: string | object[]): string => {
  const path = join(folder, `log-${count++}.jsonl`);
  writeFileSync(path, typeof content === "string" ? content : content.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
};

const start = (attempt: number, extra: object = {}) => ({ type: "attempt_start", attempt, retry: 0, ts: 1, ...extra });
const call = (extra: object = {}) => ({
  type: "model_call",
  node: "explore",
  attempt: 0,
  model: "m",
  input_tokens: 100,
  cached_tokens: 10,
  output_tokens: 5,
  cost_usd: 0.5,
  ts: 1,
  ...extra,
});

describe("readLog", () => {
  it("folds lines of one identity: the last wins and stands where the first stood", async () => {
    const reading = await readLog(log([start(0, { id: "a" }), start(1, { id: "b" }), start(0, { id: "a", ts: 7 })]));
    expect(reading.lines.map((line) => [line.id, line.ts])).toEqual([
      ["a", 7],
      ["b", 1],
    ]);
    expect(reading.superseded).toBe(1);
  });

  it("keeps every line of the release's, which have no identity", async () => {
    const reading = await readLog(log([start(0), start(0), start(0)]));
    expect(reading.lines).toHaveLength(3);
    expect(reading.superseded).toBe(0);
  });

  it("tolerates the half line that a crash leaves at the end", async () => {
    const path = log(`${JSON.stringify(start(0))}\n{"type":"attempt_start","att`);
    expect(await readLog(path)).toMatchObject({ torn: true, problems: [], lines: [{ attempt: 0 }] });
    expect((await readWholeLog(path)).lines).toHaveLength(1);
  });

  it("reads a whole last line that has no line end", async () => {
    const reading = await readLog(log(JSON.stringify(start(3))));
    expect(reading).toMatchObject({ torn: false, lines: [{ attempt: 3 }] });
  });

  it("reports a broken line with file and line and goes on", async () => {
    const path = log(`${JSON.stringify(start(0))}\n\nnot json\n[1]\n{"type":"command","attempt":0}\n${JSON.stringify(start(1))}\n`);
    const reading = await readLog(path);
    expect(reading.problems.map((problem) => problem.at)).toEqual([`${path}:3`, `${path}:4`, `${path}:5`]);
    expect(reading.problems[2]?.message).toContain("command");
    expect(reading.lines.map((line) => "attempt" in line && line.attempt)).toEqual([0, 1]);
    await expect(readWholeLog(path)).rejects.toMatchObject({ code: "file-invalid", message: expect.stringContaining(`${path}:3`) });
  });

  it("keeps lines of a type that it does not know apart", async () => {
    const reading = await readLog(log([start(0), { type: "of_tomorrow", value: 1 }]));
    expect(reading.unknown).toEqual([{ type: "of_tomorrow", value: 1 }]);
    expect(reading.lines).toHaveLength(1);
  });

  it("ends with file-missing for a path that is not there", async () => {
    await expect(readLog(join(folder, "none.jsonl"))).rejects.toMatchObject({
      code: "file-missing",
      message: expect.stringContaining("none.jsonl"),
    });
  });

  it("does not break a line at U+2028, a lone carriage return or a chunk's border", async () => {
    const long = `é😀${"x".repeat(70_000)}`;
    const text = `{"type":"command","attempt":0,"index":0,"exit_code":0,"command":${JSON.stringify(long)},"note":"a\u2028b"}\r\n`;
    const reading = await readLog(log(`\uFEFF${text}${text}`));
    expect(reading.problems).toEqual([]);
    expect(reading.lines.map((line) => [line.type === "command" && line.command === long, line.note])).toEqual([
      [true, "a\u2028b"],
      [true, "a\u2028b"],
    ]);
  });
});

describe("usage", () => {
  it("counts the calls of a superseded execution: both were paid for", async () => {
    const reading = await readLog(log([call({ id: "x", call: "1" }), call({ id: "x", call: "2", cost_usd: 0.25 })]));
    expect(linesOf(reading.lines, "model_call")).toHaveLength(1);
    expect(reading.usage).toEqual({ inputTokens: 200, cachedTokens: 20, outputTokens: 10, costUsd: 0.75 });
  });

  it("counts a call once that was written twice, as reconciling after a crash does", async () => {
    expect((await readLog(log([call({ id: "x", call: "1" }), call({ id: "x", call: "1" })]))).usage.costUsd).toBe(0.5);
    expect((await readLog(log([call({ id: "x" }), call({ id: "x" })]))).usage.costUsd).toBe(0.5);
  });

  it("leaves the cost unknown when one call has no price", async () => {
    const reading = await readLog(log([call({ call: "1" }), call({ call: "2", cost_usd: null })]));
    expect(reading.usage).toMatchObject({ inputTokens: 200, costUsd: null });
  });

  it("takes the release's reflections and distillation for the tokens of a log without model calls, at unknown cost", async () => {
    const reading = await readLog(
      log([
        { type: "reflect_call", attempt: 0, input_tokens: 7, output_tokens: 2 },
        { type: "skill_gen_call", attempt: 1, input_tokens: 5, output_tokens: 1 },
      ]),
    );
    expect(reading.usage).toEqual({ inputTokens: 12, cachedTokens: 0, outputTokens: 3, costUsd: null });
  });

  it("of a log without any call is nothing, at no cost", async () => {
    expect((await readLog(log([start(0)]))).usage).toEqual({ inputTokens: 0, cachedTokens: 0, outputTokens: 0, costUsd: 0 });
  });
});

describe("a log that was cut at any byte", () => {
  it("reads as the lines before the cut", async () => {
    const lines = Array.from({ length: 5 }, (_, index) => JSON.stringify(start(index, { id: `é${index}` })));
    const whole = Buffer.from(`${lines.join("\n")}\n`);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), async (cut) => {
        const path = join(folder, "cut.jsonl");
        writeFileSync(path, whole.subarray(0, cut));
        const reading = await readLog(path);
        expect(reading.problems).toEqual([]);
        const complete = whole.subarray(0, cut).filter((byte) => byte === 10).length;
        expect(reading.lines.length - complete).toBeOneOf([0, 1]);
        expect(reading.lines.map((line) => line.id)).toEqual(Array.from({ length: reading.lines.length }, (_, index) => `é${index}`));
      }),
      { numRuns: 60 },
    );
  });
});
