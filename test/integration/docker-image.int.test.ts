import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import Docker from "dockerode";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { createDockerProvider } from "../../tools/sandbox/docker.js";
import type { EnvironmentSpec, ImageRef } from "../../tools/sandbox/sandbox.js";
import { createBox, eventually, noDocker, provider, testRun, text } from "./docker-engine.js";

const run = testRun("image");
const docker = new Docker();

describe.skipIf(noDocker)("images of Docker sandboxes (sandbox.md 2)", () => {
  const folders: string[] = [];
  const made = new Set<string>();
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  });
  afterAll(async () => {
    await provider.removeRun(run);
    for (const name of made)
      await docker
        .getImage(name)
        .remove({ force: true })
        .catch(() => undefined);
  });
  /** A build context with these files; each has a word of its own, so that no earlier test's image serves. */
  const context = (files: Record<string, string>): string => {
    const folder = mkdtempSync(join(tmpdir(), "spark-image-"));
    folders.push(folder);
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    return folder;
  };
  const lines: string[] = [];
  const prepare = async (contextDir: string, more: Partial<EnvironmentSpec> = {}): Promise<ImageRef> => {
    lines.length = 0;
    const image = await provider.prepare({
      contextDir,
      hasDockerfile: true,
      buildTimeoutMs: 120_000,
      onProgress: (line) => lines.push(line),
      ...more,
    });
    made.add(image.name);
    return image;
  };
  const dockerfile = (...rest: string[]): string => ["FROM sandbox-base:py", `LABEL test=${run}`, ...rest, ""].join("\n");

  it("a plain Dockerfile is built by the classic builder, and the same content comes from the cache afterwards", async () => {
    const folder = context({ Dockerfile: dockerfile("WORKDIR /work", "COPY data.txt /work/", "USER agent"), "data.txt": "one" });
    const first = await prepare(folder);
    expect(first).toMatchObject({ workdir: "/work", user: "agent" });
    expect(lines[0]).toContain("classic builder");
    expect(lines.join("\n")).toContain("Step 1/");
    const second = await prepare(folder);
    expect(second).toEqual(first);
    expect(lines).toEqual([]);
    writeFileSync(join(folder, "data.txt"), "two");
    expect((await prepare(folder)).id).not.toBe(first.id);
  });

  it("an image with a user other than root still lets root kill and wipe, and its commands run as that user", async () => {
    const image = await prepare(context({ Dockerfile: dockerfile("RUN mkdir /mine && chown agent /mine", "USER agent", "WORKDIR /mine") }));
    const box = await createBox(run, "user", { image });
    expect(text((await box.exec("id -un; pwd")).stdout)).toBe("agent\n/mine\n");
    expect(text((await box.exec("id -u", { user: "root" })).stdout)).toBe("0\n");
    const shell = await box.openShell();
    expect((await shell.run("sleep 640", { timeoutMs: 700 })).timedOut).toBe(true);
    expect(text((await shell.run("id -un; pgrep -f '[s]leep 640' || echo none")).stdout)).toBe("agent\nnone\n");
    await box.writeFiles([{ path: "/tests/a", data: Buffer.from("a"), mode: 0o600 }]);
    await box.copyIn(context({ b: "b" }), "/tests", { replace: true });
    expect(text((await box.exec("ls /tests")).stdout)).toBe("b\n");
    await box.close();
  });

  it.each([
    ["RUN --mount", "RUN --mount=type=cache,target=/c echo cached >/built"],
    ["COPY --chmod", "COPY --chmod=755 Dockerfile /built"],
  ])("a Dockerfile with %s is built by BuildKit", async (what, line) => {
    const image = await prepare(context({ Dockerfile: dockerfile(line) }));
    expect(lines[0]).toContain(`BuildKit, for ${what}`);
    expect(lines).toContain("exporting to image");
    const box = await createBox(run, "buildkit", { image });
    expect((await box.exec("test -s /built")).exitCode).toBe(0);
    await box.close();
  });

  it("a # syntax line whose image cannot be had is left out, and the build goes on", async () => {
    const image = await prepare(
      context({ Dockerfile: `# syntax=registry.invalid/none/dockerfile:1\n${dockerfile("RUN echo syntax >/built")}` }),
    );
    expect(lines.join("\n")).toContain("cannot be had");
    expect(image.name).toMatch(/^spark-skills-env:/);
  });

  it.each([
    ["the classic builder", dockerfile("RUN echo visible words; echo more >&2; exit 7")],
    ["BuildKit", dockerfile("RUN --mount=type=cache,target=/c echo visible words; echo more >&2; exit 7")],
  ])("a failing RUN under %s is an error with the end of the log", async (_name, content) => {
    const folder = context({ Dockerfile: content });
    const error = (await prepare(folder).catch((thrown: unknown) => thrown)) as Error & { code: string };
    expect(error.code).toBe("image-build");
    expect(error.message).toContain(join(folder, "Dockerfile"));
    expect(error.message).toContain("visible words");
    expect(error.message).toContain("7");
    const left = await docker.listContainers({ all: true, filters: { label: [`test=${run}`] } as never });
    expect(left).toEqual([]);
  });

  it("a Dockerfile that cannot be parsed is an error that says so", async () => {
    await expect(prepare(context({ Dockerfile: dockerfile("NONSENSE here") }))).rejects.toMatchObject({ code: "image-build" });
  });

  it("a base image that is not here and cannot be pulled is named with its line and the way out", async () => {
    const folder = context({ Dockerfile: "ARG TAG=3.12\n\nFROM registry.invalid/python:${TAG} AS base\nFROM base\n" });
    const error = (await prepare(folder).catch((thrown: unknown) => thrown)) as Error & { code: string };
    expect(error.code).toBe("image-missing");
    expect(error.message).toContain(`${join(folder, "Dockerfile")}:3: the base image registry.invalid/python:3.12`);
    expect(error.message).toContain("docker tag");
  });

  it("an image by name wins over the Dockerfile, and a missing one is an error", async () => {
    const folder = context({ Dockerfile: "FROM registry.invalid/none:1\n" });
    expect(
      await provider.prepare({ contextDir: folder, dockerImage: "sandbox-base:py", hasDockerfile: true, buildTimeoutMs: 60_000 }),
    ).toMatchObject({
      name: "sandbox-base:py",
      workdir: "/app",
    });
    await expect(
      provider.prepare({ contextDir: folder, dockerImage: "registry.invalid/none:1", hasDockerfile: true, buildTimeoutMs: 60_000 }),
    ).rejects.toMatchObject({ code: "image-missing" });
  });

  it("neither image nor Dockerfile is an error that names both", async () => {
    await expect(prepare(context({}), { hasDockerfile: false })).rejects.toMatchObject({ code: "sandbox-unsupported" });
  });

  it(".dockerignore keeps files out of the image and out of the cache's key", async () => {
    const folder = context({
      Dockerfile: dockerfile("COPY . /copied"),
      ".dockerignore": "# secrets\n.env\n**/*.log\nDockerfile\n.dockerignore\nnode_modules\n!node_modules/keep\n",
      ".env": "SECRET=1",
      "sub/a.log": "log",
      "sub/a.txt": "text",
      "node_modules/drop": "d",
      "node_modules/keep": "k",
    });
    symlinkSync("a.txt", join(folder, "sub/link"));
    const image = await prepare(folder);
    const box = await createBox(run, "ignore", { image });
    expect(text((await box.exec("cd /copied; find . -type f -o -type l | sort; readlink sub/link")).stdout)).toContain(
      "./node_modules/keep\n./sub/a.txt\n./sub/link\na.txt\n",
    );
    expect(text((await box.exec("ls -A /copied")).stdout)).not.toContain(".env");
    await box.close();
    writeFileSync(join(folder, ".env"), "SECRET=2");
    expect((await prepare(folder)).id).toBe(image.id);
  });

  it("two tasks with the same content build once", async () => {
    const folder = context({ Dockerfile: dockerfile("RUN echo once >/once") });
    const [first, second] = await Promise.all([prepare(folder), prepare(folder)]);
    expect(first).toEqual(second);
    expect(lines.filter((line) => line.startsWith("building "))).toHaveLength(1);
  });

  it.each(["", "--mount=type=cache,target=/c "])("a build over its time limit, or cancelled, ends (%s)", async (flag) => {
    const folder = context({ Dockerfile: dockerfile(`RUN ${flag}sleep 641`) });
    await expect(prepare(folder, { buildTimeoutMs: 3_000 })).rejects.toMatchObject({
      code: "image-build",
      message: expect.stringContaining("longer than 3 s"),
    });
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 2_000);
    await expect(prepare(folder, { signal: controller.signal })).rejects.toMatchObject({ code: "cancelled" });
  });

  it("the image's entrypoint is kept, our keep-alive is its argument, and a snapshot spares the life line behind it", async () => {
    const entrypoint = '#!/bin/bash\necho started >/entered\nsleep 642 &\n"$@"\n';
    const image = await prepare(
      context({
        Dockerfile: dockerfile("COPY entry.sh /entry.sh", "RUN chmod +x /entry.sh", 'ENTRYPOINT ["/entry.sh"]'),
        "entry.sh": entrypoint,
      }),
    );
    const box = await createBox(run, "entry", { image, leaseMs: 10_000 });
    expect(
      text(
        (
          await box.exec(
            "for i in $(seq 50); do [ -s /entered ] && break; sleep 0.1; done; cat /entered; pgrep -f '[s]leep 642' >/dev/null && echo lives; tr '\\0' ' ' </proc/1/cmdline",
          )
        ).stdout,
      ),
    ).toMatch(/^started\nlives\n\/bin\/bash \/entry\.sh /);
    await box.snapshot(`${run}-entry`);
    expect(text((await box.exec("pgrep -f '[s]leep 642' || echo dead")).stdout)).toBe("dead\n");
    await provider.removeSnapshot(`${run}-entry`);
    await box.close();
  });

  it("an image without bash: commands run with sh, the directory and exported variables persist, and the lease still ends it", async () => {
    const image = await prepare(context({ Dockerfile: dockerfile("RUN rm -f /bin/bash /usr/bin/bash") }));
    const box = await createBox(run, "no-bash", { image, leaseMs: 3_000 });
    expect(text((await box.exec('echo hi; echo "$0"')).stdout)).toBe("hi\nsh\n");
    const shell = await box.openShell();
    await shell.run('cd /usr/lib; export SAID="it\'s kept"');
    expect(text((await shell.run('pwd; echo "$SAID"; exit 3')).stdout)).toBe("/usr/lib\nit's kept\n");
    expect((await shell.run("exit 4")).exitCode).toBe(4);
    expect((await shell.run("sleep 643", { timeoutMs: 700 })).timedOut).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    expect((await shell.run("true")).exitCode).toBe(0);
    await box.detach();
    // Looked at through the engine: a find would take the container up and keep it alive.
    await eventually("the container is gone", async () => !(await provider.list()).some((left) => left.name === box.id));
    expect(await provider.find(box.id)).toBe(null);
  });

  it("without an engine the provider says where it looked and what to do", async () => {
    const none = createDockerProvider({ env: { DOCKER_HOST: "unix:///nowhere/docker.sock" } });
    const state = await none.available();
    expect(state).toMatchObject({ ok: false });
    expect(state.ok ? "" : state.reason).toContain("unix:///nowhere/docker.sock, DOCKER_HOST");
    await expect(none.find("x")).rejects.toMatchObject({ code: "docker-unavailable" });
  });
});
