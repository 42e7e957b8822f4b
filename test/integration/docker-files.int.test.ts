import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Sandbox } from "../../tools/sandbox/sandbox.js";
import { createBox, noDocker, provider, testRun, text } from "./docker-engine.js";

const run = testRun("files");
const limits = { maxFiles: 1000, maxBytes: 10_000_000 };

describe.skipIf(noDocker)("files of a Docker sandbox, whose content is hostile (sandbox.md 3)", () => {
  let box: Sandbox;
  let host: string;
  const sh = async (command: string): Promise<string> => {
    const result = await box.exec(command);
    expect({ command, code: result.exitCode, err: text(result.stderr) }).toEqual({ command, code: 0, err: "" });
    return text(result.stdout);
  };
  beforeAll(async () => {
    box = await createBox(run, "box");
  });
  afterAll(async () => {
    await provider.removeRun(run);
  });
  beforeEach(() => {
    host = mkdtempSync(join(tmpdir(), "spark-files-"));
    return () => rmSync(host, { recursive: true, force: true });
  });

  it("a file that is written replaces a link at its place and leaves the link's target alone", async () => {
    await sh("echo precious >/etc/target; ln -sf /etc/target /app/link");
    await box.writeFiles([{ path: "/app/link", data: Buffer.from("new") }]);
    expect(await sh("cat /etc/target; test -L /app/link || cat /app/link")).toBe("precious\nnew");
  });

  it("written files have the owner and the mode that they are given", async () => {
    await box.writeFiles([{ path: "/app/owned/file", data: Buffer.from(""), mode: 0o640, uid: 1000, gid: 1000 }]);
    expect(await sh("stat -c '%u %g %a' /app/owned/file /app/owned")).toBe("1000 1000 640\n0 0 755\n");
  });

  it("a planted /tests -> /etc does not redirect what is copied in, replacing or not", async () => {
    writeFileSync(join(host, "passwd"), "forged");
    for (const replace of [true, false]) {
      await sh("rm -rf /tests; ln -s /etc /tests");
      await box.copyIn(host, "/tests", { replace });
      expect(await sh("test -L /tests || cat /tests/passwd; head -c 5 /etc/passwd")).toBe("forgedroot:");
    }
  });

  it("a link planted below the target is replaced as well", async () => {
    mkdirSync(join(host, "sub"));
    writeFileSync(join(host, "sub/file"), "mine");
    await sh("rm -rf /tests /elsewhere; mkdir /tests /elsewhere; ln -s /elsewhere /tests/sub");
    await box.copyIn(host, "/tests");
    expect(await sh("ls -A /elsewhere; cat /tests/sub/file")).toBe("mine");
  });

  it("copying in keeps modes, makes everything root's, leaves out links of the host, and keeps an existing directory's owner", async () => {
    writeFileSync(join(host, "run.sh"), "#!/bin/sh\n");
    chmodSync(join(host, "run.sh"), 0o755);
    symlinkSync("/etc/passwd", join(host, "leak"));
    await sh("rm -rf /app/in; mkdir /app/in; chown 1000:1000 /app/in; chmod 700 /app/in");
    await box.copyIn(host, "/app/in");
    expect(await sh("ls -A /app/in; stat -c '%u %a' /app/in /app/in/run.sh")).toBe("run.sh\n1000 700\n0 755\n");
  });

  it("names of 200 letters, in several alphabets and with spaces go both ways", async () => {
    const names = [`${"x".repeat(200)}.txt`, "ein Gruß 漢字.txt", `${"d".repeat(120)}/${"e".repeat(120)}/f`];
    for (const name of names) {
      mkdirSync(join(host, "in", name, ".."), { recursive: true });
      writeFileSync(join(host, "in", name), name);
    }
    await box.copyIn(join(host, "in"), "/app/names", { replace: true });
    const report = await box.copyOut("/app/names", join(host, "out"), limits);
    expect(report).toMatchObject({ files: 3, skipped: [] });
    for (const name of names) expect(readFileSync(join(host, "out", name), "utf8")).toBe(name);
  });

  it("links, pipes and devices are left out by name, the files beside them come", async () => {
    await sh(
      "rm -rf /app/mix; mkdir -p /app/mix/sub; cd /app/mix; echo a >a; echo b >sub/b; ln -s /etc/passwd link; ln -s /etc dirlink; mkfifo pipe; ln a hard; chmod 4755 a; python3 -c \"import socket;s=socket.socket(socket.AF_UNIX);s.bind('sock')\"",
    );
    const report = await box.copyOut("/app/mix", host, limits);
    const why = Object.fromEntries(report.skipped.map((skipped) => [skipped.path, skipped.why]));
    expect(why["/app/mix/link"]).toBe("link");
    expect(why["/app/mix/dirlink"]).toBe("link");
    expect(why["/app/mix/pipe"]).toBe("device");
    expect(readFileSync(join(host, "a"), "utf8")).toBe("a\n");
    expect(lstatSync(join(host, "a")).mode & 0o7777).toBe(0o755);
    expect(readFileSync(join(host, "sub/b"), "utf8")).toBe("b\n");
    expect(readdirSync(host).sort()).toEqual(["a", "sub"]);
  });

  it("a sparse file of 5 GB ends the copy at the limit instead of filling the disk", async () => {
    await sh("rm -rf /app/sparse; mkdir /app/sparse; echo first >/app/sparse/a; truncate -s 5G /app/sparse/b");
    const report = await box.copyOut("/app/sparse", host, limits);
    expect(report).toMatchObject({ files: 1, bytes: 6 });
    expect(report.skipped[0]).toMatchObject({ path: "/app/sparse/b" });
    expect(report.skipped[0]!.why).toContain("too large");
    await expect(box.readFile("/app/sparse/b", { maxBytes: 1000 })).rejects.toMatchObject({ code: "sandbox-failed" });
    expect((await box.exec("echo on")).exitCode).toBe(0);
  });

  it("too many files end the copy", async () => {
    await sh("rm -rf /app/count; mkdir /app/count; cd /app/count; for i in $(seq 50); do : >$i; done");
    const report = await box.copyOut("/app/count", host, { maxFiles: 10, maxBytes: 1000 });
    expect(report.files).toBe(10);
    expect(report.skipped[0]!.why).toContain("more than 10 files");
  });

  it("a path that is a link is not followed, a single file arrives under its name, a missing one is named", async () => {
    await sh("ln -sfn /etc /app/outside; echo one >/app/one.json");
    expect(await box.copyOut("/app/outside", host, limits)).toMatchObject({ files: 0, skipped: [{ path: "/app/outside", why: "link" }] });
    expect(await box.copyOut("/app/one.json", host, limits)).toMatchObject({ files: 1, skipped: [] });
    expect(readFileSync(join(host, "one.json"), "utf8")).toBe("one\n");
    expect(await box.copyOut("/app/none", host, limits)).toMatchObject({ files: 0, skipped: [{ path: "/app/none", why: "missing" }] });
    expect(await box.readFile("/app/outside")).toBe(null);
    expect(text((await box.readFile("/app/one.json"))!)).toBe("one\n");
  });

  it("a second copy replaces the first", async () => {
    await sh("rm -rf /app/twice; mkdir /app/twice; echo one >/app/twice/f");
    await box.copyOut("/app/twice", host, limits);
    await sh("echo two >/app/twice/f");
    expect(await box.copyOut("/app/twice", host, limits)).toMatchObject({ files: 1, skipped: [] });
    expect(readFileSync(join(host, "f"), "utf8")).toBe("two\n");
  });

  it("a name with ../ is refused by the engine and a relative path by us", async () => {
    await expect(box.writeFiles([{ path: "relative/file", data: Buffer.from("") }])).rejects.toMatchObject({ code: "internal" });
    await box.writeFiles([{ path: "/app/../app/normal", data: Buffer.from("n") }]);
    expect(await sh("cat /app/normal")).toBe("n");
  });

  it("reading from a pipe of the agent's does not hang", async () => {
    await sh("rm -f /app/fifo; mkfifo /app/fifo");
    expect(await box.readFile("/app/fifo")).toBe(null);
  });
});
