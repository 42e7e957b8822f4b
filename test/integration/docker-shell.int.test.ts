import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SparkError } from "../../state/errors.js";
import type { Sandbox, Shell } from "../../tools/sandbox/sandbox.js";
import { exitOf, outputOf, startNode, transpiledSources } from "./child-process.js";
import { createBox, eventually, noDocker, provider, testRun, text } from "./docker-engine.js";

const run = testRun("shell");
const longMs = 120_000;

describe.skipIf(noDocker)("the shell of a Docker container (sandbox.md 1.2)", () => {
  let box: Sandbox;
  let shell: Shell;
  beforeAll(async () => {
    box = await createBox(run, "box");
    shell = await box.openShell();
  });
  afterAll(async () => {
    await provider.removeRun(run);
  });
  /** Exit code, standard output, standard error of one command. */
  const sh = async (command: string, options?: { timeoutMs?: number; maxOutputBytes?: number }) => {
    const result = await shell.run(command, { timeoutMs: longMs, ...options });
    return { code: result.exitCode, out: text(result.stdout), err: text(result.stderr), result };
  };
  const alive = async (): Promise<void> => {
    expect(await sh("echo alive")).toMatchObject({ code: 0, out: "alive\n", err: "" });
  };

  describe("what would end a plain session ends only its command", () => {
    it.each([
      ["exit 3", 3],
      ["set -e; false; echo not reached", 1],
      ["exec sh -c 'exit 7'", 7],
      ["kill -9 $$", 137],
      ["kill -KILL 0", 137],
      ["exec 0<&- 1>&- 2>&- 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-", 0],
      ["kill -ABRT $$", 134],
    ])("%s", async (command, code) => {
      expect((await sh(command)).code).toBe(code);
      await alive();
    });
    it("set -u with an unset variable", async () => {
      const { code, err } = await sh("set -u; echo $nope_not_set");
      expect(code).not.toBe(0);
      expect(err).toContain("unbound variable");
      await alive();
    });
  });

  describe("what a command says is what it says", () => {
    it("a trap on EXIT fires at the end of its command", async () => {
      expect(await sh("trap 'echo bye' EXIT; echo hi")).toMatchObject({ code: 0, out: "hi\nbye\n", err: "" });
      expect(await sh("echo next")).toMatchObject({ out: "next\n" });
    });
    it("the noise of set -xv stays in its command and holds nothing of ours", async () => {
      const { err } = await sh("set -xv; echo a");
      expect(err).toContain("echo a");
      expect(err).not.toMatch(/__sb|declare|compgen/);
      expect(await sh("echo b")).toMatchObject({ out: "b\n", err: "" });
    });
    it("an unterminated quote is a syntax error, 2", async () => {
      const { code, err } = await sh("echo 'never closed");
      expect(code).toBe(2);
      expect(err).toContain("unexpected EOF");
      expect(err).not.toContain("line 4");
      await alive();
    });
    it("an unterminated here-document ends with its command", async () => {
      expect(await sh("cat <<END\ntext")).toMatchObject({ code: 0, out: "text\n" });
      await alive();
    });
    it("a here-document is read whole", async () => {
      expect(await sh("cat <<'END'\na $b\n  c\nEND")).toMatchObject({ code: 0, out: "a $b\n  c\n" });
    });
    it("cat and read on standard input find it empty", async () => {
      expect(await sh('cat; read -r line; echo "read: $?"')).toMatchObject({ code: 0, out: "read: 1\n" });
    });
    it("exec >/dev/null silences its command only", async () => {
      expect(await sh("exec >/dev/null; echo silent")).toMatchObject({ code: 0, out: "" });
      await alive();
    });
    it("a syntax error is 2, an unknown command is 127 with its own line number", async () => {
      expect((await sh("if then")).code).toBe(2);
      const { code, err } = await sh("no-such-command");
      expect(code).toBe(127);
      expect(err).toBe("bash: line 1: no-such-command: command not found\n");
    });
    it("standard output and standard error come apart", async () => {
      expect(await sh("echo o; echo e >&2; echo o2")).toMatchObject({ out: "o\no2\n", err: "e\n" });
    });
    it("a broken pipe is silent, as in any shell", async () => {
      expect(await sh("yes | head -1")).toMatchObject({ code: 0, out: "y\n", err: "" });
    });
    it("the command cannot see its nonce in environment or arguments", async () => {
      const { out } = await sh("env; tr '\\0' ' ' </proc/$$/cmdline; tr '\\0' ' ' </proc/$PPID/cmdline");
      expect(out).not.toMatch(/\b[0-9a-f]{32}\b/);
    });
  });

  describe("state", () => {
    it("directory, exported and plain variables, arrays and functions persist", async () => {
      await sh(
        "mkdir -p '/tmp/a b'; cd '/tmp/a b'; plain='x y'; export shown=$'two\\nlines'; list=(1 '2 3'); declare -A map=([k]='v w'); greet() { echo \"hello $1\"; }",
      );
      const { out } = await sh('pwd; echo "$plain"; sh -c \'echo "$shown"\'; echo "${list[1]}" "${map[k]}"; greet me');
      expect(out).toBe("/tmp/a b\nx y\ntwo\nlines\n2 3 v w\nhello me\n");
    });
    it("shopt, umask, aliases, exported functions and OLDPWD persist", async () => {
      await sh("cd /; cd /usr; shopt -s extglob nullglob; umask 027; f() { echo in-f; }; export -f f");
      expect((await sh("shopt -q extglob && shopt -q nullglob && echo on; umask; bash -c f; cd - ")).out).toBe("on\n0027\nin-f\n/\n");
      await sh("shopt -u extglob nullglob; umask 022");
      expect((await sh("shopt -q nullglob || echo off")).out).toBe("off\n");
    });
    it("what is unset stays unset, also what the container's environment has", async () => {
      await sh("unset LANG; unset -f f");
      expect(await sh('echo "[${LANG-gone}]"; f')).toMatchObject({ out: "[gone]\n", code: 127 });
    });
    it("sourcing an activate script changes PATH and prompt for what follows", async () => {
      await sh(
        "mkdir -p /tmp/venv/bin; printf '#!/bin/sh\\necho mine\\n' >/tmp/venv/bin/mytool; chmod +x /tmp/venv/bin/mytool; printf 'VIRTUAL_ENV=/tmp/venv; export VIRTUAL_ENV; PATH=\"$VIRTUAL_ENV/bin:$PATH\"; export PATH; deactivate () { unset VIRTUAL_ENV; }\\n' >/tmp/venv/bin/activate",
      );
      await sh("source /tmp/venv/bin/activate");
      expect((await sh("mytool; type deactivate | head -1")).out).toBe("mine\ndeactivate is a function\n");
    });
    it("an odd IFS, noglob, readonly variables and set -e do not spoil the state", async () => {
      await sh("cd /tmp; IFS=,; set -f; readonly fixed=1; later=kept; set -euo pipefail");
      expect((await sh('echo "$fixed $later"; [ "$IFS" = , ] && echo comma; pwd; false; echo reached')).out).toBe(
        "1 kept\ncomma\n/tmp\nreached\n",
      );
      await sh("unset IFS");
    });
    it("a command that exits early, or is killed, keeps the state: its own, or the one before", async () => {
      await sh("cd /usr/lib; early=yes; exit 9");
      expect((await sh('pwd; echo "$early"')).out).toBe("/usr/lib\nyes\n");
      await sh("cd /; early=no; kill -9 $$");
      expect((await sh('pwd; echo "$early"')).out).toBe("/usr/lib\nyes\n");
    });
    it("jobs and $! do not carry over (documented), but a pid file does", async () => {
      await sh("sleep 300 & echo $! >/tmp/job.pid");
      expect(await sh('jobs; echo "[$!]"; wait "$(cat /tmp/job.pid)"; echo $?')).toMatchObject({ out: "[]\n127\n" });
      expect((await sh('kill "$(cat /tmp/job.pid)" && echo killed')).out).toBe("killed\n");
    });
  });

  describe("bytes", () => {
    it("a command of 300 kB runs", async () => {
      const { code, out } = await sh(`x='${"a".repeat(300_000)}'; echo \${#x}`);
      expect({ code, out }).toEqual({ code: 0, out: "300000\n" });
      await sh("unset x");
    });
    it("a here-document of 1 MB arrives whole", async () => {
      const body = `${"0123456789abcde\n".repeat(65_536)}`;
      const { out } = await sh(`sha256sum <<'END'\n${body}END`);
      expect(out.slice(0, 64)).toBe(createHash("sha256").update(body).digest("hex"));
    });
    it("a command with text in many alphabets is counted in bytes", async () => {
      expect((await sh("echo 'äöü 漢字 🙂'; echo end")).out).toBe("äöü 漢字 🙂\nend\n");
    });
    it("1 MB of random bytes comes out exactly", async () => {
      const { result } = await sh("head -c 1048576 /dev/urandom | tee /tmp/random; cd /tmp");
      expect(result.stdout.byteLength).toBe(1_048_576);
      const digest = createHash("sha256").update(result.stdout).digest("hex");
      expect((await sh("sha256sum </tmp/random")).out.slice(0, 64)).toBe(digest);
    });
    it("NUL bytes, forged markers and invalid UTF-8 pass unharmed", async () => {
      const { result } = await sh(
        "printf 'a\\0b\\0\\0'; printf '\\0READY 1 2\\0'; printf '\\0%032d 0 1\\0' 0; printf '\\377\\303'; printf '\\0err\\0' >&2",
      );
      expect(Buffer.from(result.stdout).toString("latin1")).toBe(`a\0b\0\0\0READY 1 2\0\0${"0".repeat(32)} 0 1\0\xff\xc3`);
      expect(Buffer.from(result.stderr).toString("latin1")).toBe("\0err\0");
      await alive();
    });
    it("a NUL byte in the command is refused", async () => {
      await expect(shell.run("echo a\0b")).rejects.toMatchObject({ code: "sandbox-failed" });
      await alive();
    });
    it("100 MB of output are not kept and stop at the ceiling, which the result says", async () => {
      const { result, err } = await sh("yes | head -c 100000000; echo never", { maxOutputBytes: 10_000 });
      expect(result).toMatchObject({ exitCode: 137, truncated: true, timedOut: false });
      expect(result.stdout.byteLength).toBeLessThan(10_200);
      expect(err).toContain("killed: the command wrote more than");
      await alive();
    });
  });

  describe("time", () => {
    it("a background job that holds the output does not hold the command", async () => {
      const { code, out } = await sh("sleep 600 & echo started", { timeoutMs: 60_000 });
      expect({ code, out }).toEqual({ code: 0, out: "started\n" });
      await sh("pkill -f 'sleep 600'");
    });
    it.each([
      ["a chain", "sleep 600; echo after"],
      ["a busy loop of builtins", "while :; do :; done"],
      ["one that ignores signals, with a child in its own session", "trap '' TERM INT HUP; setsid sleep 601 & while :; do sleep 1; done"],
      ["escapees: no environment, own session, double fork", "env -i setsid sleep 602 & (setsid sh -c 'sleep 603 &' &) ; sleep 604"],
    ])("a timeout kills %s and keeps directory and variables", async (_name, command) => {
      await sh("cd /usr/share; kept=yes");
      const { result, out } = await sh(`kept=no; echo begun; ${command}`, { timeoutMs: 1_000 });
      expect(result).toMatchObject({ exitCode: null, timedOut: true });
      expect(out).toBe("begun\n");
      expect((await sh('pwd; echo "$kept"; pgrep -f "sleep 60[0-4]" -l | grep -v pgrep')).out).toBe("/usr/share\nyes\n");
    });
    it("a timeout spares an older background job", async () => {
      await sh("sleep 605 & echo $! >/tmp/older");
      expect((await sh("sleep 606", { timeoutMs: 700 })).result.timedOut).toBe(true);
      expect((await sh('kill -0 "$(cat /tmp/older)" && echo lives; kill "$(cat /tmp/older)"')).out).toBe("lives\n");
    });
    it("an abort kills the command, and one that waits in the queue never runs", async () => {
      const controller = new AbortController();
      const first = shell.run("sleep 607", { signal: controller.signal });
      const second = shell.run("touch /tmp/never", { signal: controller.signal });
      setTimeout(() => controller.abort(), 500);
      expect(await first).toMatchObject({ exitCode: null, aborted: true, timedOut: false });
      expect(await second).toMatchObject({ aborted: true });
      expect((await sh("ls /tmp/never")).code).not.toBe(0);
    });
  });

  describe("ends of the supervisor", () => {
    it("kill -9 -1 costs the command, not the state", async () => {
      await sh("cd /var; lived=1");
      const { code, err } = await sh("kill -9 -1; echo never");
      expect(code).toBe(137);
      expect(err).toContain("the next one starts from the last state");
      expect((await sh('pwd; echo "$lived"')).out).toBe("/var\n1\n");
    });
    it("a second shell, as after a crash of ours, ends the first with its running command and goes on from its state", async () => {
      const other = await createBox(run, "reopen");
      const first = await other.openShell();
      await first.run("cd /usr; here=1; there() { echo fn; }");
      const running = first.run("here=2; env -i setsid sleep 608 & sleep 609").catch((error: unknown) => error);
      await eventually("the command runs", async () => (await other.exec("pgrep -f '[s]leep 609'")).exitCode === 0);
      const again = await provider.find(other.id);
      const second = await again!.openShell();
      expect(text((await second.run('pwd; echo "$here"; there; pgrep -fl "sleep 60[89]" | grep -v pgrep')).stdout)).toBe("/usr\n1\nfn\n");
      // The first handle's command came to its end, as a killed one.
      expect(await running).toMatchObject({ exitCode: 137 });
      await again!.close();
    });
    it("the state that we hold survives a restart of the container", async () => {
      const other = await createBox(run, "restart");
      const own = await other.openShell();
      await own.run("cd /usr; survived=yes; echo file >/usr/file");
      const name = other.id;
      const { default: Docker } = await import("dockerode");
      await new Docker({ socketPath: "/var/run/docker.sock" }).getContainer(name).restart({ t: 0 });
      const result = await own.run('pwd; echo "$survived"; cat /usr/file');
      expect(text(result.stdout)).toBe("/usr\nyes\nfile\n");
      await other.close();
    });
    it("a shell in a removed container says that the sandbox is lost", async () => {
      const other = await createBox(run, "lost");
      const own = await other.openShell();
      const running = own.run("sleep 610").then(
        () => "no error",
        (error: unknown) => (SparkError.isInstance(error) ? error.code : String(error)),
      );
      await provider.find(other.id).then((again) => again?.close());
      expect(await running).toBe("sandbox-lost");
      await expect(own.run("true")).rejects.toMatchObject({ code: "sandbox-lost" });
    });
    it("the shell runs as its user in its directory, beside a root shell's state", async () => {
      const other = await createBox(run, "user");
      const own = await other.openShell({ user: "agent", cwd: "/home/agent" });
      expect(text((await own.run("id -un; pwd; touch mine && echo wrote")).stdout)).toBe("agent\n/home/agent\nwrote\n");
      expect((await own.run("sleep 611", { timeoutMs: 700 })).timedOut).toBe(true);
      expect(text((await own.run("pwd; pgrep -f '[s]leep 611' || echo none")).stdout)).toBe("/home/agent\nnone\n");
      await other.close();
    });
    it("an open shell and a lease do not keep the process alive", async () => {
      const sources = transpiledSources();
      try {
        const child = startNode(
          sources.dir,
          "exits",
          `import { createDockerProvider } from "./tools/sandbox/docker.js";
           const provider = createDockerProvider({ env: process.env });
           const image = await provider.prepare({ contextDir: "/", dockerImage: "sandbox-base:py", hasDockerfile: false, buildTimeoutMs: 60000 });
           const options = { name: "${run}-exit", image, run: "${run}", env: {}, network: "none", leaseMs: 60000 };
           const box = await provider.create(options);
           const shell = await box.openShell();
           await shell.run("sleep 300 &");
           await box.exec("cat", { stdin: Buffer.from("x") });
           await box.writeFiles([{ path: "/tmp/x", data: Buffer.from("x") }]);
           await box.readFile("/tmp/x");
           await box.detach();
           const second = await provider.create({ ...options, name: "${run}-exit-2", leaseMs: 0 });
           await second.openShell();
           await second.close();
           console.log("done");`,
        );
        const out = outputOf(child);
        expect(await exitOf(child)).toBe(0);
        expect(out()).toBe("done\n");
      } finally {
        sources.remove();
      }
    });
  });
});
