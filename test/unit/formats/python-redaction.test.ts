import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { redactPython } from "../../../formats/python-redaction.js";

const clean = async (source: string): Promise<string> => {
  const { text, withheld } = await redactPython(source);
  expect(withheld).toBe(false);
  return text!;
};

describe("redactPython", () => {
  it.each([
    ["a scalar", "EXPECTED = 0.68885\n", "EXPECTED = <redacted>\n"],
    [
      "a dict over several lines",
      'EXPECTED_ROWS = {\n    "alpha": 1.5,  # first\n    "beta": [2, 3],\n}\nx = 1\n',
      "EXPECTED_ROWS = <redacted>\nx = 1\n",
    ],
    ["triple quotes", 'EXPECTED_TEXT = """one\ntwo = 3\n"""\n', "EXPECTED_TEXT = <redacted>\n"],
    ["an annotation", 'EXPECTED_NAME: str = "Ada"\n', "EXPECTED_NAME: str = <redacted>\n"],
    ["a tuple", "EXPECTED_A, EXPECTED_B = 1, 2\n", "EXPECTED_A, EXPECTED_B = <redacted>\n"],
    ["a chain", "total = EXPECTED_TOTAL = -5\n", "total = EXPECTED_TOTAL = <redacted>\n"],
    ["a class's attribute", "class Wanted:\n    EXPECTED_SUM = 7\n", "class Wanted:\n    EXPECTED_SUM = <redacted>\n"],
    ["a call", "EXPECTED_ARRAY = np.array([1, 2, 3])\n", "EXPECTED_ARRAY = <redacted>\n"],
  ])("takes the right-hand side of an EXPECTED constant: %s", async (_shape, source, wanted) => {
    expect(await clean(source)).toBe(wanted);
  });

  it("leaves look-alikes in strings, docstrings and code alone", async () => {
    const source = [
      '"""Checks the report."""',
      "import json, subprocess",
      'HELP = "write EXPECTED = value into the file"',
      "def load(path):",
      '    """Reads what EXPECTED describes."""',
      "    # EXPECTED comes later",
      '    with open("/app/report.json", encoding="utf-8") as handle:',
      "        return json.load(handle)",
      'run = subprocess.run(["python3", "/app/main.py"], capture_output=True, timeout=60)',
      'if __name__ == "__main__":',
      "    load(run)",
      "",
    ].join("\n");
    expect(await clean(source)).toBe(source);
  });

  it.each([
    ["comparison", "assert total == 42", "assert total == <redacted>"],
    ["comparison with a sign and a unit", "assert -4.2 <= f(x) * 10 < 7", "assert <redacted> <= f(x) * <redacted> < <redacted>"],
    ["membership", 'assert name in ("alpha", "beta")', "assert name in <redacted>"],
    ["condition", 'if out.startswith("The answer"):\n    pass', "if out.startswith(<redacted>):\n    pass"],
    ["negated condition", 'ready = not out.endswith("ok")', "ready = not out.endswith(<redacted>)"],
    ["filter", "rows = [r for r in data if r.n > 3]", "rows = [r for r in data if r.n > <redacted>]"],
    ["message", 'assert ok, f"wanted 7 rows, got {n}"', "assert ok, <redacted>"],
    ["raised message", 'raise AssertionError("wanted seven")', "raise AssertionError(<redacted>)"],
    ["unittest", 'self.assertEqual(total, 42, "sum")', "self.assertEqual(total, <redacted>, <redacted>)"],
    ["pytest.approx", "x = pytest.approx(0.5, abs=1)", "x = pytest.approx(<redacted>, abs=<redacted>)"],
    ["math.isclose", "ok = math.isclose(x, 0.5)", "ok = math.isclose(x, <redacted>)"],
    [
      "parametrize",
      '@pytest.mark.parametrize("a, b", [(1, 2), (3, x)], ids=["p", "q"])\ndef test_it(a, b): ...',
      '@pytest.mark.parametrize("a, b", [<redacted>, (<redacted>, x)], ids=<redacted>)\ndef test_it(a, b): ...',
    ],
    ["pattern", 'match out:\n    case "yes" | 7:\n        pass', "match out:\n    case <redacted> | <redacted>:\n        pass"],
    ["choice", "x = 1 if n == 3 else 2", "x = <redacted> if n == <redacted> else <redacted>"],
    ["walrus", "if (n := 3) > 2:\n    pass", "if (n := <redacted>) > <redacted>:\n    pass"],
    ["report row", 'results.append(("sum is right", total == 7))', "results.append((<redacted>, total == <redacted>))"],
    ["comment", "x = y  # should be 7", "x = y  # <redacted>"],
    ["docstring", 'def f():\n    """Wants \'seven\' rows."""', "def f():\n    <redacted>"],
    ["keyword", "Case(expected=5)", "Case(expected=<redacted>)"],
    ["key", 'case = {"input": name, "expected": 5}', 'case = {"input": name, "expected": <redacted>}'],
    ["parameter", "def check(rows, expected=5): ...", "def check(rows, expected=<redacted>): ..."],
  ])("takes the literals of a %s", async (_place, source, wanted) => {
    expect(await clean(`${source}\n`)).toBe(`${wanted}\n`);
  });

  it.each([
    ["a constant with any name", "N = 42\nassert len(rows) == N", "N = <redacted>"],
    ["a sum of constants", "LOW = 3\nHIGH = LOW + 4\nassert LOW < x < HIGH", "LOW = <redacted>\nHIGH = LOW + <redacted>"],
    ["a loop", 'CASES = {"alpha": 1}\nfor key, value in CASES.items():\n    assert out[key] == value', "CASES = <redacted>"],
    ["a sorted list of names", 'names = ["a.txt", "b.txt"]\nassert sorted(found) == sorted(names)', "names = <redacted>"],
    ["a difference", "diff = abs(x - 42)\nassert diff < tolerance", "diff = abs(x - <redacted>)"],
    ["a function's result", "def total():\n    return 42\nassert x == total()", "    return <redacted>"],
    ["a helper's parameter", "def close(a, b):\n    return a == b\nok = close(out, 42)", "close(out, <redacted>)"],
    ["a filled list", "want = []\nwant.append(42)\nassert out == want", "want.append(<redacted>)"],
    ["a record's field", "class Case:\n    size: int\nc = Case(42)\nassert out.size == c.size", "c = Case(<redacted>)"],
  ])("follows a compared name back through %s", async (_way, source, wanted) => {
    const text = await clean(`${source}\n`);
    expect(text).toContain(wanted);
    expect(text).not.toMatch(/42/);
  });

  it("keeps paths that are read, not those that are compared", async () => {
    const source =
      'REPORT = Path("/app/report.json")\ndata = json.loads(REPORT.read_text())\nassert data["n"] == 3\nassert data["where"] == "/var/answer"\n';
    expect(await clean(source)).toBe(
      'REPORT = Path("/app/report.json")\ndata = json.loads(REPORT.read_text())\nassert data[<redacted>] == <redacted>\nassert data[<redacted>] == <redacted>\n',
    );
  });

  it("takes a redacted text and its number wherever they stand again, in names too", async () => {
    const source =
      'EXPECTED = "seven dwarfs"\nprint("want seven dwarfs")\nprint("want 0.68885")\nscript = "assert x == 68885"\ndef test_total_is_68885(): ...\nassert x == 0.68885\n';
    const text = await clean(source);
    expect(text).not.toMatch(/dwarfs|6888/);
    expect(text).toContain("def test_total_is_<redacted>(): ...");
  });

  it.each(["def f(:\n    assert x == 0.68885\n", 'x = "open\n', "if True:\nassert 0.68885\n  (", "x = 5\u0000"])(
    "withholds a file that does not parse: %j",
    async (source) => {
      expect(await redactPython(source)).toEqual({ text: null, redactions: 0, withheld: true });
    },
  );

  it("counts what it took and finds its places behind characters of two units", async () => {
    expect(await redactPython('"""é 😀"""\nassert x == "😀😀"\n')).toEqual({
      text: '"""é 😀"""\nassert x == <redacted>\n',
      redactions: 1,
      withheld: false,
    });
  });

  it("does not take two numbers with a comma between them for one", async () => {
    expect(await clean("for i in range(10,200):\n    print(i)\n")).toBe("for i in range(10,200):\n    print(i)\n");
  });

  it("takes files without anything to take, and empty ones, as they are", async () => {
    expect(await redactPython("")).toEqual({ text: "", redactions: 0, withheld: false });
    expect(await redactPython("import os\n")).toEqual({ text: "import os\n", redactions: 0, withheld: false });
  });

  it("does not overflow on deep nesting and long sums", async () => {
    const { text } = await redactPython(
      `assert x == ${"(".repeat(400)}1${")".repeat(400)}\ny = ${Array.from({ length: 4000 }, () => "1").join(" + ")}\nassert y\n`,
    );
    expect(text).toMatch(/^assert x == <redacted>\ny = <redacted>/);
  });

  // Number and quoted string as the gate takes them for answers.
  const number = fc.oneof(
    fc.integer({ min: 1000, max: 9_999_999 }).map(String),
    fc.integer({ min: 1000, max: 9_999_999 }).map((value) => `0.${value}`),
    fc.integer({ min: 10_000, max: 9_999_999 }).map((value) => `${String(value).slice(0, 2)}_${String(value).slice(2)}`),
    fc.tuple(fc.integer({ min: 101, max: 999 }), fc.integer({ min: 11, max: 99 })).map(([whole, part]) => `${whole}.${part}e-3`),
    fc.integer({ min: 0x100000, max: 0xffffff }).map((value) => `0x${value.toString(16)}`),
  );
  const quoted = fc
    .string({ unit: fc.constantFrom(..."abcdefg hij/.-"), minLength: 8, maxLength: 20 })
    .filter((text) => text.trim().length >= 8)
    .chain((text) =>
      fc
        .constantFrom(`"${text}"`, `'${text}'`, `"""${text}"""`, `r"${text}"`, `f"${text}{x}"`, `b"${text}"`)
        .map((literal) => ({ literal, content: text })),
    );
  const place = fc.constantFrom<(literal: string) => string>(
    (v) => `assert x == ${v}`,
    (v) => `assert ${v} in x, "no ${v.replace(/\W/g, "")}"`,
    (v) => `assert x["k"] == {"k": [${v}, (y, ${v})]}`,
    (v) => `ok = x != ${v} and y`,
    (v) => `while not (x < ${v}):\n    break`,
    (v) => `self.assertIn(${v}, x)`,
    (v) => `np.testing.assert_allclose(x, [${v}, y], rtol=1)`,
    (v) => `EXPECTED = {"k": ${v}}`,
    (v) => `class Gold:\n    a = b = ${v}`,
    (v) => `value: object = ${v}\nassert x == value`,
    (v) => `for item in [${v}, y]:\n    assert item != x`,
    (v) => `@pytest.mark.parametrize("a", [${v}, y])\ndef test_a(a):\n    assert a`,
    (v) => `async def f(a, b=${v}):\n    return [c for c in a if c == b]`,
    (v) => `if x == ${v}: raise ValueError(f"{x} is not {${v.startsWith("f") || /["']/.test(v) ? "y" : v}}")`,
    (v) => `assert re.fullmatch(${v}, x)`,
    (v) => `def same(a, b):\n    assert a == b\nsame(x, ${v})`,
  );

  it("lets no number of four or more significant digits and no quoted string of eight or more characters of a comparison through", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(place, number, place, quoted), { minLength: 1, maxLength: 4 }), async (parts) => {
        const source = parts.map(([put, value, putText, text]) => `${put(value)}\n${putText(text.literal)}\n`).join("");
        const text = await clean(source);
        for (const [, value, , { content }] of parts) {
          expect(text).not.toContain(value);
          expect(text).not.toContain(value.replace(/[._]/g, ""));
          expect(text).not.toContain(content);
        }
      }),
      { numRuns: 300 },
    );
  });
});
