import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listTasks, parseTaskToml, readTask } from "../../../../formats/harbor/read-task.js";
import { SparkError } from "../../../../state/errors.js";

const FIXTURES = resolve(import.meta.dirname, "../../../fixtures/tasks");
const keys = (name: string) => join(FIXTURES, "keys", name);
const unsupported = (name: string) => join(FIXTURES, "unsupported", name);

const config = (toml: string) => parseTaskToml(toml, "x/task.toml").config;
const faultOf = async (name: string): Promise<SparkError> => {
  const error = await readTask(join(FIXTURES, "broken", name)).catch((thrown: unknown) => thrown);
  if (!SparkError.isInstance(error)) throw new Error(`no SparkError: ${String(error)}`);
  return error;
};

let scratch = "";
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "read-task-"));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

describe("readTask", () => {
  it("reads every fixture with a runnable key as supported", async () => {
    const { tasks, invalid } = await listTasks([join(FIXTURES, "keys")]);
    expect(invalid).toEqual([]);
    const expected = JSON.parse(await readFile(keys("expected.json"), "utf8")) as Record<string, { name?: string }>;
    expect(tasks.map((task) => task.directory)).toEqual(Object.keys(expected).sort());
    for (const task of tasks) {
      expect(task.unsupported, task.directory).toEqual([]);
      expect(task.hasSolution, task.directory).toBe(true);
      expect(task.name).toBe(expected[task.directory]?.name ?? task.directory);
    }
  });

  it("applies Harbor's defaults where a key is absent", () => {
    const { agent, verifier, environment, schemaVersion } = config("");
    expect(schemaVersion).toBe("1.4");
    expect(agent).toEqual({ allowedHosts: [] });
    expect(verifier).toMatchObject({ timeoutSec: 600, env: {}, collect: [] });
    expect(verifier.environmentMode).toBeUndefined();
    expect(environment).toMatchObject({ buildTimeoutSec: 600, networkMode: "public", os: "linux", gpus: 0, env: {} });
    expect(environment.cpus).toBeUndefined();
    expect(environment.memoryMb).toBeUndefined();
  });

  it("keeps unknown keys in raw, under their owner's names", async () => {
    const { raw } = await readTask(keys("unknown-keys"));
    expect(raw).toMatchObject({
      flavour: "vanilla",
      agent: { mood: "calm" },
      environment: { image: "somewhere/else:1" },
      metadata: { nested: { list: [{ a: 1 }] } },
    });
  });

  it("reads the deprecated spellings", () => {
    expect(config('version = "1.0"').schemaVersion).toBe("1.0");
    expect(config("version = 1.0").schemaVersion).toBe("1.0");
    expect(config('version = "1.0"\nschema_version = "1.3"').schemaVersion).toBe("1.3");
    expect(config('[environment]\nmemory = "4G"\nstorage = "100k"').environment).toMatchObject({ memoryMb: 4096, storageMb: 1 });
    expect(config('[environment]\nmemory = "1.5g"').environment.memoryMb).toBe(1536);
    expect(config('[environment]\nmemory = "2048K"').environment.memoryMb).toBe(2);
    expect(config('[environment]\nmemory = "2G"\nmemory_mb = 2048').environment.memoryMb).toBe(2048);
    expect(config("[environment]\nmemory = 4").environment.memoryMb).toBeUndefined();
    expect(config("[environment]\nallow_internet = false").environment.networkMode).toBe("no-network");
    expect(config("[environment]\nallow_internet = true").environment.networkMode).toBe("public");
  });

  it("lets network_mode and allowed_hosts win over allow_internet, as Harbor does", () => {
    expect(config('[environment]\nallow_internet = false\nnetwork_mode = "public"').environment.networkMode).toBe("public");
    expect(config("[environment]\nallow_internet = false\nallowed_hosts = []").environment.networkMode).toBe("public");
    expect(config('[environment]\nallow_internet = true\nnetwork_mode = "no-network"').environment.networkMode).toBe("no-network");
  });

  it("takes numbers and switches in quotes and integers where Harbor takes floats", () => {
    const { agent, environment } = config(
      '[agent]\ntimeout_sec = "90.5"\nuser = 1000\n[environment]\ncpus = 2.0\nallow_internet = "false"\nos = "Linux"',
    );
    expect(agent).toMatchObject({ timeoutSec: 90.5, user: 1000 });
    expect(environment).toMatchObject({ cpus: 2, networkMode: "no-network", os: "linux" });
  });

  it("reads an integer beyond 2^53 without losing the file", () => {
    expect(parseTaskToml("[metadata]\nseed = 9223372036854775807", "x").raw).toEqual({ metadata: { seed: 9223372036854775807n } });
  });

  it("translates the nested tables and leaves the names inside env alone", () => {
    const { environment, verifier } = config(
      '[environment.healthcheck]\ncommand = "true"\nstart_period_sec = 3\n[environment.env]\nmy_word = "w"\n[[verifier.collect]]\ncommand = "c"\ntimeout_sec = 5\n',
    );
    expect(environment.healthcheck).toEqual({
      command: "true",
      intervalSec: 5,
      timeoutSec: 30,
      startPeriodSec: 3,
      startIntervalSec: 5,
      retries: 3,
    });
    expect(environment.env).toEqual({ my_word: "w" });
    expect(verifier.collect).toEqual([{ command: "c", service: "main", timeoutSec: 5 }]);
  });

  it("gives the instruction without its canary", async () => {
    expect((await readTask(keys("canary-instruction"))).instruction).toBe('Write "done" to /answer/done.\n# canary in the middle stays\n');
  });

  it("names the task by its table, and everything else by its directory", async () => {
    expect(await readTask(keys("schema-1-4"))).toMatchObject({
      name: "spark-skills/schema-1.4",
      directory: "schema-1-4",
      dir: keys("schema-1-4"),
    });
    expect((await readTask(`${keys("cpus")}/`)).directory).toBe("cpus");
  });
});

describe("a broken task", () => {
  it("is reported with line and column of the offending key", async () => {
    const { message, code } = await faultOf("negative-timeout");
    expect(code).toBe("task-invalid");
    expect(message).toBe(
      `task.toml:7:1: verifier.timeout_sec must be > 0, got -1 (${join(FIXTURES, "broken/negative-timeout/task.toml")})`,
    );
  });

  it.each([
    ["bad-toml", /^task\.toml:3:\d+: no valid TOML/],
    ["duplicate-key", /^task\.toml:5:\d+: no valid TOML, .*redefine/],
    [
      "wrong-type",
      /^task\.toml:10:1: environment\.cpus must be a whole number|^task\.toml:10:1: environment\.cpus must be a number, got "many"/,
    ],
    ["env-number", /^task\.toml:13:1: environment\.env\.PORT must be a string, got 8080/],
    ["bad-name", /^task\.toml:12:1: task\.name must be "org\/name".*got "no-organisation"/],
    ["name-missing", /^task\.toml:11:1: task\.name is missing: it must be a string/],
    [
      "unknown-network-mode",
      /^task\.toml:10:1: environment\.network_mode must be one of "public", "no-network", "allowlist", got "intranet"/,
    ],
    ["hosts-without-allowlist", /^task\.toml:11:1: environment\.allowed_hosts needs network_mode = "allowlist"/],
    ["memory-conflict", /^task\.toml:10:1: environment\.memory contradicts memory_mb = 1024.*got "2G"/],
    ["memory-unit", /^task\.toml:10:1: environment\.memory must be a number with G, M or K.*got "2 gigs"/],
    ["healthcheck-without-command", /^task\.toml:11:1: environment\.healthcheck\.command is missing/],
    ["shared-with-environment", /^task\.toml:12:1: verifier\.environment contradicts environment_mode = "shared"/],
    ["in-array-table", /^task\.toml:16:1: verifier\.collect\[1\]\.timeout_sec must be > 0, got 0/],
  ])("%s", async (name, pattern) => {
    const { message, code } = await faultOf(name);
    expect(code).toBe("task-invalid");
    expect(message).toMatch(pattern);
  });

  it("names all faults at once, in the order of the file", async () => {
    const lines = (await faultOf("several-faults")).message.split("\n");
    expect(lines.map((line) => /^task\.toml:(\d+):1: (\S+)/.exec(line)?.slice(1))).toEqual([
      ["5", "agent.user"],
      ["11", "environment.cpus"],
      ["12", "environment.workdir"],
    ]);
    expect(lines[0]).toContain("must be a string or a number, got true");
  });

  it.each([
    ["instruction-missing", "instruction.md"],
    ["tests-missing", "tests/test.sh"],
    ["environment-missing", "environment/"],
    ["task-toml-missing", "task.toml"],
  ])("%s is a missing file", async (name, file) => {
    const { message, code } = await faultOf(name);
    expect(code).toBe("file-missing");
    expect(message).toContain(`${file} is missing in ${join(FIXTURES, "broken", name)}`);
  });

  it("without image and Dockerfile says which two there are", async () => {
    const { message, code } = await faultOf("no-image");
    expect(code).toBe("task-invalid");
    expect(message).toContain("set environment.docker_image or add environment/Dockerfile");
  });

  it("with an instruction that is not UTF-8 is refused", async () => {
    const dir = join(scratch, "latin");
    await cp(keys("cpus"), dir, { recursive: true });
    await writeFile(join(dir, "instruction.md"), Buffer.from([0x63, 0xe9]));
    await expect(readTask(dir)).rejects.toMatchObject({
      code: "task-invalid",
      message: expect.stringContaining("instruction.md is not UTF-8") as unknown,
    });
  });

  it("whose tests link to a place outside is refused, a link inside is not", async () => {
    const dir = join(scratch, "linked");
    await cp(keys("cpus"), dir, { recursive: true });
    await symlink("../instruction.md", join(dir, "tests", "inside"));
    await readTask(dir);
    await symlink("/etc/hostname", join(dir, "tests", "outside"));
    await expect(readTask(dir)).rejects.toMatchObject({
      code: "task-invalid",
      message: expect.stringContaining("tests/outside links to a place outside") as unknown,
    });
  });
});

describe("what we cannot run", () => {
  it.each([
    ["multi-step", "steps"],
    ["compose-sidecars", "environment/docker-compose.yaml"],
    ["separate-verifier", "verifier.environment_mode"],
    ["verifier-environment", "verifier.environment"],
    ["allowlist", "environment.network_mode"],
    ["phase-network", "agent.network_mode"],
    ["verifier-network", "verifier.network_mode"],
    ["gpus", "environment.gpus"],
    ["tpu", "environment.tpu"],
    ["windows", "environment.os"],
    ["mcp-servers", "environment.mcp_servers"],
    ["collect-hooks", "verifier.collect"],
    ["sidecar-artifacts", "artifacts"],
    ["prior-trajectory", "trajectory.json"],
    ["task-md", "task.md"],
  ])("%s is read, with the key %s, the reason and what to do", async (name, key) => {
    const task = await readTask(unsupported(name));
    expect(task.unsupported.map((entry) => entry.key)).toEqual([key]);
    expect(task.unsupported[0]!.reason).toMatch(/\w{3}/);
    expect(task.unsupported[0]!.fix).toMatch(/\w{3}/);
  });

  it("has a fixture for each kind", async () => {
    expect((await listTasks([join(FIXTURES, "unsupported")])).tasks).toHaveLength((await readdir(join(FIXTURES, "unsupported"))).length);
  });
});

describe("listTasks", () => {
  it("reports broken children and goes on with the others", async () => {
    const dir = join(scratch, "mixed");
    await mkdir(join(dir, "notes"), { recursive: true });
    await cp(keys("cpus"), join(dir, "good"), { recursive: true });
    for (const name of ["negative-timeout", "task-toml-missing"])
      await cp(join(FIXTURES, "broken", name), join(dir, name), { recursive: true });
    const { tasks, invalid } = await listTasks([dir]);
    expect(tasks.map((task) => task.directory)).toEqual(["good"]);
    expect(invalid.map(({ dir: path, error }) => [path, error.code])).toEqual([
      [join(dir, "negative-timeout"), "task-invalid"],
      [join(dir, "task-toml-missing"), "file-missing"],
    ]);
  });

  it("takes a task named twice, alone and in its directory, once", async () => {
    const { tasks } = await listTasks([keys("cpus"), join(FIXTURES, "keys")]);
    expect(tasks.filter((task) => task.directory === "cpus")).toHaveLength(1);
    expect(tasks[0]!.directory).toBe("cpus");
  });

  it("throws for a path that is missing, a file, empty or itself a broken task", async () => {
    await expect(listTasks([join(scratch, "nowhere")])).rejects.toMatchObject({ code: "file-missing" });
    await expect(listTasks([keys("expected.json")])).rejects.toMatchObject({ code: "file-missing" });
    await mkdir(join(scratch, "empty"), { recursive: true });
    await expect(listTasks([join(scratch, "empty")])).rejects.toMatchObject({ code: "file-missing" });
    await expect(listTasks([join(FIXTURES, "broken", "wrong-type")])).rejects.toMatchObject({ code: "task-invalid" });
  });
});
