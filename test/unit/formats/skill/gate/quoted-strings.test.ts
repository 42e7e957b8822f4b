import { describe, expect, it } from "vitest";
import { quotedStrings } from "../../../../../formats/skill/gate/quoted-strings.js";

const values = (line: string): string[] => quotedStrings([line]).map(({ value }) => value);

describe("quotedStrings", () => {
  it("finds every kind of quote and leaves apostrophes alone", () => {
    expect(values(`a = "alpha-one"; b = 'beta two'; c = \`gamma3x\`; r'raw-text'`)).toEqual([
      "alpha-one",
      "beta two",
      "raw-text",
      "gamma3x",
    ]);
    expect(values("It doesn't matter what the test's author can't see.")).toEqual([]);
  });

  it("undoes the escapes of quotes and line ends", () => {
    expect(values(String.raw`x = "say \"yes\" now"`)).toContain('say "yes" now');
  });

  it.each([
    '"__main__"',
    "'utf-8-sig'",
    '"application/json"',
    "'%Y-%m-%d'",
    '"%Y-%m-%dT%H:00:00Z"',
    String.raw`r"(\d+(?:\.\d+)?)(ms|s)"`,
    String.raw`b"\xa5\x5a"`,
    'f"sum: {:.2f}"',
    '"%s: %d items"',
    '"--------"',
  ])("takes %s as the vocabulary of languages and formats", (line) => {
    expect(values(line)).toEqual([]);
  });

  it.each([
    '"order {order} stands in the input twice"',
    String.raw`r"(\d+) (days|months)"`,
    '"Crystal Palace"',
    '"FLAG{8c2a71}"',
    '"flag{word}"',
  ])("keeps %s", (line) => {
    expect(values(line)).toHaveLength(1);
  });
});
