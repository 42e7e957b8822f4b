import { describe, expect, it } from "vitest";
import { memoHeadings, memoSection } from "../../../state/memo.js";

const memo = "## Memo\r\n\r\n### Verified Facts\r\n- one\r\n#### detail\r\n- two\r\n\r\n### Next Strategy\r\ngo on";

describe("memoSection", () => {
  it("is the text from a section's heading to the next, deeper headings included", () => {
    expect(memoSection(memo, "Verified Facts")).toBe("- one\n#### detail\n- two");
  });

  it("is the rest of the memo for the last section", () => {
    expect(memoSection(memo, "Next Strategy")).toBe("go on");
  });

  it("is empty for a section that is missing, and for error text", () => {
    expect(memoSection(memo, "Current Error Pattern")).toBe("");
    expect(memoSection("Error code: 502 ### Verified Facts", "Verified Facts")).toBe("");
  });
});

describe("memoHeadings", () => {
  it("lists the third-level headings in order, other levels left out", () => {
    expect(memoHeadings(memo)).toEqual(["Verified Facts", "Next Strategy"]);
  });
});
