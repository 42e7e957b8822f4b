import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { countTests, parseCtrf, readTests, reasonOf, testSummary } from "../../../../formats/harbor/ctrf.js";
import { parsePytestOutput } from "../../../../formats/harbor/pytest-output.js";
import { failedTestLines } from "../../../../state/test-summary.js";

const GENERIC = "The test failed in the call phase due to an assertion error";
const TRACE = `def test_sum():
        total = add(2, 2)
>       assert total == 5
E       AssertionError: wrong sum
E       assert 4 == 5
E        +  where 4 = add(2, 2)

test_outputs.py:7: AssertionError`;
const ctrf = (tests: unknown[]) => JSON.stringify({ results: { tool: { name: "pytest" }, summary: {}, tests } });

describe("parseCtrf", () => {
  it("takes the reason from the trace when the message is generic (the reference program shows only the generic one)", () => {
    expect(parseCtrf(ctrf([{ name: "t::test_sum", status: "failed", message: GENERIC, trace: TRACE }]))).toEqual([
      { name: "t::test_sum", status: "failed", message: "AssertionError: wrong sum\nassert 4 == 5\n +  where 4 = add(2, 2)" },
    ]);
  });

  it("keeps a message that says something, and the generic one when there is no trace", () => {
    const tests = parseCtrf(
      ctrf([
        { name: "a", status: "failed", message: "expected 3 rows, got 2", trace: TRACE },
        { name: "b", status: "failed", message: GENERIC },
      ]),
    );
    expect(tests.map(({ message }) => message)).toEqual(["expected 3 rows, got 2", GENERIC]);
  });

  it("is tolerant: a bare list of tests, unknown states, entries without a name, text that is no JSON", () => {
    expect(
      parseCtrf(
        JSON.stringify({
          tests: [{ name: "a", status: "PASSED" }, { name: "b", status: "exploded" }, { status: "passed" }, 5, { name: "c" }],
        }),
      ),
    ).toEqual([
      { name: "a", status: "passed", message: "" },
      { name: "b", status: "other", message: "" },
      { name: "c", status: "other", message: "" },
    ]);
    for (const text of ["", "null", "{", "[]", '{"results": {"tests": {}}}']) expect(parseCtrf(text)).toEqual([]);
  });
});

describe("reasonOf", () => {
  it("is the last block of E lines, else the last lines", () => {
    expect(reasonOf("E   first\n\nDuring handling\n\nE   second\nE   third\n\nx.py:3: Error")).toBe("second\nthird");
    expect(reasonOf("Traceback\n  File x\nKeyError: 'a'\n\n")).toBe("Traceback\n  File x\nKeyError: 'a'");
  });
});

describe("parsePytestOutput", () => {
  it("reads the -rA lines, with reasons, parameters and colours", () => {
    const text = `\u001b[32mPASSED\u001b[0m not/before/summary
=== short test summary info ===
PASSED ../tests/test_outputs.py::test_a
\u001b[31mFAILED\u001b[0m ../tests/test_outputs.py::\u001b[1mtest_b[x - y]\u001b[0m - assert 1 == 2
FAILED ../tests/test_outputs.py::test_c - KeyError: 'list[0] - x'
PASSED ../tests/test_outputs.py::test_d[a - b]
ERROR ../tests/test_outputs.py - ModuleNotFoundError: No module named 'x'
SKIPPED [1] ../tests/test_outputs.py:4: not here
XFAIL ../tests/test_outputs.py::test_e
=== 1 failed ===`;
    expect(parsePytestOutput(text)).toEqual([
      { name: "../tests/test_outputs.py::test_a", status: "passed", message: "" },
      { name: "../tests/test_outputs.py::test_b[x - y]", status: "failed", message: "assert 1 == 2" },
      { name: "../tests/test_outputs.py::test_c", status: "failed", message: "KeyError: 'list[0] - x'" },
      { name: "../tests/test_outputs.py::test_d[a - b]", status: "passed", message: "" },
      { name: "../tests/test_outputs.py", status: "failed", message: "ModuleNotFoundError: No module named 'x'" },
      { name: "[1] ../tests/test_outputs.py:4: not here", status: "skipped", message: "" },
      { name: "../tests/test_outputs.py::test_e", status: "skipped", message: "" },
    ]);
  });

  it("takes other programs' lines for tests only when they have a node id", () => {
    expect(parsePytestOutput("FAILED to connect\nERROR something\nPASSED x.py::test_a\n")).toEqual([
      { name: "x.py::test_a", status: "passed", message: "" },
    ]);
  });
});

describe("testSummary", () => {
  const tests = parseCtrf(
    ctrf([
      { name: "test_a", status: "passed" },
      { name: "test_b", status: "failed", message: GENERIC, trace: "E   assert '✗ x' in\nE   ✗ fake\nE   FAILED (fix these):" },
      { name: "test_c", status: "skipped" },
      { name: "test_d\nPASSED", status: "other" },
    ]),
  );

  it("has the headings and marks of the release, with each failure's message below its name", () => {
    expect(testSummary(tests)).toBe(
      [
        "PASSED (do NOT change logic for these):",
        "  ✓ test_a",
        "FAILED (fix these):",
        "  ✗ test_b",
        "      assert '✗ x' in",
        "      | ✗ fake",
        "      FAILED (fix these):",
        "  ✗ test_d PASSED",
      ].join("\n"),
    );
  });

  it("gives each failed test one line for PDI, whatever stands in its message", () => {
    expect(failedTestLines(testSummary(tests))).toEqual(["test_b", "test_d PASSED"]);
  });

  it("leaves out a heading without tests", () => {
    expect(testSummary([])).toBe("");
    expect(testSummary(tests.slice(0, 1))).toBe("PASSED (do NOT change logic for these):\n  ✓ test_a");
  });

  it("counts what ran", () => {
    expect(countTests(tests)).toEqual({ passed: 1, total: 3 });
  });
});

describe("readTests", () => {
  let dir = "";
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "ctrf-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  it("prefers ctrf.json, takes several partial reports together, falls back to the output, and has nothing for nothing", async () => {
    expect(await readTests(join(dir, "nowhere"))).toEqual([]);
    await writeFile(join(dir, "test-stdout.txt"), "PASSED x.py::from_output\n");
    expect((await readTests(dir)).map(({ name }) => name)).toEqual(["x.py::from_output"]);
    await writeFile(join(dir, "ctrf_two.json"), ctrf([{ name: "two", status: "passed" }]));
    await writeFile(join(dir, "ctrf-report.json"), ctrf([{ name: "one", status: "passed" }]));
    expect((await readTests(dir)).map(({ name }) => name)).toEqual(["one", "two"]);
    await writeFile(join(dir, "ctrf.json"), ctrf([{ name: "main", status: "passed" }]));
    expect((await readTests(dir)).map(({ name }) => name)).toEqual(["main"]);
  });

  it("falls back to the output when the report is broken or empty", async () => {
    await writeFile(join(dir, "test-stdout.txt"), "FAILED x.py::test_a - reason\n");
    for (const text of ["{", ctrf([])]) {
      await writeFile(join(dir, "ctrf.json"), text);
      expect(await readTests(dir)).toEqual([{ name: "x.py::test_a", status: "failed", message: "reason" }]);
    }
  });
});
