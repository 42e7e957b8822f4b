import { afterAll, describe, expect, it } from "vitest";
import type { Sandbox, Shell } from "../../tools/sandbox/sandbox.js";
import { createBox, noDocker, provider, testRun, text } from "./docker-engine.js";

const run = testRun("limits");

describe.skipIf(noDocker)("limits of a Docker sandbox (sandbox.md 4)", () => {
  afterAll(async () => {
    await provider.removeRun(run);
  });
  const open = async (name: string, more: Parameters<typeof createBox>[2]): Promise<{ box: Sandbox; shell: Shell }> => {
    const box = await createBox(run, name, more);
    return { box, shell: await box.openShell() };
  };
  const goesOn = async (shell: Shell): Promise<void> => {
    expect(text((await shell.run("pwd; echo $kept")).stdout)).toBe("/usr\nyes\n");
  };

  it("a memory hog is killed with 137 and the session goes on", async () => {
    const { box, shell } = await open("memory", { memoryMb: 128 });
    await shell.run("cd /usr; kept=yes");
    expect((await shell.run("tail /dev/zero", { timeoutMs: 60_000 })).exitCode).toBe(137);
    await goesOn(shell);
    await box.close();
  });

  it("a fork bomb ends with its time limit, the files and the state are kept", async () => {
    const { box, shell } = await open("bomb", { memoryMb: 512, cpus: 1 });
    await shell.run("cd /usr; kept=yes; echo file >/usr/kept-file");
    const result = await shell.run("bomb() { bomb | bomb & }; bomb; while :; do :; done", { timeoutMs: 2_000 });
    expect(result).toMatchObject({ exitCode: null, timedOut: true });
    await goesOn(shell);
    expect(text((await shell.run("cat /usr/kept-file; pgrep -c . ")).stdout)).toMatch(/^file\n\d{1,2}\n$/);
    expect((await box.exec("echo on")).exitCode).toBe(0);
    await box.close();
  });

  it("a python fork bomb started by a stateless command ends with its time limit too", async () => {
    const box = await createBox(run, "pybomb", { memoryMb: 512, cpus: 1 });
    const code = "import os\nwhile True:\n  try: os.fork()\n  except OSError: pass";
    const result = await box.exec(`python3 -c '${code}'`, { timeoutMs: 2_000 });
    expect(result).toMatchObject({ exitCode: null, timedOut: true });
    expect(text((await box.exec("echo on")).stdout)).toBe("on\n");
    await box.close();
  });

  it("a snapshot of a container with a fork bomb in it still comes about", async () => {
    const { box, shell } = await open("bomb-snapshot", { memoryMb: 512, cpus: 1 });
    await shell.run("echo work >/app/work; (bomb() { bomb | bomb & }; bomb) & sleep 1", { timeoutMs: 20_000 });
    const { changes } = await box.snapshot(`${run}-bomb`);
    expect(changes).toContainEqual({ path: "/app/work", kind: "added" });
    await provider.removeSnapshot(`${run}-bomb`);
    await box.close();
  });

  it("one file over the disk limit stops at it with 153", async () => {
    const { box, shell } = await open("fsize", { storageMb: 20 });
    const result = await shell.run("exec head -c 40000000 /dev/zero >/tmp/large", { timeoutMs: 60_000 });
    expect(result.exitCode).toBe(153);
    expect(text((await shell.run("stat -c %s /tmp/large")).stdout)).toBe(`${20 * 2 ** 20}\n`);
    await box.close();
  });

  it("many files over the disk limit are noticed: the command is killed, says why, and cleaning up is possible", async () => {
    const { box, shell } = await open("disk", { storageMb: 20 });
    await shell.run("cd /usr; kept=yes; mkdir /tmp/many");
    const result = await shell.run(
      'i=0; while :; do head -c 4000000 /dev/zero >"/tmp/many/$i"; i=$((i+1)); [ $i -gt 40 ] && sleep 0.2; done',
      {
        timeoutMs: 90_000,
      },
    );
    expect(result).toMatchObject({ exitCode: 137, timedOut: false });
    expect(text(result.stderr)).toContain("disk limit");
    expect((await shell.run("rm -rf /tmp/many; sleep 5; echo cleaned")).exitCode).toBe(0);
    await goesOn(shell);
    await box.close();
  });

  it("the output ceiling of the session kills a command and not the session", async () => {
    const { box, shell } = await open("output", {});
    await shell.run("cd /usr; kept=yes");
    const result = await shell.run("yes", { timeoutMs: 60_000 });
    expect(result).toMatchObject({ exitCode: 137, truncated: true, timedOut: false });
    await goesOn(shell);
    await box.close();
  });

  it("the container has six capabilities, no new privileges, no network and nothing of the host", async () => {
    const box = await createBox(run, "flags", { memoryMb: 256, cpus: 0.5 });
    const { stdout } = await box.exec(
      "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; ls /sys/class/net; ls /var/run/docker.sock; ulimit -n; ulimit -c",
    );
    const shown = text(stdout).split("\n");
    expect(shown).toContain("CapEff:\t00000000000000eb");
    expect(shown).toContain("NoNewPrivs:\t1");
    expect(shown).toContain("Seccomp:\t2");
    expect(shown.slice(3)).toEqual(["lo", "4096", "0", ""]);
    expect(box.isolation.join("; ")).toContain("no network");
    await box.close();
  });

  it("without network none the container has an interface", async () => {
    const box = await createBox(run, "public", { network: "public" });
    expect(text((await box.exec("ls /sys/class/net")).stdout)).toContain("eth0");
    expect(box.isolation).toContain("public network");
    await box.close();
  });

  it("a user or a directory that does not exist is an error of the sandbox, not a command's result", async () => {
    const box = await createBox(run, "unknown-user", {});
    await expect(box.exec("true", { user: "nobody-of-this-name" })).rejects.toMatchObject({ code: "sandbox-failed" });
    await expect(box.openShell({ user: "nobody-of-this-name" })).rejects.toMatchObject({ code: "sandbox-failed" });
    await expect(box.exec("true", { cwd: "/etc/passwd" })).rejects.toMatchObject({ code: "sandbox-failed" });
    expect(text((await box.exec("echo 'OCI runtime exec failed: not really'; exit 126")).stdout)).toContain("not really");
    await box.close();
  });

  it("a stateless command takes more than one argument's worth of text and of input", async () => {
    const box = await createBox(run, "large", {});
    const result = await box.exec(`x='${"a".repeat(400_000)}'; echo \${#x}; wc -c`, { stdin: Buffer.alloc(5_000_000, "y") });
    expect(text(result.stdout)).toBe("400000\n5000000\n");
    expect(text((await box.exec("ls -A /tmp")).stdout)).toBe("");
    await box.close();
  });
});
