import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MemorySaver } from "@langchain/langgraph";
import { TaskDirectory, threadIdOf } from "../../formats/run-directory.js";
import { readWholeLog } from "../../formats/trajectory/read-log.js";
import { LOG_FILE, RunLog } from "../../formats/trajectory/run-log.js";
import { compileObserved } from "../../graphs/observed.js";
import { createSkillGenerationGraph } from "../../graphs/skill-generation.js";
import type { ErrorCode } from "../../state/errors.js";
import { SparkError } from "../../state/errors.js";
import type { SkillGenerationContext, SkillGenerationState } from "../../state/skill-generation.js";
import type { Capabilities } from "../../tools/capabilities.js";
import type { SandboxProvider } from "../../tools/sandbox/sandbox.js";
import { createScriptedProvider, type ScriptedOptions } from "../../tools/sandbox/scripted.js";
import { createScriptedModel, type ScriptedReply } from "../../tools/scripted-model.js";

const address = { run: "r1", task: "sums" };

export interface GenerationSetup {
  /** Every model call of every attempt, in order. */
  teacher: readonly ScriptedReply[] | ScriptedReply;
  /** Every reflection and distillation, in order. */
  summary?: readonly ScriptedReply[];
  /** What the verifier leaves, one an attempt that is judged. */
  rewards?: ScriptedOptions["rewards"];
  commands?: ScriptedOptions["commands"];
  files?: ScriptedOptions["files"];
  settings?: SkillGenerationContext;
  capabilities?: Partial<Capabilities>;
  /** Codes that making a container fails with, in order; null: it works. */
  createFailures?: readonly (ErrorCode | null)[];
  /** The settings go into `configurable` instead of `context`, as Studio sends them. */
  asConfigurable?: boolean;
  checkpointer?: MemorySaver;
  signal?: AbortSignal;
}

/** The verifier's files for a reward and its tests by name: null passed, a text is the message of a failure. */
export const verdict = (reward: number, tests: Record<string, string | null> = {}): Record<string, string> => ({
  "reward.txt": `${reward}\n`,
  "ctrf.json": JSON.stringify({
    results: {
      tool: { name: "t" },
      tests: Object.entries(tests).map(([name, message]) => ({
        name,
        status: message === null ? "passed" : "failed",
        duration: 1,
        ...(message === null ? {} : { message }),
      })),
    },
  }),
});

export const memo = (
  parts: { failed?: number; facts?: string; strategy?: string; commands?: string } = {},
): string => `## Exploration Memo (${parts.failed ?? 1} failed attempts)

### Attempts Log
- #1: summed the first column, rejected

### Commands From Last Attempt
${parts.commands ?? "python3 sum.py"}

### Verified Facts
${parts.facts ?? "- the file sums.csv has three columns, shown by head"}

### Current Error Pattern
the total differs from the expected one

### Next Strategy
${parts.strategy ?? "sum the second column instead of the first column"}`;

export const skillText = (more: { name?: string; body?: string } = {}): string => `---
name: ${more.name ?? "column-sums"}
description: "Sums one column of a delimited text file and writes the total. Use when a task asks for a total over rows."
---

# Column sums

## Workflow

1. Look at the header to find the column.
2. Sum it and write the result.

${
  more.body ??
  `\`\`\`bash
awk -F, 'NR > 1 { total += $2 } END { print total }' sums.csv > total.txt
\`\`\``
}

## Verification

Read the result back and compare it with a second way to compute it.
`;

async function makeTask(root: string): Promise<string> {
  const dir = join(root, "tasks", "sums");
  for (const folder of ["environment", "tests"]) await mkdir(join(dir, folder), { recursive: true });
  await writeFile(join(dir, "instruction.md"), "Write the sum of the second column of sums.csv to total.txt.\n");
  await writeFile(
    join(dir, "task.toml"),
    'version = "1.0"\n\n[metadata]\n\n[agent]\ntimeout_sec = 600.0\n\n[verifier]\ntimeout_sec = 60.0\n',
  );
  await writeFile(join(dir, "environment", "Dockerfile"), "FROM debian:12\nWORKDIR /app\nCOPY sums.csv /app/\n");
  await writeFile(join(dir, "environment", "sums.csv"), "name,amount\na,1\nb,2\n");
  await writeFile(
    join(dir, "tests", "test.sh"),
    '#!/bin/bash\n[ "$(cat /app/total.txt)" = "48151623" ] && echo 1 > /logs/verifier/reward.txt\n',
  );
  return dir;
}

function failingProvider(provider: SandboxProvider, failures: readonly (ErrorCode | null)[]): SandboxProvider {
  let creates = 0;
  return {
    ...provider,
    async create(options) {
      const code = failures[creates++] ?? null;
      if (code !== null) throw new SparkError(`making the container failed as scripted (${code})`, { code });
      return provider.create(options);
    },
  };
}

/** Runs the whole graph in a folder of its own with a scripted model, a scripted sandbox and the run log. */
export async function openGeneration(setup: GenerationSetup) {
  const root = await mkdtemp(join(tmpdir(), "spark-generation-"));
  const task = await makeTask(root);
  const runsDir = join(root, "runs");
  const scripted = createScriptedProvider({
    // Everything but the machinery's own commands is the agent's.
    commands: setup.commands ?? [
      {
        match: /^(?!\(\/tests|mkdir -p |rm -rf |chmod )/,
        result: (command) => ({ stdout: `ran ${command.slice(0, 40)}`, files: { "/app/total.txt": "3\n" } }),
      },
    ],
    ...(setup.files ? { files: setup.files } : {}),
    ...(setup.rewards ? { rewards: setup.rewards } : {}),
  });
  const provider = failingProvider(scripted, setup.createFailures ?? []);
  const usage = { inputTokens: 100, cachedTokens: 40, outputTokens: 10 };
  const teacher = createScriptedModel(setup.teacher, { modelName: "teacher-model", usage });
  const summary = createScriptedModel(setup.summary ?? [], { modelName: "summary-model", usage });
  const capabilities: Capabilities = {
    runsDir,
    sandbox: async () => provider,
    model: async (role) => ({
      model: (role === "teacher" ? teacher : summary) as never,
      id: role === "teacher" ? "teacher-model" : "summary-model",
      costUsd: ({ outputTokens }) => outputTokens / 1000,
    }),
    hostEnvironment: () => ({}),
    ownKeyNames: [],
    redact: (text) => text,
    ...setup.capabilities,
  };
  const log = new RunLog({ runsDir, costUsd: () => 0.01 });
  const graph = compileObserved(createSkillGenerationGraph(capabilities), {
    name: "skill-generation",
    checkpointer: setup.checkpointer ?? new MemorySaver(),
    log,
  });
  const settings = { model: "teacher-model", maxAttempts: 5, ...setup.settings };
  const config = {
    ...(setup.asConfigurable
      ? { configurable: { thread_id: threadIdOf(address), ...settings } }
      : { configurable: { thread_id: threadIdOf(address) }, context: settings }),
    ...(setup.signal ? { signal: setup.signal } : {}),
  };
  const store = new TaskDirectory(runsDir, address);
  return {
    root,
    task,
    store,
    provider,
    teacher,
    summary,
    graph,
    config,
    run: () => graph.invoke({ task }, config as never) as Promise<SkillGenerationState>,
    /** The folded log. */
    lines: async () => (await readWholeLog(store.path(LOG_FILE))).lines,
    /** Injection of an attempt, from 0. */
    injection: (state: SkillGenerationState, attempt: number) =>
      store.text(state.attempts.filter(({ status }) => status !== "INFRA_ERROR")[attempt]!.rollout.injection),
    remove: () => rm(root, { recursive: true, force: true }),
  };
}
export type Generation = Awaited<ReturnType<typeof openGeneration>>;
