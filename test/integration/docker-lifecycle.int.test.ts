import Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { prepareContainer } from "../../tools/sandbox/docker-container.js";
import { engineFacts } from "../../tools/sandbox/docker-hardening.js";
import { exitOf, outputOf, startNode, transpiledSources } from "./child-process.js";
import { baseImage, createBox, eventually, noDocker, provider, testRun, text } from "./docker-engine.js";

const run = testRun("lifecycle");
const docker = new Docker();

/** Whether a container of this name is there, in whatever state. */
const exists = async (name: string): Promise<boolean> =>
  await docker
    .getContainer(name)
    .inspect()
    .then(
      () => true,
      () => false,
    );

describe.skipIf(noDocker)("life and end of Docker sandboxes", () => {
  let sources: ReturnType<typeof transpiledSources>;
  beforeAll(() => {
    sources = transpiledSources();
  });
  afterAll(async () => {
    sources.remove();
    await provider.removeRun(run);
    expect((await provider.list()).filter((left) => left.run === run)).toEqual([]);
  });

  /** A process that makes a container, says "ready", and then waits to be killed. */
  const owner = async (name: string, leaseMs: number) => {
    const child = startNode(
      sources.dir,
      name,
      `import { createDockerProvider } from "./tools/sandbox/docker.js";
       const provider = createDockerProvider({ env: process.env });
       const image = await provider.prepare({ contextDir: "/", dockerImage: "sandbox-base:py", hasDockerfile: false, buildTimeoutMs: 60000 });
       const box = await provider.create({ name: "${name}", image, run: "${run}", env: {}, network: "none", leaseMs: ${leaseMs} });
       const shell = await box.openShell();
       await shell.run("cd /usr; mark=before");
       void shell.run("mark=during; sleep 700").catch(() => undefined);
       console.log("ready");
       setInterval(() => undefined, 1000);`,
    );
    const out = outputOf(child);
    await eventually("the owner is ready", async () => out().includes("ready"));
    return child;
  };

  it("a container without lease is gone when its process is killed", async () => {
    const name = `${run}-none`;
    const child = await owner(name, 0);
    expect(await exists(name)).toBe(true);
    child.kill("SIGKILL");
    await exitOf(child);
    await eventually("the container is gone", async () => !(await exists(name)));
  });

  it("a container with a lease lives while it is beaten for, and is gone after the lease when its process is killed", async () => {
    const name = `${run}-lease`;
    const child = await owner(name, 2_000);
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    expect(await exists(name)).toBe(true);
    child.kill("SIGKILL");
    await exitOf(child);
    await eventually("the container is gone", async () => !(await exists(name)));
  });

  it("within the lease a new process takes it up: what ran is killed, the state goes on, and it lives beyond the old lease", async () => {
    const name = `${run}-resume`;
    const child = await owner(name, 30_000);
    child.kill("SIGKILL");
    await exitOf(child);
    const box = await provider.find(name, { leaseMs: 3_000 });
    expect(box).not.toBe(null);
    const shell = await box!.openShell();
    expect(text((await shell.run('pwd; echo "$mark"; pgrep -f "[s]leep 700"')).stdout)).toBe("/usr\nbefore\n");
    await new Promise((resolve) => setTimeout(resolve, 7_000));
    expect((await shell.run("true")).exitCode).toBe(0);
    await box!.detach();
    await eventually("the container is gone after its new lease", async () => !(await exists(name)));
  });

  it("setLease shortens the life that remains", async () => {
    const box = await createBox(run, "set", { leaseMs: 600_000 });
    box.setLease(1_000);
    await box.detach();
    await eventually("the container is gone", async () => !(await exists(box.id)));
  });

  it("find gives null for a name that nobody has, and for a container that is not ours", async () => {
    expect(await provider.find(`${run}-nobody`)).toBe(null);
    const foreign = await docker.createContainer({ name: `${run}-foreign`, Image: (await baseImage()).id, Cmd: ["sleep", "60"] });
    try {
      await foreign.start();
      expect(await provider.find(`${run}-foreign`)).toBe(null);
      await expect(createBox(run, "foreign")).rejects.toMatchObject({ code: "sandbox-failed" });
      expect(await exists(`${run}-foreign`)).toBe(true);
    } finally {
      await foreign.remove({ force: true });
    }
  });

  it("a name that Docker does not take is made one that it does, and is still found under its own", async () => {
    const name = `${run}/ä task: attempt 1`;
    const box = await createBox(run, "odd", { name });
    expect(box.id).toBe(name);
    const again = await provider.find(name);
    expect(again?.id).toBe(name);
    await again?.close();
  });

  it("the reaper takes what has passed its hard end, also what was never started, and spares the rest", async () => {
    const image = (await baseImage()).id;
    const make = async (name: string, labels: Record<string, string>, start = false) => {
      const container = await docker.createContainer({ name: `${run}-${name}`, Image: image, Cmd: ["sleep", "600"], Labels: labels });
      if (start) await container.start();
    };
    const ours = { "spark-skills": "1", "spark-skills.kind": "container", "spark-skills.run": run };
    const past = "2020-01-01T00:00:00.000Z";
    const future = "2999-01-01T00:00:00.000Z";
    await make("reap-never-started", { ...ours, "spark-skills.expires": past });
    await make("reap-running", { ...ours, "spark-skills.expires": past }, true);
    await make("reap-unexpired", { ...ours, "spark-skills.expires": future });
    await make("reap-not-ours", { "spark-skills.expires": past, "other.tool": "1" });
    await make("reap-no-end", { ...ours });
    try {
      expect(await provider.reap()).toBeGreaterThanOrEqual(2);
      const left: string[] = [];
      for (const name of ["never-started", "running", "unexpired", "not-ours", "no-end"])
        if (await exists(`${run}-reap-${name}`)) left.push(name);
      expect(left).toEqual(["unexpired", "not-ours", "no-end"]);
    } finally {
      await docker.getContainer(`${run}-reap-not-ours`).remove({ force: true });
    }
  });

  it("removeRun takes containers, never-started ones and snapshots of its run, and nothing of another run", async () => {
    const other = `${run}-other`;
    const spared = await createBox(other, "spared");
    const box = await createBox(run, "mine");
    const info = (await docker.info()) as Record<string, unknown>;
    const context = { docker, facts: engineFacts(info), gate: <T>(work: () => Promise<T>) => work() };
    await prepareContainer(context, {
      name: `${run}-unstarted`,
      image: await baseImage(),
      run,
      env: {},
      network: "none",
      leaseMs: 0,
    });
    await box.snapshot(`${run}-snapshot`);
    await provider.removeRun(run);
    expect((await provider.list()).filter((left) => left.run === run)).toEqual([]);
    expect(await provider.findSnapshot(`${run}-snapshot`)).toBe(null);
    expect((await spared.exec("echo on")).exitCode).toBe(0);
    expect(await provider.removeRun(other)).toBe(1);
  });

  it("a snapshot holds the files, no process, and a second one of the same name replaces the first", async () => {
    const box = await createBox(run, "snap");
    const shell = await box.openShell();
    await shell.run("echo one > /app/file; (setsid sleep 701 &); python3 -m http.server 8642 >/dev/null 2>&1 & sleep 1");
    expect((await box.listeners()).map((listener) => listener.port)).toEqual([8642]);
    const first = await box.snapshot(`${run}-snap`);
    expect(text((await box.exec("pgrep -f '[s]leep 701|[h]ttp.server'; echo end")).stdout)).toBe("end\n");
    expect(first.changes).toContainEqual({ path: "/app/file", kind: "added" });
    await box.writeFiles([{ path: "/app/file", data: Buffer.from("two") }]);
    const second = await box.snapshot(`${run}-snap`);
    expect(second.snapshot).not.toBe(first.snapshot);
    expect(await provider.findSnapshot(`${run}-snap`)).toBe(second.snapshot);
    await box.close();
    const image = { ...(await baseImage()), id: second.snapshot };
    await using fresh = await createBox(run, "from-snap", { image });
    expect(text((await fresh.readFile("/app/file"))!)).toBe("two");
    await fresh.close();
    expect((await provider.list()).filter((left) => left.run === run && left.kind === "image")).toHaveLength(1);
    await provider.removeSnapshot(`${run}-snap`);
    expect((await provider.list()).filter((left) => left.run === run)).toEqual([]);
  });

  it("after a snapshot only a short lease is left", async () => {
    const box = await createBox(run, "short", { leaseMs: 600_000 });
    await box.snapshot(`${run}-short`);
    await box.detach();
    await provider.removeSnapshot(`${run}-short`);
    await eventually("the container is gone", async () => !(await exists(box.id)));
  });

  it("listeners of a user other than root are named with pid, port and command", async () => {
    await using box = await createBox(run, "listen");
    const shell = await box.openShell({ user: "agent", cwd: "/home/agent" });
    await shell.run(
      "python3 -m http.server 8643 >/dev/null 2>&1 & for i in $(seq 100); do sleep 0.1; grep -q ':21C3 ' /proc/net/tcp && break; done",
    );
    const [listener] = await box.listeners();
    expect(listener).toMatchObject({ port: 8643, command: "python3 -m http.server 8643" });
    expect(listener!.pid).toBeGreaterThan(1);
  });
});
