import { createTarPacker } from "modern-tar";
import { describe, expect, it } from "vitest";
import { createTarWalker, layerChanges } from "../../../tools/sandbox/docker-judge-changes.js";
import { homesOf, type PristineFacts } from "../../../tools/sandbox/docker-judge-pristine.js";
import { installsPackages, protect } from "../../../tools/sandbox/docker-judge-protected.js";
import { reachOf } from "../../../tools/sandbox/docker-judge-reach.js";
import { compareResolution, resolutionScript } from "../../../tools/sandbox/docker-judge-resolution.js";
import { mergedPasswd, outermost } from "../../../tools/sandbox/docker-judge-restore.js";
import { suspicious } from "../../../tools/sandbox/docker-tamper.js";

const site = "/usr/lib/python3/dist-packages";
const passwd =
  "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33::/var/www:/usr/sbin/nologin\nagent:x:1000:1000::/home/agent:/bin/bash\nnobody:x:65534:65534::/nonexistent:/bin/false";

const facts: PristineFacts = {
  env: { PATH: "/usr/local/bin:/usr/bin", LD_LIBRARY_PATH: "/opt/libs" },
  startWords: ["/entry.sh"],
  workdir: "/app",
  user: "",
  pathDirs: ["/usr/local/bin", "/usr/bin"],
  executables: [
    { path: "/usr/bin/bash", hops: [] },
    { path: "/usr/bin/awk", hops: ["/etc/alternatives/awk", "/usr/bin/mawk"] },
    { path: "/usr/bin/nginx", hops: [] },
    { path: "/usr/bin/git", hops: [] },
    { path: "/usr/bin/eslint", hops: ["/usr/lib/node_modules/eslint/bin/eslint.js"] },
    { path: "/usr/bin/python3", hops: ["/usr/bin/python3.11"] },
  ],
  libraries: new Set(["libc.so.6", "libz.so.1"]),
  passwd,
  startFiles: ["/entry.sh"],
  startDirs: ["/start.d"],
  interpreters: [
    {
      command: "/usr/bin/python3",
      resolution: {
        path: [
          "/usr/lib/python311.zip",
          "/usr/lib/python3.11",
          "/root/.local/lib/python3.11/site-packages",
          "/usr/local/lib/python3.11/dist-packages",
          site,
        ],
        firstSite: 2,
        names: { json: 1, pytest: 4, argparse: 1, tkinter: null, msvcrt: null },
        dotted: {},
        distributions: ["pytest"],
        matches: [
          { name: "json", index: 1, path: "/usr/lib/python3.11/json", initializer: "/usr/lib/python3.11/json/__init__.py" },
          { name: "argparse", index: 1, path: "/usr/lib/python3.11/argparse.py", initializer: null },
          { name: "pytest", index: 4, path: `${site}/pytest`, initializer: `${site}/pytest/__init__.py` },
        ],
        digests: {
          "/usr/lib/python3.11/argparse.py": "a",
          [`${site}/pytest/__init__.py`]: "p",
          "/usr/lib/python3.11/json/__init__.py": "j",
        },
        tops: ["pytest"],
        standard: ["/usr/lib/python311.zip", "/usr/lib/python3.11"],
        executable: "/usr/bin/python3.11",
        prefix: ["/usr", "/usr"],
      },
    },
  ],
};
const protection = protect(facts, { reach: reachOf(["cd /srv/site && git status && eslint ."]) });
const treat = (kind: "added" | "changed" | "deleted", path: string) => protection.treat({ kind, path }).kind;

describe("of the files that the image has, these go back when they were changed or deleted:", () => {
  it.each([
    ["a shell", "/usr/bin/bash"],
    ["an interpreter behind a link", "/usr/bin/python3.11"],
    ["every link on the way to a program", "/etc/alternatives/awk"],
    ["a program that the tests name", "/usr/bin/git"],
    ["the package behind a program that the tests name", "/usr/lib/node_modules/eslint/lib/rules.js"],
    ["the standard library", "/usr/lib/python3.11/email/message.py"],
    ["the test runner", `${site}/pytest/__init__.py`],
    ["the C library", "/usr/lib/x86_64-linux-gnu/libc.so.6"],
    ["the loader's cache", "/etc/ld.so.cache"],
    ["a library in LD_LIBRARY_PATH", "/opt/libs/libx.so.1"],
    ["the entrypoint", "/entry.sh"],
    ["what the entrypoint's directory holds", "/start.d/10-own"],
    ["a shell's start-up file", "/root/.bashrc"],
    ["the OpenSSL configuration, which can load libraries", "/etc/ssl/openssl.cnf"],
  ])("%s", (_name, path) => {
    expect(treat("changed", path)).toBe("restore");
    expect(treat("deleted", path)).toBe("restore");
  });
});

describe("these stay as the agent left them:", () => {
  it.each([
    ["the work", "changed", "/app/main.py"],
    ["a program that no test names", "changed", "/usr/bin/nginx"],
    ["a service's configuration", "changed", "/etc/nginx/nginx.conf"],
    ["another package", "changed", `${site}/requests/api.py`],
    ["an upgraded package's removed file", "deleted", `${site}/requests/old.py`],
    ["an added package", "added", `${site}/requests/__init__.py`],
    ["an added package's metadata", "added", `${site}/requests-2.0.dist-info/METADATA`],
    ["an added program of a new name", "added", "/usr/local/bin/mine"],
    ["an added program that hides one no test names", "added", "/usr/local/bin/nginx"],
    ["a program that is found after the image's", "added", "/opt/bin/bash"],
    ["an added library of a new name", "added", "/usr/lib/x86_64-linux-gnu/libnew.so.1"],
    ["a .pth in a virtual environment of the work", "added", "/app/.venv/lib/python3.11/site-packages/x.pth"],
    ["a deleted cache", "deleted", "/usr/lib/python3.11/json/__pycache__/decoder.cpython-311.pyc"],
    ["another package's cache", "added", `${site}/requests/__pycache__/api.cpython-311.pyc`],
    ["settings of git", "added", "/root/.gitconfig"],
  ] as const)("%s", (_name, kind, path) => expect(treat(kind, path)).toBe("carry"));
});

describe("these are blanked when they were added:", () => {
  it.each([
    ["a start-up module", `${site}/sitecustomize.py`],
    ["a start-up module in a home", "/root/.local/lib/python3.11/site-packages/usercustomize.py"],
    ["a path file", "/usr/local/lib/python3.11/dist-packages/x.pth"],
    ["a loader preload", "/etc/ld.so.preload"],
    ["a directory for the loader", "/etc/ld.so.conf.d/x.conf"],
    ["a start-up file for every login", "/etc/profile.d/x.sh"],
    ["a start-up file of a user", "/home/agent/.bash_profile"],
    ["a tool's configuration", "/root/.config/pip/pip.conf"],
    ["a program in the user's own directory", "/root/.local/bin/uvx"],
    ["the library's archive", "/usr/lib/python311.zip"],
    ["a cache of what judges", "/usr/lib/python3.11/json/__pycache__/decoder.cpython-311.pyc"],
    ["a test runner's file above the tests", "/conftest.py"],
    ["a name service library", "/usr/lib/x86_64-linux-gnu/libnss_own.so.2"],
    ["a library for newer processors", "/usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v2/libz.so.1"],
    ["a library of a known name elsewhere", "/usr/local/lib/libz.so.1"],
    ["a mark that moves the interpreter's library", "/usr/bin/pyvenv.cfg"],
    ["a script that the entrypoint would run", "/start.d/99"],
  ])("%s", (_name, path) => expect(treat("added", path)).toBe("blank"));

  it("a program that the tests install themselves, and a package cache, only when they do", () => {
    const installing = protect(facts, { reach: reachOf(["uvx pytest"]) });
    for (const path of ["/usr/local/bin/uvx", "/root/.cache/uv/archive-v0/x"]) {
      expect(installing.treat({ kind: "added", path }).kind).toBe("blank");
      expect(treat("added", path)).toBe("carry");
    }
  });
});

it("an added program that hides one that judges becomes a link to it", () => {
  expect(protection.treat({ kind: "added", path: "/usr/local/bin/python3" })).toEqual({ kind: "shadow", target: "/usr/bin/python3" });
  expect(protection.treat({ kind: "added", path: "/usr/local/bin/git" })).toEqual({ kind: "shadow", target: "/usr/bin/git" });
});

it("a directory on the way to what judges is looked at, whatever it was made into", () => {
  for (const path of ["/usr", "/usr/lib", "/usr/local", "/usr/local/bin", "/usr/lib/python3", "/etc/profile.d", "/root", "/opt/libs"]) {
    expect(["look", "restore"]).toContain(treat("changed", path));
  }
  expect(treat("added", "/usr/local")).toBe("look");
});

it("modules are looked for first where the verifier works, where its scripts go, and beside programs", () => {
  expect(protection.fronts).toEqual(["/app", "/srv/site", "/usr/local/bin", "/usr/bin"]);
});

it("the tamper report names hooks and changes of what judges, not caches, work or parent directories", () => {
  const changes = [
    { kind: "changed", path: "/usr/lib/python3.11" },
    { kind: "changed", path: "/usr/lib/python3.11/argparse.py" },
    { kind: "added", path: "/usr/lib/python3.11/json/__pycache__/x.pyc" },
    { kind: "added", path: "/etc/ld.so.preload" },
    { kind: "added", path: "/usr/local/bin/python3" },
    { kind: "added", path: "/app/answer.txt" },
    { kind: "deleted", path: "/usr/bin/bash" },
  ] as const;
  expect(suspicious(changes, protection)).toEqual([
    "/etc/ld.so.preload",
    "/usr/bin/bash",
    "/usr/lib/python3.11/argparse.py",
    "/usr/local/bin/python3",
  ]);
});

describe("what a task's tests reach", () => {
  it("are the words, the directories that scripts enter and those that they add to PATH", () => {
    const reach = reachOf(['cd "/srv/app/" ; export PATH=/opt/tool/bin:$PATH\ncurl -s x | jq .', 'subprocess.run(["git", "log"])']);
    expect(reach.workingDirectories).toEqual(["/srv/app"]);
    expect(reach.binaryDirectories).toEqual(["/opt/tool/bin"]);
    for (const word of ["curl", "jq", "git"]) expect(reach.words.has(word)).toBe(true);
    expect(installsPackages(reach)).toBe(false);
    expect(installsPackages(reachOf(["apt-get install -y x"]))).toBe(true);
  });
});

describe("the comparison of where modules are found", () => {
  const pristine = facts.interpreters[0]!.resolution;
  const same = { matches: pristine.matches, digests: pristine.digests };
  const compare = (more: Partial<typeof same>, added: string[] = []) =>
    compareResolution(pristine, { ...same, ...more }, (path) => (added.includes(path) ? "added" : undefined));

  it("finds nothing where everything is the same", () => expect(compare({})).toEqual({ remove: [], restore: [] }));

  it("removes a module that was added beside the work, not one that the image has there", () => {
    const beside = { name: "json", index: -1, path: "/app/json.py", initializer: null };
    expect(compare({ matches: [...pristine.matches, beside] }, ["/app/json.py"]).remove).toEqual(["/app/json.py"]);
    expect(compare({ matches: [...pristine.matches, beside] }).remove).toEqual([]);
  });

  it("removes only the initializer where a directory of the image was made a package", () => {
    const beside = { name: "json", index: -1, path: "/app/json", initializer: "/app/json/__init__.py" };
    expect(compare({ matches: [...pristine.matches, beside] }, ["/app/json/__init__.py"]).remove).toEqual(["/app/json/__init__.py"]);
  });

  it("removes a package in front of the test runner, with one entry for all its files", () => {
    const path = "/usr/local/lib/python3.11/dist-packages/pytest";
    const matches = [...pristine.matches, { name: "pytest", index: 3, path, initializer: `${path}/__init__.py` }];
    expect(compare({ matches, digests: { ...pristine.digests, [`${path}/__init__.py`]: "x", [`${path}/a.py`]: "x" } }, [path])).toEqual({
      remove: [path],
      restore: [],
    });
  });

  it("puts back what differs or is missing, but no missing cache", () => {
    const { [`${site}/pytest/__init__.py`]: _gone, ...rest } = pristine.digests;
    expect(compare({ digests: { ...rest, "/usr/lib/python3.11/argparse.py": "b" } }).restore).toEqual([
      "/usr/lib/python3.11/argparse.py",
      `${site}/pytest/__init__.py`,
    ]);
    const cached = { ...pristine, digests: { ...pristine.digests, "/usr/lib/python3.11/__pycache__/argparse.cpython-311.pyc": "c" } };
    expect(compareResolution(cached, same, () => undefined)).toEqual({ remove: [], restore: [] });
  });

  it("removes a module that the standard library only tries to import, but not a part that is packed apart", () => {
    const at = (name: string) => ({ name, index: 1, path: `/usr/lib/python3.11/${name}.py`, initializer: null });
    const digests = { ...pristine.digests, "/usr/lib/python3.11/tkinter.py": "t", "/usr/lib/python3.11/msvcrt.py": "m" };
    expect(compare({ matches: [...pristine.matches, at("msvcrt"), at("tkinter")], digests }).remove).toEqual([
      "/usr/lib/python3.11/msvcrt.py",
    ]);
  });

  it("removes what announces a plugin beside the work when the agent touched it", () => {
    const path = "/app/mine.egg-info/entry_points.txt";
    const matches = [...pristine.matches, { name: "pytest11", index: -1, path, initializer: null }];
    expect(compareResolution(pristine, { ...same, matches }, () => "changed").remove).toEqual([path]);
    expect(compare({ matches }).remove).toEqual([]);
  });

  it("is told everything as data: no path can become code", () => {
    const source = resolutionScript({ fronts: ["/a'\"\\\n\u2028')"], homes: [], seeds: [], names: [], judge: null });
    const literal = /^import json\nC = json\.loads\((".*?")\)\n/s.exec(source)?.[1];
    expect(JSON.parse(JSON.parse(literal ?? '""'))).toMatchObject({ fronts: ["/a'\"\\\n\u2028')"] });
  });
});

describe("the users of a merged passwd file", () => {
  it("are the verifier's as in the image and all others as the agent left them", () => {
    const agents =
      "evil:x:0:0::/app:/bin/sh\nroot:x:0:0:root:/app:/app/sh\nroot:x:0:0::/x:/x\nagent:x:1000:1000::/srv:/bin/zsh\nalice:x:1001:1001::/home/alice:/bin/sh\n";
    expect(mergedPasswd(passwd, agents, ["root", "0"])).toBe(
      "root:x:0:0:root:/root:/bin/bash\nevil:x:0:0::/app:/bin/sh\nagent:x:1000:1000::/srv:/bin/zsh\nalice:x:1001:1001::/home/alice:/bin/sh\n",
    );
  });

  it("have homes that a hook could stand in", () => expect(homesOf(passwd)).toEqual(["/root", "/home/agent"]));
});

it("the outermost of many paths stand for all below them", () => {
  expect(outermost(["/a/b", "/a", "/ab", "/a/b/c", "/a-b", "/c/d"])).toEqual(["/a-b", "/a", "/ab", "/c/d"]);
});

describe("the layers of a snapshot", () => {
  it("tell what was added, changed and deleted", () => {
    const known = new Set(["/usr", "/usr/bin", "/usr/bin/python3"]);
    expect(layerChanges(["/usr", "/usr/bin/python3", "/usr/bin/.wh.bash", "/opt/.wh..wh..opq", "/app/x"], known)).toEqual([
      { path: "/usr", kind: "changed" },
      { path: "/usr/bin/python3", kind: "changed" },
      { path: "/usr/bin/bash", kind: "deleted" },
      { path: "/opt", kind: "deleted" },
      { path: "/app/x", kind: "added" },
    ]);
  });

  it("are read whatever the pieces in which they come, with long names and content passed on", async () => {
    const { readable, controller } = createTarPacker();
    const long = `${"d".repeat(90)}/${"é".repeat(120)}`;
    const write = async () => {
      for (const [name, body] of [
        ["a", "hello"],
        [long, "x".repeat(1000)],
        ["b", ""],
      ] as const) {
        const data = new TextEncoder().encode(body);
        const writer = controller.add({ name, size: data.length, type: "file" }).getWriter();
        if (data.length > 0) await writer.write(data);
        await writer.close();
      }
      controller.finalize();
    };
    const chunks: Uint8Array[] = [];
    await Promise.all([
      write(),
      (async () => {
        for await (const chunk of readable) chunks.push(chunk);
      })(),
    ]);
    const archive = Buffer.concat(chunks);
    for (const size of [1, 7, 512, 513, archive.length]) {
      const names: string[] = [];
      let content = "";
      const feed = createTarWalker(({ name }) => {
        names.push(name);
        return name === "a"
          ? (data) => {
              content += data === null ? "." : Buffer.from(data).toString();
            }
          : null;
      });
      for (let at = 0; at < archive.length; at += size) feed(archive.subarray(at, at + size));
      expect({ names, content }).toEqual({ names: ["a", long, "b"], content: "hello." });
    }
  });
});
