import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { messageOf } from "../../state/errors.js";
import { createDockerProvider } from "../../tools/sandbox/docker.js";
import type { FileChange, ImageRef, Listener, Sandbox } from "../../tools/sandbox/sandbox.js";
import { baseImage, provider, testRun, text } from "./docker-engine.js";

/** One trial as verify does it. */
export interface Outcome {
  reward: string;
  output: string;
  withheld: string[];
  tampered: string[];
  changes: FileChange[];
  listening: Listener[];
}

export interface TrialOptions {
  /** The agent's user. */
  user?: string;
  testSh?: string;
  testPy?: string;
  image?: ImageRef;
  env?: Record<string, string>;
  workdir?: string;
  /** `naive`: the tests run in the agent's own container, nothing restored; `unrestored`: in a new container, where nothing is restored either; `resumed`: judged by a process that did not make the snapshot. */
  mode?: "fresh" | "naive" | "unrestored" | "resumed" | "report";
}

/** Runs pytest as most Harbor tasks do. */
export const plainTestSh = `cd /app
if python3 -m pytest -q -p no:cacheprovider /tests/test_outputs.py; then echo 1 > /logs/verifier/reward.txt; else echo 0 > /logs/verifier/reward.txt; fi
`;
export const plainTestPy = `import argparse
import json
import subprocess
from pathlib import Path


def test_answer():
    assert Path("/app/answer.txt").read_text().strip() == "42"
    assert json.loads(subprocess.run(["bash", "-c", "echo 42"], capture_output=True, text=True).stdout) == 42
`;

export const createHarness = (file: string) => {
  const run = testRun(file);
  let counter = 0;
  let hostDir: Promise<string> | null = null;

  const writeTests = async (options: TrialOptions): Promise<string> => {
    hostDir ??= mkdtemp(join(tmpdir(), `${file}-`));
    const dir = join(await hostDir, `${counter}`);
    await mkdir(dir, { recursive: true });
    await writeFile(join(dir, "test.sh"), options.testSh ?? plainTestSh);
    await writeFile(join(dir, "test_outputs.py"), options.testPy ?? plainTestPy);
    return dir;
  };

  const verify = async (sandbox: Sandbox, testsDir: string, env: Record<string, string>): Promise<{ reward: string; output: string }> => {
    const wiped = await sandbox.exec("rm -rf /tests /logs/verifier && mkdir -p /logs/verifier", { user: "0", cwd: "/" });
    await sandbox.copyIn(testsDir, "/tests", { replace: true });
    const result = await sandbox.exec("bash /tests/test.sh", { timeoutMs: 60_000, env, user: "0" });
    const reward = await sandbox.readFile("/logs/verifier/reward.txt", { maxBytes: 100 });
    return {
      reward: text(reward ?? new Uint8Array()).trim(),
      output: `${wiped.exitCode} ${text(wiped.stderr)}${text(result.stdout)}${text(result.stderr)}`,
    };
  };

  const trial = async (script: string, options: TrialOptions = {}): Promise<Outcome> => {
    counter += 1;
    const name = `${run}-${counter}`;
    const image = options.image ?? (await baseImage());
    const common = {
      name,
      image,
      run,
      env: options.env ?? {},
      network: "none" as const,
      leaseMs: 0,
      ...(options.workdir === undefined ? {} : { workdir: options.workdir }),
    };
    const testsDir = await writeTests(options);
    const outcome: Outcome = { reward: "", output: "", withheld: [], tampered: [], changes: [], listening: [] };
    let snapshot = "";
    await using agent = await provider.create(common);
    const shell = await agent.openShell(options.user === undefined ? {} : { user: options.user });
    const done = await shell.run(script, { timeoutMs: 100_000 });
    outcome.output = `agent: ${done.exitCode} ${text(done.stdout)}${text(done.stderr)}\n`;
    if (options.mode === "report") {
      return { ...outcome, tampered: await provider.tamperReport(agent, image), changes: await agent.changes() };
    }
    if (options.mode === "naive") {
      const verdict = await verify(agent, testsDir, {}).catch((error: unknown) => ({ reward: "", output: messageOf(error) }));
      return { ...outcome, reward: verdict.reward, output: outcome.output + verdict.output };
    }
    outcome.listening = await agent.listeners();
    ({ snapshot, changes: outcome.changes } = await agent.snapshot(name));
    await agent.close();
    try {
      // Another provider stands for another process: it remembers nothing of this one's snapshots.
      const judging = options.mode === "resumed" ? createDockerProvider({ env: process.env }) : provider;
      const changes = options.mode === "unrestored" ? { changes: [] } : {};
      const judged = await judging.judge({ ...common, name: `${name}-verify`, snapshot, testsDir, ...changes });
      await using fresh = judged.sandbox;
      const verdict = await verify(fresh, testsDir, {});
      return {
        ...outcome,
        reward: verdict.reward,
        output: outcome.output + verdict.output,
        withheld: judged.withheld,
        tampered: judged.tampered,
      };
    } finally {
      await provider.removeSnapshot(snapshot);
    }
  };

  return {
    run,
    trial,
    async close(): Promise<void> {
      await provider.removeRun(run);
      if (hostDir !== null) await rm(await hostDir, { recursive: true, force: true });
    },
  };
};
