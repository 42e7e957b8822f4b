import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseCtrf } from "../../formats/harbor/ctrf.js";
import { readTask } from "../../formats/harbor/read-task.js";
import type { TestResult } from "../../state/attempt.js";
import { createDockerProvider } from "../../tools/sandbox/docker.js";
import type { ImageRef, Sandbox, SandboxProvider } from "../../tools/sandbox/sandbox.js";
import { createVirtualProvider } from "../../tools/sandbox/virtual.js";
import { noDocker } from "../integration/docker-engine.js";

const tasksDir = join(import.meta.dirname, "../../examples/tasks");
const tasks = readdirSync(tasksDir).sort();
const run = `example-tasks-${process.pid}`;

const text = async (sandbox: Sandbox, path: string): Promise<string> => Buffer.from((await sandbox.readFile(path)) ?? []).toString("utf8");

/** One trial as Harbor runs it, in fresh mode: an agent that is a script or nothing, then the verifier on what it left. */
async function runTrial(
  provider: SandboxProvider,
  image: ImageRef,
  dir: string,
  oracle: boolean,
): Promise<{ reward: string; tests: TestResult[]; log: string }> {
  const name = `${run}-${Math.random().toString(36).slice(2)}`;
  const options = { image, run, env: {}, network: "none" as const, leaseMs: 0 };
  const agent = await provider.create({ ...options, name: `${name}-agent` });
  let snapshot: string | undefined;
  try {
    await agent.exec("mkdir -p /logs/agent /logs/verifier /logs/artifacts", { user: "root" });
    if (oracle) {
      await agent.copyIn(join(dir, "solution"), "/solution");
      await agent.exec("chmod +x /solution/solve.sh", { user: "root" });
      await agent.exec("(/solution/solve.sh) > /logs/agent/oracle.txt 2>&1");
    }
    const log = await text(agent, "/logs/agent/oracle.txt");
    snapshot = (await agent.snapshot(`${name}-snapshot`)).snapshot;
    await using judge = (await provider.judge({ ...options, name: `${name}-judge`, snapshot, testsDir: join(dir, "tests") })).sandbox;
    await judge.exec("rm -rf /tests /logs/verifier; mkdir -p /tests /logs/verifier", { user: "root" });
    await judge.copyIn(join(dir, "tests"), "/tests", { replace: true });
    await judge.exec("chmod +x /tests/test.sh", { user: "root" });
    await judge.exec("(/tests/test.sh) > /logs/verifier/test-stdout.txt 2>&1");
    const stdout = await text(judge, "/logs/verifier/test-stdout.txt");
    return {
      reward: (await text(judge, "/logs/verifier/reward.txt")).trim(),
      tests: parseCtrf(await text(judge, "/logs/verifier/ctrf.json")),
      log: `${log}\n${stdout}`,
    };
  } finally {
    await agent.close();
    if (snapshot !== undefined) await provider.removeSnapshot(snapshot);
  }
}

const backends = {
  docker: { skip: noDocker, create: () => createDockerProvider({ env: process.env }) },
  virtual: { skip: false, create: createVirtualProvider },
};

describe.each(["docker", "virtual"] as const)("example tasks on %s", (backend) => {
  const { skip, create } = backends[backend];
  describe.skipIf(skip).each(tasks)("%s", (task) => {
    const dir = join(tasksDir, task);
    const provider = create();
    let image: ImageRef;
    beforeAll(async () => {
      const { config, hasDockerfile, unsupported } = await readTask(dir);
      expect(unsupported).toEqual([]);
      image = await provider.prepare({
        contextDir: join(dir, "environment"),
        hasDockerfile,
        buildTimeoutMs: config.environment.buildTimeoutSec * 1000,
      });
    });
    afterAll(async () => {
      await provider.removeRun(run);
      await provider.close();
    });

    it("gives the oracle 1, with every test passed", async () => {
      const { reward, tests, log } = await runTrial(provider, image, dir, true);
      expect({ reward, failed: tests.filter(({ status }) => status !== "passed") }, log).toEqual({ reward: "1", failed: [] });
      expect(tests.length).toBeGreaterThan(3);
    });

    it("gives nop 0, and every failed test says why", async () => {
      const { reward, tests, log } = await runTrial(provider, image, dir, false);
      const failed = tests.filter(({ status }) => status === "failed");
      expect(reward, log).toBe("0");
      expect(failed.length, log).toBeGreaterThan(0);
      expect(failed.filter(({ message }) => message.trim() === "")).toEqual([]);
    });
  });
});
