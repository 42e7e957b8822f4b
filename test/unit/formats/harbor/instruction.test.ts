import { describe, expect, it } from "vitest";
import { stripCanary } from "../../../../formats/harbor/instruction.js";

describe("stripCanary", () => {
  it("drops leading canary comments of both kinds and the blank lines after them", () => {
    expect(stripCanary("<!-- BENCH CANARY x -->\n  # canary GUID 1  \n\n \nDo it.\n")).toBe("Do it.\n");
  });
  it("changes nothing else", () => {
    for (const text of ["Do it.\n\n# canary\n", "\n# canary\nDo it.", "<!-- note -->\nDo it.", "canary\n", ""])
      expect(stripCanary(text)).toBe(text);
  });
  it("copes with Windows line ends", () => {
    expect(stripCanary("# canary\r\n\r\nDo it.\r\n")).toBe("Do it.\r\n");
  });
});
