import { createServer } from "node:net";
import { awaitAllCallbacks } from "@langchain/core/callbacks/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { createCapabilities } from "../../graphs/capabilities.js";
import type { SkillGenerationState } from "../../state/skill-generation.js";
import { type CommandPlace, openPlace, reportOf } from "../support/command-line.js";
import { type Generation, memo, openGeneration, skillText, verdict } from "../support/generation.js";
import { type LangSmithEndpoint, PROJECT_ID, startLangSmithEndpoint, type TracedRun } from "../support/langsmith-endpoint.js";
import { isDistillation, isReflection, type ModelEndpoint, runs, startModelEndpoint, stepOf } from "../support/model-endpoint.js";
import { sayReady, scriptedTeacher } from "../support/scripted-teacher.js";

/** No part of a trace is larger, whatever a command printed: 8 kB are shown to the model, the rest is a file. */
const LARGEST_PART = 64_000;
/** What the command gives the traces after its work; without that limit a dead endpoint holds it for a minute or two. */
const TRACES_MS = 5000;
const MODEL_KEY = "sk-loopback-9f27c51e";
const HEADER_KEY = "gateway-4471d0b8";

describe("a generation that is traced", () => {
  let langsmith: LangSmithEndpoint;
  let model: ModelEndpoint;
  let generation: Generation;
  let state: SkillGenerationState;
  beforeAll(async () => {
    langsmith = await startLangSmithEndpoint();
    for (const [name, value] of Object.entries(langsmith.environment)) vi.stubEnv(name, value);
    model = await startModelEndpoint({
      reply: (request) => {
        if (isReflection(request)) return { text: memo() };
        if (isDistillation(request)) return { text: skillText() };
        return stepOf(request) < 2 ? runs(`work ${stepOf(request)}`) : { text: "done" };
      },
    });
    vi.stubEnv("LOOPBACK_KEY", MODEL_KEY);
    const { feedback, model: open } = createCapabilities({
      models: [
        {
          name: "loopback",
          model: "loopback",
          baseUrl: model.url,
          apiKeyEnv: "LOOPBACK_KEY",
          options: { headers: { "x-gateway-key": HEADER_KEY } },
        },
      ],
    });
    generation = await openGeneration({
      teacher: [],
      commands: [
        {
          match: /^(?!\(\/tests|mkdir -p |rm -rf |chmod )/,
          result: (command) => (command.startsWith("work") ? `${"MARK".repeat(250_000)}` : ""),
        },
      ],
      rewards: [verdict(0, { a: "no" }), verdict(1, { a: null })],
      settings: { model: "loopback" },
      capabilities: { model: open, feedback: feedback! },
    });
    state = await generation.run();
    await awaitAllCallbacks();
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await generation?.remove();
    await model?.close();
    await langsmith?.[Symbol.asyncDispose]();
  });
  const named = (name: RegExp): TracedRun[] => [...langsmith.runs.values()].filter((run) => name.test(run.name));

  it("has a run for each attempt, by its name, with tags and metadata, inside the one trace", () => {
    const attempts = named(/^attempt \d+$/);
    expect(attempts.map(({ name }) => name)).toEqual(["attempt 0", "attempt 1"]);
    for (const [number, run] of attempts.entries()) {
      expect(run.id).toBe(state.attempts[number]!.rollout.runId);
      expect(run.tags).toEqual(expect.arrayContaining([`attempt:${number}`, "task:sums"]));
      expect(run.extra?.metadata).toMatchObject({ attempt: number, task: "sums", run: "r1" });
      expect(run.end_time).toBeDefined();
    }
    const [root] = named(/^skill-generation$/);
    for (const run of langsmith.runs.values()) expect(run.trace_id, run.name).toBe(root!.id);
  });

  it("has the verifier's reward as feedback on exactly that run", () => {
    expect(langsmith.feedback.map(({ run_id, key, score, session_id }) => ({ run_id, key, score, session_id }))).toEqual(
      state.attempts.map(({ rollout, reward }) => ({
        run_id: rollout.runId,
        key: "verifier_reward",
        score: reward,
        session_id: PROJECT_ID,
      })),
    );
    expect(new Set(langsmith.feedback.map(({ id }) => id)).size).toBe(2);
  });

  it("holds references instead of logs", () => {
    const largest = langsmith.parts.toSorted((a, b) => b.bytes - a.bytes)[0]!;
    expect(largest.bytes, largest.name).toBeLessThan(LARGEST_PART);
    expect(state.attempts[0]!.rollout.commandCount).toBe(2);
  });

  it("names no key", () => {
    expect(langsmith.bodies.length).toBeGreaterThan(0);
    expect(model.requests[0]!.headers).toMatchObject({ authorization: `Bearer ${MODEL_KEY}`, "x-gateway-key": HEADER_KEY });
    for (const key of [MODEL_KEY, HEADER_KEY, langsmith.environment["LANGSMITH_API_KEY"]!])
      expect(
        langsmith.bodies.some((body) => body.includes(key)),
        key,
      ).toBe(false);
  });
});

describe("the command with tracing on", () => {
  let place: CommandPlace;
  let model: ModelEndpoint;
  beforeAll(async () => {
    model = await startModelEndpoint({ reply: scriptedTeacher({ solve: () => sayReady }) });
    place = await openPlace({ OPENAI_BASE_URL: model.url, OPENAI_API_KEY: MODEL_KEY });
    await place.task("ready");
  });
  afterAll(async () => {
    await place?.[Symbol.asyncDispose]();
    await model?.close();
  });
  const opened: AsyncDisposable[] = [];
  afterEach(async () => {
    for (const each of opened.splice(0)) await each[Symbol.asyncDispose]();
  });
  const generate = (run: string, environment: Record<string, string>) =>
    place.start(
      [
        "generate",
        "-p",
        place.path("tasks/ready"),
        "-m",
        "scripted",
        "-k",
        "2",
        "--sandbox",
        "virtual",
        "--no-preflight",
        "--run-name",
        run,
        "--json",
      ],
      environment,
    );

  it("has sent every trace and every reward when it ends", async () => {
    const langsmith = await startLangSmithEndpoint();
    opened.push(langsmith);
    const ended = await generate("traced", langsmith.environment).ended;
    expect(ended.code, ended.stderr).toBe(0);
    const traced = [...langsmith.runs.values()];
    expect(traced.filter(({ end_time }) => end_time === undefined).map(({ name }) => name)).toEqual([]);
    expect(traced.map(({ name }) => name)).toEqual(expect.arrayContaining(["skill-generation ready", "attempt 0", "attempt 1"]));
    const attempts = traced.filter(({ name }) => name.startsWith("attempt "));
    for (const run of attempts) {
      expect(run.tags).toEqual(expect.arrayContaining(["run:traced", "task:ready"]));
      expect(run.extra?.metadata).toMatchObject({ run: "traced", task: "ready" });
    }
    expect(langsmith.feedback.map(({ run_id, score }) => [run_id, score])).toEqual(attempts.map(({ id }, number) => [id, number]));
    expect(langsmith.bodies.some((body) => body.includes(MODEL_KEY))).toBe(false);
  });

  it.each(["refuses", "hangs"])("ends as well, and soon after its work is done, when the endpoint %s", async (how) => {
    const langsmith = await startLangSmithEndpoint({ hang: true });
    opened.push(langsmith);
    const environment = {
      ...langsmith.environment,
      ...(how === "refuses" ? { LANGSMITH_ENDPOINT: `http://127.0.0.1:${await closedPort()}` } : {}),
    };
    const child = generate(`dead-${how}`, environment);
    await child.said(/solved after 2/);
    const done = performance.now();
    const ended = await child.ended;
    expect(performance.now() - done).toBeLessThan(3 * TRACES_MS);
    expect(ended.code, ended.stderr).toBe(0);
    expect(reportOf(ended).tasks).toMatchObject([{ status: "solved", attempts: 2 }]);
  });
});

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((listening) => probe.listen(0, "127.0.0.1", listening));
  const { port } = probe.address() as { port: number };
  await new Promise((closed) => probe.close(closed));
  return port;
}
