import { fc, test } from "@fast-check/vitest";
import { describe, expect, it } from "vitest";
import { createCapture, createFrameParser, createMarkerScanner } from "../../../tools/sandbox/docker-output.js";

const pieces = (data: Buffer, cuts: readonly number[]): Buffer[] => {
  const at = [0, ...cuts.map((cut) => cut % (data.length + 1)).sort((a, b) => a - b), data.length];
  return at.slice(1).map((end, index) => data.subarray(at[index]!, end));
};
const frame = (stream: number, data: Buffer): Buffer => {
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(data.length, 4);
  return Buffer.concat([header, data]);
};

describe("capture of output", () => {
  it("keeps everything up to its limit", () => {
    const capture = createCapture(10);
    capture.add(Buffer.from("01234"));
    capture.add(Buffer.from("56789"));
    expect([Buffer.from(capture.bytes()).toString(), capture.truncated, capture.total]).toEqual(["0123456789", false, 10]);
  });
  it("keeps head and tail beyond it, and says how much is missing between them", () => {
    const capture = createCapture(6);
    for (const letter of "abcdefghij") capture.add(Buffer.from(letter));
    expect(Buffer.from(capture.bytes()).toString()).toBe("abc\n[… 4 bytes left out …]\nhij");
    expect([capture.truncated, capture.total]).toEqual([true, 10]);
  });
  it("does not keep the memory of the chunk that a few bytes came from", () => {
    const chunk = Buffer.from("keep");
    const capture = createCapture(100);
    capture.add(chunk);
    chunk.fill("x");
    expect(Buffer.from(capture.bytes()).toString()).toBe("keep");
  });
  test.prop([fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(300)), fc.integer({ min: 2, max: 100 })])(
    "in whatever pieces it comes, head and tail are those of the whole",
    (bytes, cuts, limit) => {
      const data = Buffer.from(bytes);
      const capture = createCapture(limit);
      for (const piece of pieces(data, cuts)) capture.add(piece);
      const kept = Buffer.from(capture.bytes());
      const head = Math.ceil(limit / 2);
      expect(capture.total).toBe(data.length);
      if (data.length <= limit) expect(kept.equals(data)).toBe(true);
      else {
        expect(kept.subarray(0, head).equals(data.subarray(0, head))).toBe(true);
        expect(kept.subarray(-(limit - head)).equals(data.subarray(-(limit - head)))).toBe(true);
      }
    },
  );
});

describe("frames of the engine", () => {
  test.prop([fc.array(fc.tuple(fc.constantFrom(1, 2), fc.uint8Array({ maxLength: 40 }))), fc.array(fc.nat(500))])(
    "however they are cut, each stream gets its bytes in order",
    (frames, cuts) => {
      const wire = Buffer.concat(frames.map(([stream, data]) => frame(stream, Buffer.from(data))));
      const got = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
      const parse = createFrameParser((stream, data) => got[stream].push(Buffer.from(data)));
      for (const piece of pieces(wire, cuts)) parse(piece);
      const sent = (stream: number): Buffer => Buffer.concat(frames.filter(([s]) => s === stream).map(([, data]) => Buffer.from(data)));
      expect(Buffer.concat(got.stdout).equals(sent(1))).toBe(true);
      expect(Buffer.concat(got.stderr).equals(sent(2))).toBe(true);
    },
  );
});

describe("search for the marker of a command's end", () => {
  const marker = Buffer.from("\0abc");
  test.prop([fc.array(fc.constantFrom("\0", "a", "b", "c", "x"), { maxLength: 30 }), fc.array(fc.nat(100))])(
    "passes on exactly what stands before it, in whatever pieces, and holds nothing else back",
    (letters, cuts) => {
      const before = letters.join("").replaceAll("\0abc", "");
      if (before.includes("\0abc")) return;
      const passed: Buffer[] = [];
      const scanner = createMarkerScanner(marker, (data) => passed.push(Buffer.from(data)));
      let rest: string | null = null;
      for (const piece of pieces(Buffer.from(`${before}\0abc tail`), cuts)) {
        if (rest !== null) rest += piece.toString();
        else rest = scanner.feed(piece)?.toString() ?? null;
      }
      expect([Buffer.concat(passed).toString(), rest]).toEqual([before, " tail"]);
    },
  );
  it("passes a beginning that turns out to be none", () => {
    const passed: string[] = [];
    const scanner = createMarkerScanner(marker, (data) => passed.push(data.toString()));
    expect(scanner.feed(Buffer.from("x\0ab"))).toBe(null);
    expect(scanner.feed(Buffer.from("d"))).toBe(null);
    expect(passed.join("")).toBe("x\0abd");
  });
});
