import { describe, expect, it } from "vitest";
import { failedTestLines, MAX_FAILED_TEST_LINES } from "../../../state/test-summary.js";

describe("failedTestLines", () => {
  it("takes the crossed lines under the FAILED heading, with the message behind the name", () => {
    const summary =
      "PASSED (do NOT change logic for these):\n  ✓ tests.py::test_a\nFAILED (fix these):\n  ✗ tests.py::test_b - AssertionErr...\n  ✗ tests.py::test_c\n";
    expect(failedTestLines(summary)).toEqual(["tests.py::test_b - AssertionErr...", "tests.py::test_c"]);
  });

  it("reads Windows line ends, and crosses in a summary without headings", () => {
    expect(failedTestLines("FAILED:\r\n  ✗ one\r\n")).toEqual(["one"]);
    expect(failedTestLines("✓ fine\n✗ broken")).toEqual(["broken"]);
  });

  it("does not take a cross from a passed test's text, a tick, or a message's own lines", () => {
    const summary = "PASSED:\n  ✓ draws ✗ marks\nFAILED:\n  ✗ test_b\n      expected ✗ got ✓\n";
    expect(failedTestLines(summary)).toEqual(["test_b"]);
  });

  it("finds none in an empty summary or one where everything passed", () => {
    expect(failedTestLines("")).toEqual([]);
    expect(failedTestLines("PASSED:\n  ✓ a")).toEqual([]);
  });

  it("stops at the number that a record keeps, so that log and record agree", () => {
    const summary = `FAILED:\n${Array.from({ length: 300 }, (_, index) => `  ✗ t${index}`).join("\n")}`;
    expect(failedTestLines(summary)).toHaveLength(MAX_FAILED_TEST_LINES);
  });
});
