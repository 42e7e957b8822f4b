import { describe, expect, it } from "vitest";
import { environmentPairs, needsDocker, readDockerfile } from "../../../formats/dockerfile.js";

const only = (text: string, keyword: string) => readDockerfile(text).instructions.find((instruction) => instruction.keyword === keyword)!;

describe("readDockerfile", () => {
  it("joins continuation lines, drops comments inside them and keeps the line on which the instruction begins", () => {
    const { instructions } = readDockerfile("# a comment\nFROM x\n\nENV A=1 \\\n  # why\n  B=2\nWORKDIR /app\n");
    expect(instructions.map(({ line, keyword, words }) => [line, keyword, words])).toEqual([
      [2, "FROM", ["x"]],
      [4, "ENV", ["A=1", "B=2"]],
      [7, "WORKDIR", ["/app"]],
    ]);
  });

  it("replaces ARG and ENV where Docker does and leaves RUN to the shell", () => {
    const text =
      'ARG BASE=python\nARG TAG=3.12\nFROM ${BASE}:$TAG-slim\nARG TAG\nENV DIR=/srv/$TAG EMPTY=${NONE} D=${NONE:-d}\nWORKDIR ${DIR}\nRUN echo $DIR\nCOPY ["a b", "$DIR/"]\n';
    expect(only(text, "FROM").words).toEqual(["python:3.12-slim"]);
    expect(only(text, "ENV").words).toEqual(["DIR=/srv/3.12", "EMPTY=", "D=d"]);
    expect(only(text, "WORKDIR").words).toEqual(["/srv/3.12"]);
    expect(only(text, "RUN").words).toEqual(["echo", "$DIR"]);
    expect(only(text, "COPY").words).toEqual(["a b", "/srv/3.12/"]);
  });

  it("uses the arguments before the first FROM in a later FROM, not the stage's own", () => {
    const { instructions } = readDockerfile("ARG T=1\nFROM a:$T\nARG T=9\nFROM b:$T\n");
    expect(instructions.filter(({ keyword }) => keyword === "FROM").map(({ words }) => words[0])).toEqual(["a:1", "b:1"]);
  });

  it("reads both forms of ENV, quotes and escaped variables", () => {
    expect(environmentPairs(only("FROM x\nENV GREETING hello big world\n", "ENV"))).toEqual([["GREETING", "hello big world"]]);
    expect(environmentPairs(only("FROM x\nENV A=\"b c\" D=e\\ f G='$H' I=\\$J\n", "ENV"))).toEqual([
      ["A", "b c"],
      ["D", "e f"],
      ["G", "$H"],
      ["I", "$J"],
    ]);
  });

  it("keeps here-documents apart, so that their lines are no instructions", () => {
    const { instructions } = readDockerfile("FROM x\nRUN <<EOF\nUSER nobody\nEOF\nCOPY <<-'A' <<B /dst/\n\tone\n\tA\ntwo\nB\nWORKDIR /a\n");
    expect(instructions.map(({ keyword, line }) => [keyword, line])).toEqual([
      ["FROM", 1],
      ["RUN", 2],
      ["COPY", 5],
      ["WORKDIR", 10],
    ]);
    expect(instructions[2]!.heredocs).toEqual([
      { delimiter: "A", text: "one\n" },
      { delimiter: "B", text: "two\n" },
    ]);
  });

  it("honours the escape directive and stops reading directives at the first other line", () => {
    const file = readDockerfile("# escape=`\n# just words\n# syntax=late\nFROM x `\n  AS y\n");
    expect(file.directives).toEqual({ escape: "`" });
    expect(file.instructions[0]!.words).toEqual(["x", "AS", "y"]);
  });

  it("takes flags off COPY and reads Windows line ends and a byte order mark", () => {
    const copy = only("\uFEFFFROM x\r\nCOPY --chown=1:1 --link a /b/\r\n", "COPY");
    expect(copy.flags).toEqual({ chown: "1:1", link: true });
    expect(copy.words).toEqual(["a", "/b/"]);
  });
});

describe("needsDocker", () => {
  it.each([
    ["FROM x\nWORKDIR /a\nCOPY . .\nENV A=1\nARG B\n", null],
    ["FROM x\n\nRUN apt-get update\n", { line: 3, text: "RUN apt-get update" }],
    ["FROM x AS a\nFROM y\nCOPY --from=a /x /y\n", { line: 2, text: "FROM y" }],
    ["FROM x\nCOPY --from=other /x /y\n", { line: 2, text: "COPY --from=other /x /y" }],
    ["FROM x\nUSER agent\n", { line: 2, text: "USER agent" }],
    ["FROM x\nCOPY <<EOF /a\nhi\nEOF\n", { line: 2, text: "COPY <<EOF /a" }],
    ['FROM x\nENTRYPOINT ["/e"]\n', { line: 2, text: 'ENTRYPOINT ["/e"]' }],
  ])("of %j is %j", (text, expected) => {
    expect(needsDocker(readDockerfile(text))).toEqual(expected);
  });
});
