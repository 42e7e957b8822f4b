import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { planRun } from "../../cli/generation/plan.js";
import { startRun } from "../../cli/generation/run.js";
import { type LogReading, linesOf, readWholeLog } from "../../formats/trajectory/read-log.js";
import { LOG_FILE } from "../../formats/trajectory/run-log.js";
import type { SkillGenerationState } from "../../state/skill-generation.js";
import { copyOfProject, type DevServer, startDevServer } from "../support/dev-server.js";
import { isTeacher, type ModelEndpoint, startModelEndpoint, stepOf } from "../support/model-endpoint.js";
import { conversationOf, isRetry, scriptedTeacher } from "../support/scripted-teacher.js";

const root = resolve(import.meta.dirname, "../..");
const task = join(root, "examples/tasks/log-report");
/** The embedded sandbox: no Docker is needed, and its Python has to work inside the server too. */
const context = { model: "teacher", sandbox: "virtual", maxAttempts: 2 };

/** What the teacher waits for before it answers in its second attempt. */
let held: Promise<void> | null = null;
let server: DevServer;
let endpoint: ModelEndpoint;
beforeAll(async () => {
  const report = await readFile(join(task, "solution/report.py"), "utf8");
  const teacher = scriptedTeacher({
    solve: () => [`cat > /tmp/report.py <<'END_OF_FILE'\n${report}END_OF_FILE`, "python3 /tmp/report.py"],
  });
  endpoint = await startModelEndpoint({
    async reply(request, index) {
      if (held !== null && isTeacher(request) && isRetry(request) && stepOf(request) === 1) await held;
      return teacher(request, index);
    },
  });
  const dir = await copyOfProject();
  server = await startDevServer(dir, { OPENAI_BASE_URL: endpoint.url, XDG_CACHE_HOME: join(dir, "cache") });
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await endpoint?.close();
});

const logOf = (thread: string): Promise<LogReading> => readWholeLog(join(server.dir, "runs", thread, "log-report", LOG_FILE));
/** What a reader of the log is told, without identities and times. */
const storyOf = ({ lines }: LogReading): string[] =>
  lines.map((line) => {
    const { type, attempt, command, exit_code, status, reward, node, passed } = line as unknown as Record<string, unknown>;
    return JSON.stringify({ type, attempt, command, exit_code, status, reward, node, passed });
  });

describe("the graph in the development server", () => {
  it("is there under the name that langgraph.json gives it", async () => {
    expect(await server.client.assistants.search()).toMatchObject([{ graph_id: "skill-generation", name: "skill-generation" }]);
  });

  it("shows its settings as a form: defaults, choices, limits, prompts with the node they belong to; the input is the task alone", async () => {
    const [assistant] = await server.client.assistants.search();
    const schemas = await server.client.assistants.getSchemas(assistant!.assistant_id);
    const context = (schemas as { context_schema?: unknown }).context_schema;
    for (const form of [context, schemas.config_schema] as { properties: Record<string, Record<string, unknown>> }[]) {
      expect(form.properties["maxAttempts"]).toMatchObject({ type: "integer", default: 3, exclusiveMinimum: 0 });
      expect(form.properties["pdi"]).toMatchObject({ enum: ["off", "observe", "on"], default: "on" });
      expect(form.properties["sandbox"]).toMatchObject({ enum: ["auto", "docker", "virtual"], default: "auto" });
      expect(form.properties["exploreSystemPrompt"]).toMatchObject({ langgraph_type: "prompt", langgraph_nodes: ["explore"], default: "" });
      expect(form.properties["distillUserPrompt"]).toMatchObject({ langgraph_type: "prompt", langgraph_nodes: ["distill"] });
      for (const [name, field] of Object.entries(form.properties)) expect(field, name).toHaveProperty("default");
    }
    expect(Object.keys((schemas.input_schema as { properties: object }).properties)).toEqual(["task"]);
    expect(Object.keys((schemas.state_schema as { properties: object }).properties)).toContain("attempts");
  });

  it("is drawn as it runs, the agent's loop inside explore", async () => {
    const [assistant] = await server.client.assistants.search();
    const { nodes, edges } = await server.client.assistants.getGraph(assistant!.assistant_id, { xray: true });
    const names = nodes.map(({ id }) => String(id));
    expect(names).toEqual(
      expect.arrayContaining([
        "verify",
        "reflect-memo",
        "pdi-check",
        "intervene",
        "distill",
        "gate",
        "explore:call-model",
        "explore:run-tools",
      ]),
    );
    const drawn = edges.map(({ source, target, conditional }) =>
      `${source} ${conditional ? "?" : "-"}> ${target}`.replaceAll(/explore:__(start|end)__/g, "explore"),
    );
    expect(drawn.filter((edge) => !edge.includes("explore:")).sort()).toEqual(
      [
        "__start__ -> explore",
        "explore -> verify",
        "verify ?> distill",
        "verify ?> reflect-memo",
        "verify ?> explore",
        "verify ?> __end__",
        "reflect-memo -> pdi-check",
        "pdi-check ?> intervene",
        "pdi-check ?> explore",
        "intervene -> explore",
        "distill ?> gate",
        "distill ?> __end__",
        "gate ?> distill",
        "gate ?> __end__",
      ].sort(),
    );
    expect(drawn).toEqual(expect.arrayContaining(["explore:call-model ?> explore:run-tools", "explore:run-tools ?> explore:call-model"]));
  });
});

describe("a run from the SDK that streams", () => {
  let thread: string;
  const updates: string[] = [];
  const modes = new Set<string>();
  let state: SkillGenerationState;
  beforeAll(async () => {
    thread = (await server.client.threads.create()).thread_id;
    const stream = server.client.runs.stream(thread, "skill-generation", {
      input: { task },
      context,
      streamMode: ["updates", "custom", "messages"],
      streamSubgraphs: true,
    } as never) as AsyncIterable<{ event: string; data: Record<string, unknown> }>;
    for await (const { event, data } of stream) {
      modes.add(event.split("|")[0]!);
      if (event === "updates") updates.push(...Object.keys(data));
      if (event === "error") throw new Error(JSON.stringify(data));
    }
    state = (await server.client.threads.getState(thread)).values as unknown as SkillGenerationState;
  });

  it("tells which node has finished, and the messages of its models", () => {
    expect(updates).toEqual(["explore", "verify", "reflect-memo", "pdi-check", "explore", "verify", "distill", "gate"]);
    expect(
      [...modes].some((mode) => mode.startsWith("messages")),
      [...modes].join(),
    ).toBe(true);
  });

  it("solves an example task and publishes a skill", async () => {
    expect(state.attempts.map(({ status, rollout }) => [status, rollout.backend])).toEqual([
      ["FAIL", "virtual"],
      ["PASS", "virtual"],
    ]);
    expect(state.gateReport).toMatchObject({ passed: true, path: "skills/column-sums" });
    expect(await readFile(join(server.dir, "runs", thread, "log-report/skills/column-sums/SKILL.md"), "utf8")).toContain(
      "name: column-sums",
    );
  });

  it("is logged in the thread's folder as the command logs it", async () => {
    const outDir = await mkdtemp(join(tmpdir(), "spark-dev-cli-"));
    const env = { OPENAI_BASE_URL: endpoint.url, XDG_CACHE_HOME: join(server.dir, "cache") };
    const config = await planRun({ paths: [task], outDir, parallel: 1, runName: "cli", settings: context as never }, env);
    const observer = { line: () => {}, say: () => {}, task: () => {} };
    try {
      expect((await startRun(outDir, config, { env, observer })).exitCode).toBe(0);
      const byCommand = storyOf(await readWholeLog(join(outDir, "cli", "log-report", LOG_FILE)));
      expect(storyOf(await logOf(thread))).toEqual(byCommand);
    } finally {
      await rm(outDir, { recursive: true, force: true });
    }
  });
});

it("a run is cancelled in the middle of an attempt and goes on there: no attempt and no command again", async () => {
  let release = () => {};
  held = new Promise((resolveHeld) => (release = resolveHeld));
  const arrived = endpoint.requests.length;
  const { thread_id } = await server.client.threads.create();
  const run = await server.client.runs.create(thread_id, "skill-generation", { input: { task }, context } as never);
  const isHeld = () => endpoint.requests.slice(arrived).some((request) => isTeacher(request) && isRetry(request) && stepOf(request) === 1);
  for (const deadline = Date.now() + 120_000; !isHeld(); await sleep(100))
    if (Date.now() > deadline) throw new Error(`the run never came so far:\n${server.printed().slice(-3000)}`);
  await server.client.runs.cancel(thread_id, run.run_id, true);
  expect((await server.client.threads.get(thread_id)).status).not.toBe("busy");
  expect((await server.client.threads.getState(thread_id)).next).toEqual(["explore"]);
  held = null;
  release();
  const final = (await server.client.runs.wait(thread_id, "skill-generation", {
    input: null,
    context,
  } as never)) as unknown as SkillGenerationState;
  expect(final.attempts.map(({ status }) => status)).toEqual(["FAIL", "PASS"]);
  const reading = await logOf(thread_id);
  expect(linesOf(reading.lines, "execution_result").map(({ attempt, status }) => [attempt, status])).toEqual([
    [0, "FAIL"],
    [1, "PASS"],
  ]);
  expect(linesOf(reading.lines, "command").map(({ attempt, index }) => [attempt, index])).toEqual([
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ]);
  const first = endpoint.requests.slice(arrived).filter((request) => isTeacher(request) && isRetry(request) && stepOf(request) === 0);
  expect(first.map(conversationOf)).toHaveLength(1);
});

describe("settings", () => {
  const failure = async (input: unknown, given: Record<string, unknown>): Promise<string> => {
    const { thread_id } = await server.client.threads.create();
    const answer = await server.client.runs.wait(thread_id, "skill-generation", { input, context: given, raiseError: false } as never);
    expect((await server.client.threads.get(thread_id)).status).toBe("error");
    return JSON.stringify(answer);
  };

  it("of an assistant reach the nodes as configurable and as context", async () => {
    const settings = { agent: "nop", sandbox: "virtual", preflight: false, maxAttempts: 1 };
    for (const saved of [{ config: { configurable: settings } }, { context: settings }]) {
      const assistant = await server.client.assistants.create({ graphId: "skill-generation", ...saved } as never);
      const { thread_id } = await server.client.threads.create();
      const final = (await server.client.runs.wait(thread_id, assistant.assistant_id, {
        input: { task },
      })) as unknown as SkillGenerationState;
      expect(final.attempts, JSON.stringify(final).slice(0, 1000)).toMatchObject([
        { status: "FAIL", rollout: { agent: "nop", backend: "virtual" } },
      ]);
    }
  });

  it("that are wrong end the run with the name of the wrong one", async () => {
    expect(await failure({ task }, { ...context, maxAttempts: "many" })).toContain("maxAttempts");
  });

  it("without a model end the run with what to do", async () => {
    expect(await failure({ task }, { sandbox: "virtual", preflight: false })).toContain(
      "no model for the teacher: pass -m MODEL or set SPARK_MODEL",
    );
  });

  it("and a task that is not there end the run with its path", async () => {
    expect(await failure({ task: "/nowhere/at-all" }, context)).toContain("/nowhere/at-all");
  });
});

it("an installed package's graph is served when a user's own langgraph.json names its file", async () => {
  const dir = await mkdtemp(join(tmpdir(), "spark-dev-user-"));
  const installed = join(dir, "node_modules/spark-skills");
  await mkdir(installed, { recursive: true });
  await cp(join(root, "dist"), join(installed, "dist"), { recursive: true });
  await cp(join(root, "package.json"), join(installed, "package.json"));
  for (const name of await readdir(join(root, "node_modules")))
    await symlink(join(root, "node_modules", name), join(dir, "node_modules", name));
  await writeFile(join(dir, "package.json"), JSON.stringify({ name: "user", type: "module", private: true }));
  const documented = /```json\n([\s\S]+?)```/.exec(await readFile(join(root, "docs/langgraph-server.md"), "utf8"))![1]!;
  await writeFile(join(dir, "langgraph.json"), documented);
  await using user = await startDevServer(dir, {});
  const [assistant] = await user.client.assistants.search();
  expect(assistant).toMatchObject({ graph_id: "skill-generation" });
  const { context_schema } = (await user.client.assistants.getSchemas(assistant!.assistant_id)) as {
    context_schema?: { properties: object };
  };
  expect(Object.keys(context_schema!.properties)).toContain("maxAttempts");
  const { nodes } = await user.client.assistants.getGraph(assistant!.assistant_id, { xray: true });
  expect(nodes.map(({ id }) => id)).toContain("explore:run-tools");
  const { thread_id } = await user.client.threads.create();
  const input = { input: { task }, context: { sandbox: "virtual", preflight: false }, raiseError: false };
  const answer = await user.client.runs.wait(thread_id, "skill-generation", input as never);
  expect(JSON.stringify(answer)).toContain("no model for the teacher");
  expect(await readdir(join(dir, "runs"))).toEqual([thread_id]);
});
