import { describe, expect, it } from "vitest";
import { errorKinds, messageOf, SparkError } from "../../../state/errors.js";

describe("SparkError", () => {
  it("carries code, kind, message and cause", () => {
    const cause = new Error("ENOSPC");
    const error = new SparkError("cannot write x: disk full; free space", { code: "disk", cause });
    expect(error).toMatchObject({
      name: "SparkError",
      code: "disk",
      kind: "environment",
      message: "cannot write x: disk full; free space",
      cause,
    });
    expect("cause" in new SparkError("x", { code: "internal" })).toBe(false);
  });

  it("is known across two copies of the package, and nothing else is taken for it", () => {
    const twin = Object.assign(new Error("x"), { [Symbol.for("spark-skills.error")]: true });
    expect(SparkError.isInstance(twin)).toBe(true);
    for (const other of [null, undefined, "text", 3, {}, new Error("x"), { code: "disk" }])
      expect(SparkError.isInstance(other)).toBe(false);
  });

  it("gives every code a kind that has an exit code", () => {
    expect(new Set(Object.values(errorKinds))).toEqual(new Set(["usage", "provider", "environment", "budget", "signal", "error"]));
  });
});

describe("messageOf", () => {
  it("is the text of anything that was thrown", () => {
    expect([messageOf(new Error("a")), messageOf("b"), messageOf(undefined), messageOf({ toString: () => "c" })]).toEqual([
      "a",
      "b",
      "undefined",
      "c",
    ]);
  });
});
