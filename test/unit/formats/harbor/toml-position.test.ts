import { describe, expect, it } from "vitest";
import { tomlPosition } from "../../../../formats/harbor/toml-position.js";

const TEXT = `# head [not.a.table]
title = "a [b] # c" # comment
"quoted key" = 1
'a.b' = 2
dotted.inner . deep = 3
text = """
[fake]
x = 1 \\"""
""" # behind
raw = '''
[fake2]
y''''

list = [
  1, # one ]
  { name = "x", value = [2, 3] },
]
[table] # [[other]]
  indented = true
point = { x = 1, "y z" = { w = 2 } }
date = 1979-05-27T07:32:00Z
[table.sub]
key = "v"
[[many]]
name = "first"
[[many]]
name = "second"
[many.inner]
key = 1
[[many.list]]
key = 2
`;

describe("tomlPosition", () => {
  it.each([
    [["title"], 2, 1],
    [["quoted key"], 3, 1],
    [["a.b"], 4, 1],
    [["dotted", "inner", "deep"], 5, 1],
    [["text"], 6, 1],
    [["raw"], 10, 1],
    [["list"], 14, 1],
    [["list", 0], 15, 3],
    [["list", 1, "value", 1], 16, 29],
    [["list", 1, "name"], 16, 5],
    [["table"], 18, 1],
    [["table", "indented"], 19, 3],
    [["table", "point", "y z", "w"], 20, 28],
    [["table", "date"], 21, 1],
    [["table", "sub", "key"], 23, 1],
    [["many", 0, "name"], 25, 1],
    [["many", 1], 26, 1],
    [["many", 1, "name"], 27, 1],
    [["many", 1, "inner", "key"], 29, 1],
    [["many", 1, "list", 0, "key"], 31, 1],
  ])("finds %j at %i:%i", (path, line, column) => {
    expect(tomlPosition(TEXT, path)).toEqual({ line, column });
  });

  it("gives the nearest parent of a key that is not there", () => {
    expect(tomlPosition(TEXT, ["table", "sub", "missing", "deeper"])).toEqual({ line: 22, column: 1 });
    expect(tomlPosition(TEXT, ["fake", "x"])).toEqual({ line: 1, column: 1 });
    expect(tomlPosition("", ["a"])).toEqual({ line: 1, column: 1 });
  });

  it("counts columns after Windows line ends and comments at the end of the file", () => {
    expect(tomlPosition("a = 1\r\n  b = 2\r\n[c]\r\nd = 3\r\n# end", ["c", "d"])).toEqual({ line: 4, column: 1 });
    expect(tomlPosition("a = 1\r\n  b = 2", ["b"])).toEqual({ line: 2, column: 3 });
  });
});
