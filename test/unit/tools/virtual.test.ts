import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { SparkError } from "../../../state/errors.js";
import type { EnvironmentSpec, ExecResult, Sandbox } from "../../../tools/sandbox/sandbox.js";
import { createVirtualProvider } from "../../../tools/sandbox/virtual.js";

const root = mkdtempSync(join(tmpdir(), "spark-virtual-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
function context(files: Record<string, string>): EnvironmentSpec {
  const contextDir = join(root, `context-${count++}`);
  mkdirSync(contextDir);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(contextDir, path)), { recursive: true });
    writeFileSync(join(contextDir, path), content);
  }
  return { contextDir, hasDockerfile: "Dockerfile" in files, buildTimeoutMs: 60_000 };
}

const plain = context({
  Dockerfile: "FROM python:3.12-slim\nWORKDIR /app\nENV KEPT=1\nCOPY data.txt /app/\nCOPY old.txt /app/\n",
  "data.txt": "data\n",
  "old.txt": "old\n",
});
const text = (bytes: Uint8Array | null): string => (bytes === null ? "(none)" : Buffer.from(bytes).toString());
const out = (result: ExecResult): string => `${text(result.stdout)}${text(result.stderr)}`;
const box = { run: "r", env: {}, network: "none" as const, leaseMs: 0 };
const provider = createVirtualProvider();
const create = async (spec: EnvironmentSpec = plain): Promise<Sandbox> =>
  provider.create({ ...box, name: `box-${count++}`, image: await provider.prepare(spec) });
const script = (path: string, content: string) => ({ path, data: Buffer.from(content), mode: 0o755 });

describe("prepare", () => {
  it("lets WORKDIR, COPY, ENV and ARG apply", async () => {
    const spec = context({
      Dockerfile:
        "ARG TAG=3\nFROM x:$TAG\nARG WHERE=place\nENV A=1 B=${WHERE}\nWORKDIR /srv\nWORKDIR ${WHERE}\nCOPY src/ .\nCOPY a.txt b.md named/\nCOPY *.md /docs/\nCOPY a.txt /etc/renamed\nCOPY --chmod=0755 a.txt /run.sh\n",
      "src/one.txt": "1",
      "src/deep/two.txt": "2",
      "a.txt": "a",
      "b.md": "b",
    });
    const image = await provider.prepare(spec);
    expect(image).toMatchObject({ name: "virtual x:3", workdir: "/srv/place", user: "" });
    const sandbox = await create(spec);
    const result = await sandbox.exec(
      "pwd; echo $A $B; cat one.txt deep/two.txt named/a.txt named/b.md /docs/b.md /etc/renamed; [ -x /run.sh ] && echo runs",
    );
    expect(out(result)).toBe("/srv/place\n1 place\n12abba" + "runs\n");
  });

  it("leaves out what .dockerignore names and keeps what it takes back", async () => {
    const spec = context({
      Dockerfile: "FROM x\nWORKDIR /app\nCOPY . .\n",
      ".dockerignore": "# no\n*.log\nsecret\n**/cache\n!keep.log\n",
      "a.log": "",
      "keep.log": "",
      "secret/key": "",
      "sub/cache/x": "",
      "sub/y": "",
    });
    const sandbox = await create(spec);
    expect(out(await sandbox.exec("find . -type f | sort"))).toBe("./.dockerignore\n./Dockerfile\n./keep.log\n./sub/y\n");
  });

  it("keeps modes and links of the context and cannot be led out of it", async () => {
    const spec = context({ Dockerfile: "FROM x\nWORKDIR /app\nCOPY ../../bin /app/\n", "bin/run": "#!/bin/bash\necho ran\n" });
    chmodSync(join(spec.contextDir, "bin/run"), 0o755);
    symlinkSync("run", join(spec.contextDir, "bin/link"));
    const sandbox = await create(spec);
    expect(out(await sandbox.exec("./run; ./link; readlink link"))).toBe("ran\nran\nrun\n");
  });

  it.each([
    [{ Dockerfile: "FROM x\n\nRUN pip install numpy\n" }, {}, /`RUN pip install numpy` \(.*Dockerfile:3\)/],
    [{ Dockerfile: "FROM x\nUSER agent\n" }, {}, /`USER agent` \(.*Dockerfile:2\)/],
    [{ Dockerfile: "FROM x\n" }, { dockerImage: "ghcr.io/o/i:1" }, /prebuilt image "ghcr.io\/o\/i:1" .*task\.toml/],
    [{}, {}, /there is none: .*Dockerfile/],
  ])("refuses %j with %j and names what needs Docker", async (files, more, message) => {
    const error = await provider.prepare({ ...context(files as Record<string, string>), ...more }).catch((thrown: unknown) => thrown);
    expect(SparkError.isInstance(error) && error.code).toBe("sandbox-unsupported");
    expect((error as Error).message).toMatch(message);
  });

  it("names the line of a COPY that finds nothing", async () => {
    await expect(provider.prepare(context({ Dockerfile: "FROM x\nCOPY nothing /a/\n" }))).rejects.toMatchObject({
      code: "image-build",
      message: expect.stringMatching(/"nothing".*Dockerfile:2/),
    });
  });
});

describe("running things as Harbor does", () => {
  it("runs a script by its path with its output in a file, and the script's exit code comes back", async () => {
    const sandbox = await create();
    await sandbox.writeFiles([
      script(
        "/tests/test.sh",
        "#!/bin/bash\necho $0; pwd\necho bad >&2\nmkdir -p /logs/verifier\necho 1 > /logs/verifier/reward.txt\nexit 3\n",
      ),
    ]);
    expect((await sandbox.exec("(/tests/test.sh) > /logs/verifier/test-stdout.txt 2>&1")).exitCode).toBe(3);
    expect(text(await sandbox.readFile("/logs/verifier/test-stdout.txt"))).toBe("/tests/test.sh\n/app\nbad\n");
    expect(text(await sandbox.readFile("/logs/verifier/reward.txt"))).toBe("1\n");
  });

  it("follows the shebang of a script in another language, with arguments and exit code", async () => {
    const sandbox = await create();
    await sandbox.writeFiles([
      script("/app/p.py", "#!/usr/bin/env python3\nimport sys\nprint(sys.argv)\nsys.exit(4)\n"),
      script("/app/s.py", "#! /usr/bin/env -S python3 -u\nprint(2)\n"),
    ]);
    expect(out(await sandbox.exec("./p.py 'a b' c; echo $?; PATH=/app:$PATH s.py"))).toBe("['/app/p.py', 'a b', 'c']\n4\n2\n");
  });

  it.each([
    "cat",
    "grep -c ''",
    "sed -n 1,9p",
    "awk '{print}'",
    "head -n 9",
    "sort -s -k9",
    "nl",
    "wc -l",
    "md5sum",
    "diff /app/same",
    "tac",
    "cut -c1-99",
    "cp /dev/stdout",
  ])("shows an executable script of another language to `%s` as it is", async (command) => {
    const sandbox = await create();
    const content = "#!/usr/bin/env python3\nprint(1)\n";
    await sandbox.writeFiles([
      script("/app/p.py", content),
      { path: "/app/plain", data: Buffer.from(content), mode: 0o644 },
      { path: "/app/same", data: Buffer.from(content) },
    ]);
    const shown = async (path: string) =>
      out(await sandbox.exec(`[ -x ${path} ]; ${command} ${path}; [ -f ${path} ] && ${command} ${path}`)).replaceAll(path, "FILE");
    expect(await shown("/app/p.py")).toBe(await shown("/app/plain"));
  });

  it("has the small tools that scripts expect", async () => {
    const sandbox = await create();
    const result = await sandbox.exec(
      "id -u; whoami; uname -s; nproc; umask 022; chown -R root:root /app && echo owned; realpath ../app/./data.txt; f=$(mktemp); [ -f $f ] && echo made; d=$(mktemp -d /srv/x.XXXX); [ -d $d ] && echo folder; install -d -m 700 /srv/in; install -m 755 data.txt /srv/in/; cmp data.txt /srv/in/data.txt && echo same; cmp -s data.txt old.txt || echo differs",
    );
    expect(out(result)).toBe("0\nroot\nLinux\n1\nowned\n/app/data.txt\nmade\nfolder\nsame\ndiffers\n");
  });

  it("says that a trap is ignored instead of breaking the script", async () => {
    const result = await (await create()).exec("set -e; trap 'rm -f /x' EXIT; echo on");
    expect([result.exitCode, text(result.stdout), text(result.stderr)]).toEqual([0, "on\n", expect.stringContaining("ignored")]);
  });

  it("has no network and no way to the host's files", async () => {
    const sandbox = await create();
    writeFileSync(join(root, "host-secret"), "host");
    expect((await sandbox.exec("curl http://127.0.0.1/")).exitCode).toBe(127);
    expect(out(await sandbox.exec(`cat ${join(root, "host-secret")}`))).toContain("No such file");
    expect(out(await sandbox.exec(`python3 -c "open('${join(root, "host-secret")}')"`))).toContain("FileNotFoundError");
  });
});

describe("python", () => {
  it("imports from the script's folder, shows true lines in a traceback and keeps bytes exact", async () => {
    const sandbox = await create();
    await sandbox.writeFiles([
      { path: "/lib2/helper.py", data: Buffer.from("def fail():\n    raise ValueError('why')\n") },
      { path: "/lib2/pack/__init__.py", data: Buffer.from("from . import inner\n") },
      { path: "/lib2/pack/inner.py", data: Buffer.from("TEXT = '''a\n  b'''\n") },
      {
        path: "/lib2/main.py",
        data: Buffer.from(
          "import sys, helper, pack\nprint(helper.__file__, __file__, repr(pack.inner.TEXT))\nsys.stdout.flush()\nsys.stdout.buffer.write(sys.stdin.buffer.read())\nsys.stdout.flush()\n\nhelper.fail()\n",
        ),
      },
    ]);
    const result = await sandbox.exec(
      "python3 /lib2/main.py | od -An -c | tail -1; printf 'q' | python3 -u -B /lib2/main.py > /tmp/o; echo $?; tail -c 1 /tmp/o; head -n 1 /tmp/o",
    );
    expect(text(result.stdout)).toContain("1\nq/lib2/helper.py /lib2/main.py 'a\\n  b'");
    expect(text(result.stderr)).toContain('File "/lib2/main.py", line 7, in <module>');
    expect(text(result.stderr)).toContain('File "/lib2/helper.py", line 2, in fail');
    expect(text(result.stderr)).not.toContain("sandbox");
  });

  it("has files, temporary folders and a subprocess that is run in the same sandbox", async () => {
    const sandbox = await create();
    const program = [
      "import os, subprocess, sys, tempfile",
      "from pathlib import Path",
      "r = subprocess.run([sys.executable, '-c', 'import sys; print(sys.stdin.read().upper()); sys.exit(5)'], input='abc', capture_output=True, text=True)",
      "print(r.returncode, repr(r.stdout))",
      "print(subprocess.check_output('cat data.txt | wc -l; echo $KEPT', shell=True, text=True).split())",
      "try: subprocess.run(['sleep', '30'], timeout=0.2)",
      "except subprocess.TimeoutExpired as e: print('timeout', e.timeout)",
      "try: subprocess.run(['no-such-program'])",
      "except FileNotFoundError as e: print('missing', e.filename)",
      "with tempfile.TemporaryDirectory() as d:",
      "    p = Path(d) / 'a'; p.write_bytes(bytes([255, 0])); os.replace(p, p.with_name('b')); print(os.listdir(d), (Path(d) / 'b').read_bytes())",
      "os._exit(3)",
    ].join("\n");
    await sandbox.writeFiles([{ path: "/app/p.py", data: Buffer.from(program) }]);
    const result = await sandbox.exec("python3 p.py");
    expect([result.exitCode, out(result)]).toEqual([
      3,
      "5 'ABC\\n'\n['1', '1']\ntimeout 0.2\nmissing no-such-program\n['b'] b'\\xff\\x00'\n",
    ]);
  });
});

describe("the shell", () => {
  it("carries arrays, options and the directory that a failing command reached, and forgets what was unset", async () => {
    const shell = await (await create()).openShell();
    const run = async (command: string) => out(await shell.run(command));
    await run(
      "list=(a 'b c'); declare -A map; map[k]='v w'; map['x y']='1\"2'; quoted=$'it\\'s\\ntwo'; hello() { echo \"hello $1\"; }; shopt -s nullglob; cd /tmp && false",
    );
    expect(await run('pwd; echo "${list[1]}|${map[k]}${map[x y]}|$quoted"; hello you; echo *.none; export -p | grep -c quoted')).toBe(
      "/tmp\nb c|v w1\"2|it's\ntwo\nhello you\n\n0\n",
    );
    await run("unset quoted; unset -f hello");
    expect(await run('echo "[$quoted]"; hello')).toMatch(/^\[\]\n.*hello: command not found/s);
  });

  it("leaves here-documents and line numbers as typed", async () => {
    const shell = await (await create()).openShell();
    await shell.run("a=1");
    expect(out(await shell.run("cat <<EOF\n  $a\nEOF"))).toBe("  1\n");
  });
});

describe("snapshot and judge", () => {
  it("carries the agent's work over and withholds what would judge in place of the pristine tools", async () => {
    const image = await provider.prepare(plain);
    const agent = await provider.create({ ...box, name: "agent", image });
    await agent.exec(
      "rm old.txt; echo more >> data.txt; mkdir -p /srv/deep; echo x > /srv/deep/f; echo 1 > /logs/verifier/reward.txt; mkdir /tests; echo 'exit 0' > /tests/test.sh",
    );
    await agent.writeFiles([
      script("/usr/local/bin/python3", "#!/bin/bash\necho fake\n"),
      script("/usr/local/bin/my-tool", "#!/bin/bash\necho tool\n"),
      script("/usr/bin/cat", "echo fake\n"),
    ]);
    await agent.writeFiles([
      { path: "/app/json.py", data: Buffer.from("raise SystemExit(0)") },
      { path: "/app/pytest/__init__.py", data: Buffer.from("") },
      { path: "/app/mine.py", data: Buffer.from("") },
    ]);
    const { snapshot, changes } = await agent.snapshot("agent-snapshot");
    expect(changes).toContainEqual({ path: "/app/old.txt", kind: "deleted" });
    await agent.exec("echo later > /srv/later");
    const { sandbox, withheld, tampered } = await provider.judge({ ...box, name: "judge", image, snapshot, changes, testsDir: root });
    expect(withheld).toEqual(["/app/json.py", "/app/pytest", "/app/pytest/__init__.py", "/usr/local/bin/python3"]);
    expect(tampered).toEqual([]);
    expect(out(await sandbox.exec("ls /app; cat data.txt /srv/deep/f; my-tool; ls /tests /logs/verifier /srv"))).toBe(
      "data.txt\nmine.py\ndata\nmore\nx\ntool\n/logs/verifier:\n\n/srv:\ndeep\nls: /tests: No such file or directory\n",
    );
    expect(text((await sandbox.exec("python3 -c 'print(40 + 2)'")).stdout)).toBe("42\n");
    expect(await provider.removeRun("r")).toBeGreaterThan(1);
    expect(await provider.findSnapshot("agent-snapshot")).toBe(null);
  });

  it("says that a snapshot of another process is lost", async () => {
    const image = await provider.prepare(plain);
    await expect(provider.judge({ ...box, name: "j", image, snapshot: "never", testsDir: root })).rejects.toMatchObject({
      code: "sandbox-lost",
    });
  });
});

describe("copyOut", () => {
  it("takes files and folders, and names links and what is over the limit", async () => {
    const sandbox = await create();
    await sandbox.exec(
      "mkdir -p /srv/o/sub; echo 1 > /srv/o/a; echo 2 > /srv/o/sub/b; ln -s /etc/passwd /srv/o/link; echo 123456789 > /srv/o/z",
    );
    expect(await sandbox.copyOut("/srv/o", join(root, "out"), { maxFiles: 10, maxBytes: 6 })).toEqual({
      files: 2,
      bytes: 4,
      skipped: [
        { path: "/srv/o/link", why: "link" },
        { path: "/srv/o/z", why: "too large" },
      ],
    });
  });
});
