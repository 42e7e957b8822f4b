import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import type { ImageRef } from "../../../tools/sandbox/sandbox.js";
import { createScriptedProvider, type ScriptedOptions } from "../../../tools/sandbox/scripted.js";

const root = mkdtempSync(join(tmpdir(), "spark-scripted-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const image: ImageRef = { id: "scripted", name: "scripted", workdir: "/app", user: "" };
const box = { run: "r", env: {}, network: "none" as const, leaseMs: 0, image };
const start = async (options: ScriptedOptions) => {
  const provider = createScriptedProvider(options);
  return { provider, sandbox: await provider.create({ ...box, name: "agent" }) };
};
const text = (bytes: Uint8Array | null): string => (bytes === null ? "(none)" : Buffer.from(bytes).toString());

describe("createScriptedProvider", () => {
  it("drives a whole attempt: commands, files they leave, snapshot, judge, reward", async () => {
    const { provider, sandbox } = await start({
      files: { "/app/in.txt": "in" },
      commands: [
        { match: "cat in.txt", result: "in" },
        { match: /solve\.sh/, result: { exitCode: 1, stderr: "no", files: { "/app/out.txt": "answer", "/app/in.txt": null } } },
      ],
      rewards: [1, { "reward.txt": "0.5\n", "ctrf.json": "{}" }],
    });
    await sandbox.exec("mkdir -p /logs/agent /logs/verifier && chmod 777 /logs/agent");
    expect(text((await sandbox.exec("cat in.txt")).stdout)).toBe("in");
    expect(await (await sandbox.openShell()).run("(/solution/solve.sh) > /logs/agent/oracle.txt 2>&1")).toMatchObject({
      exitCode: 1,
      timedOut: false,
    });
    const { snapshot, changes } = await sandbox.snapshot("s");
    expect(changes).toEqual([
      { path: "/app/out.txt", kind: "added" },
      { path: "/app/in.txt", kind: "deleted" },
    ]);
    await sandbox.close();
    for (const reward of ["1\n", "0.5\n"]) {
      const { sandbox: judge } = await provider.judge({ ...box, name: "judge", snapshot, testsDir: root });
      expect(text(await judge.readFile("/app/out.txt"))).toBe("answer");
      await judge.exec("rm -rf /tests /logs/verifier && mkdir -p /tests /logs/verifier");
      await judge.exec("(/tests/test.sh) > /logs/verifier/test-stdout.txt 2>&1");
      expect(text(await judge.readFile("/logs/verifier/reward.txt"))).toBe(reward);
      await judge.copyOut("/logs/verifier", join(root, "verifier"), { maxFiles: 10, maxBytes: 1000 });
      expect(readFileSync(join(root, "verifier/reward.txt"), "utf8")).toBe(reward);
    }
  });

  it.each([
    ["a command that no entry matches", {}, "ls"],
    ["a call past the end of a list", { commands: [{ match: "ls", result: [] }] }, "ls"],
    ["a verification past the scripted rewards", { rewards: [] }, "(/tests/test.sh) > /logs/verifier/test-stdout.txt 2>&1"],
    ["a command hidden behind housekeeping", {}, "mkdir -p /a && curl http://x"],
  ])("fails loudly on %s", async (_, options, command) => {
    const { sandbox } = await start(options);
    await expect(sandbox.exec(command)).rejects.toMatchObject({ code: "internal", message: expect.stringContaining("unscripted") });
  });

  it("gives the results of a list in order and tells a time-out", async () => {
    const { sandbox } = await start({ commands: [{ match: /^run/, result: ["first", { timedOut: true, stdout: "partial" }] }] });
    expect(text((await sandbox.exec("run 1")).stdout)).toBe("first");
    expect(await sandbox.exec("run 2")).toMatchObject({ exitCode: null, timedOut: true, totalBytes: 7 });
  });

  it("empties the verifier's folder as the real thing does, so that an agent's own reward does not count", async () => {
    const { sandbox } = await start({ commands: [{ match: "cheat", result: { files: { "/logs/verifier/reward.txt": "1" } } }] });
    await sandbox.exec("cheat");
    await sandbox.exec("rm -rf /tests /logs/verifier && mkdir -p /tests /logs/verifier");
    expect(await sandbox.readFile("/logs/verifier/reward.txt")).toBe(null);
  });

  it("is lost after close and found until then", async () => {
    const { provider, sandbox } = await start({});
    expect((await provider.find("agent"))?.id).toBe("agent");
    await sandbox.close();
    expect(await provider.find("agent")).toBe(null);
    await expect(sandbox.readFile("/a")).rejects.toMatchObject({ code: "sandbox-lost" });
  });
});
