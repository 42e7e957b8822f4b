import { describe, expect, it } from "vitest";
import { numbersIn, visibleValues } from "../../../../../formats/skill/gate/numbers.js";

const values = (line: string): string[] => numbersIn([line]).map(({ value }) => value);

describe("numbersIn", () => {
  it.each([
    ["1e3, 1000, 1_000, 1000.0, +1000, -1.0E+3", Array(6).fill("1e3")],
    ["0.68885 -0.688850 6.8885e-1 .68885", Array(4).fill("68885e-5")],
    ["0x1F40 8000", ["8e3", "8e3"]],
    ["weighs 34648.5g or 12.5 % of 48.213kg", ["346485e-1", "125e-1", "48213e-3"]],
  ])("gives one value for %s", (line, expected) => expect(values(line)).toEqual(expected));

  it("takes 12,345 as one number and as its parts, and as parts only inside a list", () => {
    expect(values("12,345.5 items")).toEqual(["123455e-1", "12e0", "3455e-1"]);
    expect(values("rgb(255,254,253)")).toEqual(["255e0", "254e0", "253e0"]);
  });

  it("takes no part of a name, a version or a longer word, and no zero", () => {
    expect(values("x1234 test_1234 1.26.4 1234abcdef 10.0.0.1 0.000")).toEqual([]);
  });

  it("counts digits between the first and the last that is not zero", () => {
    expect(numbersIn(["0.00120400 1024000"]).map(({ significant, fractional }) => [significant, fractional])).toEqual([
      [4, true],
      [4, false],
    ]);
  });
});

describe("visibleValues", () => {
  it("also knows digits inside names and versions: a reader could have taken them from there", () => {
    expect([...visibleValues(["data_48213.csv v1.26.4 7,654,321"])]).toEqual(expect.arrayContaining(["48213e0", "126e-2", "7654321e0"]));
  });
});
