import { describe, expect, it } from "vitest";
import { isKnownConstant } from "../../../../../formats/skill/gate/known-constants.js";
import { numbersIn, partsOf, roundingsOf } from "../../../../../formats/skill/gate/numbers.js";

const known = (text: string): boolean => {
  const { mantissa, exponent } = partsOf(numbersIn([text])[0]!.value);
  return isKnownConstant(mantissa, exponent);
};

describe("isKnownConstant", () => {
  it.each([
    "1024",
    "65536",
    "65535",
    "0xFFFF",
    "4294967295",
    "18446744073709551616",
    "86400",
    "0x1021",
    "0xEDB88320",
    "3.14159",
    "3.1416",
    "2.718281828",
    "9.80665",
    "273.15",
  ])("knows %s", (text) => expect(known(text)).toBe(true));

  it.each(["1026", "0.68885", "34648.82", "1987", "3.1417", "86401", "1.024", "8192.5"])("does not know %s", (text) =>
    expect(known(text)).toBe(false),
  );
});

describe("roundingsOf", () => {
  const roundings = (text: string): string[] => roundingsOf(numbersIn([text])[0]!);

  it("rounds to five digits and more, half up, and leaves out what rounds to fewer", () => {
    expect(roundings("0.68884973")).toEqual(["68885e-5", "68885e-5", "6888497e-7"]);
    expect(roundings("34648.829")).toEqual(["34649e0", "346488e-1", "3464883e-2"]);
    expect(roundings("999999.6")).toEqual([]);
    expect(roundings("0.6888")).toEqual([]);
  });
});
