import { describe, expect, it } from "vitest";
import { parseTaskToml } from "../../../../formats/harbor/read-task.js";
import { newTaskToml, rewriteTaskToml } from "../../../../formats/harbor/write-task.js";

describe("rewriteTaskToml", () => {
  const text =
    'version = "1.0"\nartifacts = ["/a"]\n\n[agent]\ntimeout_sec = 900.0\nmood = "calm"\n\n[environment]\ncpus = 1\nmemory_mb = 2048\n\n[metadata]\nseed = 9223372036854775807\nwhen = 1979-05-27T07:32:00Z\n';

  it("keeps unknown keys, floats as floats, integers as integers and dates", () => {
    const written = rewriteTaskToml(text, (table) => {
      (table.environment as Record<string, unknown>).cpus = 4n;
    });
    for (const line of ["timeout_sec = 900.0", 'mood = "calm"', "cpus = 4", "memory_mb = 2048", "seed = 9223372036854775807"])
      expect(written.split("\n")).toContain(line);
    expect(written).toMatch(/when = 1979-05-27T07:32:00(\.000)?Z/);
  });

  it("writes root keys before the first table, so that the file means the same", () => {
    const again = parseTaskToml(
      rewriteTaskToml(text, () => undefined),
      "x",
    ).config;
    expect(again).toEqual(parseTaskToml(text, "x").config);
  });
});

describe("newTaskToml", () => {
  it("is a file of schema 1.0 with float limits that we read back", () => {
    const text = newTaskToml({ metadata: { tags: ['quote " and \\ and \u0001'] }, agentTimeoutSec: 30, internet: false });
    expect(text).toContain("timeout_sec = 30.0");
    expect(text).toContain("cpus = 1\n");
    const { config } = parseTaskToml(text, "x");
    expect(config.schemaVersion).toBe("1.0");
    expect(config.environment).toMatchObject({ networkMode: "no-network", cpus: 1, memoryMb: 2048 });
    expect(config.metadata.tags).toEqual(['quote " and \\ and \u0001']);
  });

  it("refuses limits that no trial could keep", () => {
    expect(() => newTaskToml({ agentTimeoutSec: 0 })).toThrow(expect.objectContaining({ code: "task-invalid" }) as Error);
    expect(() => newTaskToml({ cpus: 0.5 })).toThrow(/environment\.cpus must be a whole number/);
  });
});
