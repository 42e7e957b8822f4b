import { describe, expect, it } from "vitest";
import { fencedBlocks } from "../../../formats/markdown-fences.js";

const blocks = (text: string) => fencedBlocks(text.split("\n"));

describe("fencedBlocks", () => {
  it("closes a fence by the same character, at least as long, with nothing behind it", () => {
    expect(blocks("````md\n```sh\nls\n```\n~~~\n````\n~~~~\nx\n~~~~~")).toEqual([
      { open: 0, close: 5, fence: "````", info: "md" },
      { open: 6, close: 8, fence: "~~~~", info: "" },
    ]);
  });

  it("leaves a block open when the text ends inside it or only an opening fence follows", () => {
    expect(blocks("```py\nx = 1\n```py").map(({ close }) => close)).toEqual([null]);
    expect(blocks("```py\nx = 1\n~~~").map(({ close }) => close)).toEqual([null]);
  });

  it("counts fences in lists and quotations, and no code span of one line", () => {
    expect(blocks("1. ```sh\n   ls\n   ```\n> ```\n> a\n> ```\n```inline```")).toEqual([
      { open: 0, close: 2, fence: "```", info: "sh" },
      { open: 3, close: 5, fence: "```", info: "" },
    ]);
  });
});
