import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SparkError } from "../../state/errors.js";
import type { EnvironmentSpec, ExecResult, Sandbox, SandboxCapabilities, SandboxProvider, Shell } from "./sandbox.js";

/** What the contract needs of a test runner: vitest's own functions fit, and it is not imported here. */
export interface TestFunctions {
  describe(name: string, body: () => void): unknown;
  it(name: string, body: () => Promise<void>, timeoutMs?: number): unknown;
  expect(value: unknown): {
    toBe(expected: unknown): void;
    toEqual(expected: unknown): void;
  };
}

export interface ContractOptions {
  test: TestFunctions;
  /** What the sandboxes are made from; the image needs cat, printf, ls, mkdir and a working directory. */
  environment: EnvironmentSpec;
  /** What this kind of sandbox can do: tests of what it cannot are not registered. */
  capabilities: SandboxCapabilities;
  /** Limit of one test, milliseconds. Default 60 s. */
  timeoutMs?: number;
}

const text = (bytes: Uint8Array | null): string => (bytes === null ? "(none)" : Buffer.from(bytes).toString());
const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return "no error";
  } catch (error) {
    return SparkError.isInstance(error) ? error.code : `not a SparkError: ${String(error)}`;
  }
};

/** Registers what every sandbox must show (sandbox.md section 7), whatever stands behind it. */
export const sandboxContract = (name: string, makeProvider: () => SandboxProvider, options: ContractOptions): void => {
  const { expect, describe } = options.test;
  const run = `contract-${name}-${process.pid}`;
  let count = 0;

  const sandboxTest = (sentence: string, body: (sandbox: Sandbox, provider: SandboxProvider) => Promise<void>): void => {
    options.test.it(
      sentence,
      async () => {
        const provider = makeProvider();
        try {
          const image = await provider.prepare(options.environment);
          count += 1;
          await using sandbox = await provider.create({
            name: `${run}-${count}`,
            image,
            run,
            env: { GREETING: "hello world" },
            network: "none",
            leaseMs: 60_000,
          });
          await body(sandbox, provider);
        } finally {
          await provider.removeRun(run);
          await provider.close();
        }
      },
      options.timeoutMs ?? 60_000,
    );
  };
  const shellTest = (sentence: string, body: (shell: Shell, sandbox: Sandbox) => Promise<void>): void =>
    sandboxTest(sentence, async (sandbox) => {
      const shell = await sandbox.openShell();
      await body(shell, sandbox);
      await shell.close();
    });
  const shown = (result: ExecResult): object => ({ exitCode: result.exitCode, stdout: text(result.stdout) });

  describe(`sandbox contract: ${name}`, () => {
    sandboxTest("it says what it is and what it can do", async (sandbox, provider) => {
      expect(sandbox.backend).toBe(provider.name);
      expect(sandbox.capabilities).toEqual(options.capabilities);
      expect(sandbox.isolation.length > 0).toBe(true);
      expect(sandbox.workdir.startsWith("/")).toBe(true);
    });
    sandboxTest("a command gives its output and its exit code", async (sandbox) => {
      expect(shown(await sandbox.exec("printf 'a\\nb'; exit 3"))).toEqual({ exitCode: 3, stdout: "a\nb" });
    });
    sandboxTest("a command that does not exist ends with 127", async (sandbox) => {
      expect((await sandbox.exec("no-such-command-at-all")).exitCode).toBe(127);
    });
    if (options.capabilities.separateStderr) {
      sandboxTest("standard output and standard error are apart", async (sandbox) => {
        const result = await sandbox.exec("echo out; echo err >&2");
        expect([text(result.stdout), text(result.stderr)]).toEqual(["out\n", "err\n"]);
      });
    }
    sandboxTest("a command gets the container's environment, its own on top, its directory and its input", async (sandbox) => {
      await sandbox.exec("mkdir -p /tmp/place");
      const result = await sandbox.exec('echo "$GREETING|$OWN"; pwd; cat', {
        env: { OWN: "mine" },
        cwd: "/tmp/place",
        stdin: Buffer.from("from outside"),
      });
      expect(shown(result)).toEqual({ exitCode: 0, stdout: "hello world|mine\n/tmp/place\nfrom outside" });
    });
    sandboxTest("nothing of this process's environment is inside", async (sandbox) => {
      process.env.SPARK_CONTRACT_SECRET = "do-not-leak";
      try {
        expect(text((await sandbox.exec("env")).stdout).includes("do-not-leak")).toBe(false);
      } finally {
        delete process.env.SPARK_CONTRACT_SECRET;
      }
    });
    sandboxTest("state does not pass from one exec to the next", async (sandbox) => {
      await sandbox.exec("cd /tmp; export LEFT=over");
      expect(shown(await sandbox.exec('echo "[$LEFT]"; pwd'))).toEqual({ exitCode: 0, stdout: `[]\n${sandbox.workdir}\n` });
    });
    sandboxTest("a command over its time limit is a result, not an exception, and the sandbox goes on", async (sandbox) => {
      const result = await sandbox.exec("while true; do :; done", { timeoutMs: 700 });
      expect({ exitCode: result.exitCode, timedOut: result.timedOut }).toEqual({ exitCode: null, timedOut: true });
      expect((await sandbox.exec("echo on")).exitCode).toBe(0);
    });
    sandboxTest("an aborted command is a result that says so", async (sandbox) => {
      const controller = new AbortController();
      const running = sandbox.exec("while true; do :; done", { signal: controller.signal, timeoutMs: 30_000 });
      setTimeout(() => controller.abort(), 500);
      const result = await running;
      expect({ exitCode: result.exitCode, aborted: result.aborted, timedOut: result.timedOut }).toEqual({
        exitCode: null,
        aborted: true,
        timedOut: false,
      });
    });
    sandboxTest("long output keeps head and tail, counts the rest and says that it is cut", async (sandbox) => {
      const result = await sandbox.exec('echo FIRST; i=0; while [ $i -lt 2000 ]; do echo "line $i"; i=$((i+1)); done; echo LAST', {
        maxOutputBytes: 1000,
      });
      expect(result.truncated).toBe(true);
      expect(result.totalBytes > 15_000).toBe(true);
      expect(text(result.stdout).startsWith("FIRST\n")).toBe(true);
      expect(text(result.stdout).endsWith("LAST\n")).toBe(true);
      expect(result.stdout.byteLength < 1200).toBe(true);
    });
    sandboxTest("files go in and come out byte for byte, and parents are made", async (sandbox) => {
      const data = Uint8Array.from({ length: 70_000 }, (_, index) => (index * 7) % 256);
      await sandbox.writeFiles([
        { path: "/srv/deep/er/bytes.bin", data },
        { path: "/srv/deep/run.sh", data: Buffer.from("echo ran\n"), mode: 0o755 },
      ]);
      expect(Buffer.compare((await sandbox.readFile("/srv/deep/er/bytes.bin")) ?? Buffer.alloc(0), data)).toBe(0);
      expect(shown(await sandbox.exec("sh /srv/deep/run.sh"))).toEqual({ exitCode: 0, stdout: "ran\n" });
    });
    sandboxTest("a file that is not there, or is a directory, reads as null", async (sandbox) => {
      await sandbox.exec("mkdir -p /srv/folder");
      expect(await sandbox.readFile("/srv/none")).toBe(null);
      expect(await sandbox.readFile("/srv/folder")).toBe(null);
    });
    sandboxTest("reading more than the limit is an error", async (sandbox) => {
      await sandbox.writeFiles([{ path: "/srv/big", data: Buffer.alloc(2000, "x") }]);
      expect(await codeOf(sandbox.readFile("/srv/big", { maxBytes: 1000 }))).toBe("sandbox-failed");
      expect((await sandbox.readFile("/srv/big", { maxBytes: 2000 }))?.byteLength).toBe(2000);
    });
    sandboxTest("a directory is copied in, replacing what was there only when asked, and copied out", async (sandbox) => {
      const folder = await mkdtemp(join(tmpdir(), "spark-contract-"));
      try {
        await writeFile(join(folder, "one.txt"), "one");
        await sandbox.writeFiles([{ path: "/srv/in/old.txt", data: Buffer.from("old") }]);
        await sandbox.copyIn(folder, "/srv/in");
        expect(text((await sandbox.exec("ls /srv/in")).stdout)).toBe("old.txt\none.txt\n");
        await sandbox.copyIn(folder, "/srv/in", { replace: true });
        expect(text((await sandbox.exec("ls /srv/in")).stdout)).toBe("one.txt\n");
        await sandbox.exec("mkdir -p /srv/in/sub; echo two > /srv/in/sub/two.txt");
        const report = await sandbox.copyOut("/srv/in", join(folder, "out"), { maxFiles: 100, maxBytes: 10_000 });
        expect(report).toEqual({ files: 2, bytes: 7, skipped: [] });
        expect(await readFile(join(folder, "out/sub/two.txt"), "utf8")).toBe("two\n");
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
    sandboxTest("copying out a path that is not there copies nothing and says so", async (sandbox) => {
      const folder = await mkdtemp(join(tmpdir(), "spark-contract-"));
      try {
        const report = await sandbox.copyOut("/srv/none", folder, { maxFiles: 10, maxBytes: 10 });
        expect({ files: report.files, paths: report.skipped.map((skipped) => skipped.path) }).toEqual({ files: 0, paths: ["/srv/none"] });
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
    sandboxTest("what changed since the image is listed", async (sandbox) => {
      await sandbox.writeFiles([{ path: "/srv/new-file", data: Buffer.from("x") }]);
      expect((await sandbox.changes()).some((change) => change.path === "/srv/new-file" && change.kind === "added")).toBe(true);
    });
    shellTest("in the shell directory, variables and functions persist from command to command", async (shell) => {
      await shell.run("mkdir -p /tmp/here; cd /tmp/here; plain=1; export EXPORTED='two words'; greet() { echo \"hi $1\"; }");
      expect(shown(await shell.run('pwd; echo "$plain|$EXPORTED"; greet you'))).toEqual({
        exitCode: 0,
        stdout: "/tmp/here\n1|two words\nhi you\n",
      });
    });
    shellTest("exit ends the command and not the shell", async (shell) => {
      expect((await shell.run("cd /tmp; exit 5")).exitCode).toBe(5);
      expect(shown(await shell.run("echo on"))).toEqual({ exitCode: 0, stdout: "on\n" });
    });
    shellTest("a command of the shell that times out is killed and the state before it is kept", async (shell) => {
      await shell.run("cd /tmp; kept=yes");
      const result = await shell.run("kept=no; while true; do :; done", { timeoutMs: 700 });
      expect({ exitCode: result.exitCode, timedOut: result.timedOut }).toEqual({ exitCode: null, timedOut: true });
      expect(shown(await shell.run('pwd; echo "$kept"'))).toEqual({ exitCode: 0, stdout: "/tmp\nyes\n" });
    });
    shellTest("commands that are given at once run one after the other, in order", async (shell) => {
      const results = await Promise.all([1, 2, 3].map((n) => shell.run(`list="$list ${n}"; echo $list`)));
      expect(results.map((result) => text(result.stdout))).toEqual(["1\n", "1 2\n", "1 2 3\n"]);
    });
    shellTest("a syntax error is a result and the shell goes on", async (shell) => {
      expect((await shell.run("if then fi (")).exitCode === 0).toBe(false);
      expect((await shell.run("echo on")).exitCode).toBe(0);
    });
    sandboxTest("a second shell of the same sandbox goes on from the state of the first", async (sandbox) => {
      const first = await sandbox.openShell();
      await first.run("cd /tmp; seen=before");
      const second = await sandbox.openShell();
      expect(shown(await second.run('pwd; echo "$seen"'))).toEqual({ exitCode: 0, stdout: "/tmp\nbefore\n" });
    });
    sandboxTest("it is found by its name, with what was done in it, until it is closed", async (sandbox, provider) => {
      await sandbox.exec("echo kept > /tmp/kept");
      const again = await provider.find(sandbox.id);
      expect(text((await again?.readFile("/tmp/kept")) ?? null)).toBe("kept\n");
      expect(await provider.find("no-such-sandbox-at-all")).toBe(null);
      await again?.close();
      expect(await provider.find(sandbox.id)).toBe(null);
    });
    sandboxTest("creating under a name that is taken replaces what was there", async (sandbox, provider) => {
      await sandbox.exec("echo old > /tmp/old");
      const image = await provider.prepare(options.environment);
      await using second = await provider.create({ name: sandbox.id, image, run, env: {}, network: "none", leaseMs: 60_000 });
      expect(await second.readFile("/tmp/old")).toBe(null);
    });
    sandboxTest("after close every call says that the sandbox is lost", async (sandbox) => {
      await sandbox.close();
      await sandbox.close();
      expect(await codeOf(sandbox.exec("echo no"))).toBe("sandbox-lost");
      expect(await codeOf(sandbox.readFile("/etc/passwd"))).toBe("sandbox-lost");
    });
    sandboxTest("what a run has left is listed and removed by the run's name", async (sandbox, provider) => {
      expect((await provider.list()).filter((left) => left.run === run).map((left) => left.name)).toEqual([sandbox.id]);
      expect(await provider.removeRun(run)).toBe(1);
      expect((await provider.list()).filter((left) => left.run === run)).toEqual([]);
    });
    if (options.capabilities.snapshot) {
      sandboxTest("a snapshot is found by its name, names the changes, and is gone when removed", async (sandbox, provider) => {
        await sandbox.writeFiles([{ path: "/srv/work", data: Buffer.from("done") }]);
        const name = `${sandbox.id}-snapshot`;
        expect(await provider.findSnapshot(name)).toBe(null);
        const { snapshot, changes } = await sandbox.snapshot(name);
        expect(changes.some((change) => change.path === "/srv/work" && change.kind === "added")).toBe(true);
        expect(await provider.findSnapshot(name)).toBe(snapshot);
        await provider.removeSnapshot(name);
        expect(await provider.findSnapshot(name)).toBe(null);
      });
    }
    if (options.capabilities.users) {
      sandboxTest("a command runs as the user that it is given", async (sandbox) => {
        expect(shown(await sandbox.exec("id -u", { user: "1000" }))).toEqual({ exitCode: 0, stdout: "1000\n" });
      });
    }
    if (options.capabilities.processes) {
      shellTest("a background job lives on after its command", async (shell) => {
        await shell.run("sleep 300 & echo $! > /tmp/job");
        expect((await shell.run('kill -0 "$(cat /tmp/job)"')).exitCode).toBe(0);
        expect(shown(await shell.run('kill "$(cat /tmp/job)" && echo killed'))).toEqual({ exitCode: 0, stdout: "killed\n" });
      });
    }
  });
};
