import { describe, expect, it } from "vitest";
import { baseImages, buildKitReason, withoutSyntax } from "../../../tools/sandbox/docker-dockerfile.js";

describe("which builder a Dockerfile needs", () => {
  it.each([
    ["FROM a\nRUN echo one && \\\n  # comment\n  echo two\nCOPY a b\n", null],
    ["FROM a\nRUN --mount=type=cache,target=/c x\n", "RUN --mount"],
    ["FROM a\nRUN --network=none x\n", "RUN --network"],
    ["FROM a\nCOPY --chmod=755 a b\n", "COPY --chmod"],
    ["FROM a\nCOPY --from=x --link a b\n", "COPY --link"],
    ["FROM a\nADD --checksum=sha256:1 u b\n", "ADD --checksum"],
    ["FROM a\nRUN <<EOF\nRUN --mount=x\nEOF\n", "RUN with a here-document"],
    ["FROM a\nCOPY <<'END' /file\ntext\nEND\n", "COPY with a here-document"],
    ["# syntax=docker/dockerfile:1\nFROM a\n", "# syntax"],
    ["FROM a\n# syntax=docker/dockerfile:1\n", null],
    ["FROM a\nRUN echo '--mount is a word here'\n", null],
    ["FROM a\nCOPY --chown=1:1 a b\n", null],
    ["from a\nrun --mount=type=cache,target=/c x\n", "RUN --mount"],
  ])("%j → %s", (text, reason) => {
    expect(buildKitReason(text)).toBe(reason);
  });
});

describe("which images a Dockerfile starts from", () => {
  it.each([
    ["FROM python:3.12-slim\n", ["python:3.12-slim"]],
    ["ARG V=3.12\nARG NAME=python\nFROM ${NAME}:${V}-slim\n", ["python:3.12-slim"]],
    ["ARG V\nFROM python:${V:-3.11}\n", ["python:3.11"]],
    ["ARG V\nFROM python:$V\n", []],
    [
      "FROM --platform=linux/amd64 a:1 AS build\nFROM build AS two\nFROM scratch\nCOPY --from=build x y\nCOPY --from=0 x y\nCOPY --from=tool:2 x y\n",
      ["a:1", "tool:2"],
    ],
    ['ARG IMAGE="quoted:1"\nFROM $IMAGE\n', ["quoted:1"]],
    ["FROM a\nRUN cat <<EOF\nFROM not-this\nEOF\n", ["a"]],
    ["FROM a \\\n  AS b\nFROM b\n", ["a"]],
  ])("%j → %j", (text, images) => {
    expect(baseImages(text).map((base) => base.image)).toEqual(images);
  });
  it("with the line they stand on", () => {
    expect(baseImages("# c\n\nFROM a\nRUN x \\\n y\nFROM b\n")).toEqual([
      { image: "a", line: 3 },
      { image: "b", line: 6 },
    ]);
  });
});

describe("reading a Dockerfile", () => {
  it("makes a syntax line an empty comment, so that line numbers stay", () => {
    expect(withoutSyntax("# syntax = docker/dockerfile:1.7\nFROM a\n")).toBe("#\nFROM a\n");
    expect(withoutSyntax("FROM a\n")).toBe(null);
  });
});
