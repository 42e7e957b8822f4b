import type { LangGraphRunnableConfig } from "@langchain/langgraph";
import { readTask } from "../../formats/harbor/read-task.js";
import { verifierText } from "../../formats/harbor/verifier-text.js";
import { memoWithoutNextStrategy } from "../../formats/memo.js";
import { renderPrompt } from "../../prompts/skill-generation/prompts.js";
import { type AttemptRecord, type Rollout, scoredAttempts, type VerifierMode } from "../../state/attempt.js";
import { cutText } from "../../state/cut-text.js";
import { type ErrorCode, SparkError } from "../../state/errors.js";
import { noUsage } from "../../state/model.js";
import { settingsOf } from "../../state/settings.js";
import {
  currentMemo,
  type GuidanceRecord,
  type MemoRecord,
  nextAttempt,
  retriesOfAttempt,
  type SkillGenerationSettings,
  type SkillGenerationUpdate,
  skillGenerationSettingsSchema,
} from "../../state/skill-generation.js";
import type { HarborTask } from "../../state/task.js";
import type { Writes } from "../../state/writes.js";
import type { Capabilities } from "../../tools/capabilities.js";
import { converse, isBegun, type ShellAgentRunnable } from "../../tools/converse.js";
import { decideVerifier } from "../../tools/preflight.js";
import { producedFiles } from "../../tools/produced-files.js";
import { type RunPlace, runPlaceOf } from "../../tools/run-place.js";
import { agentTimeoutMs, runSolution } from "../../tools/run-solution.js";
import type { ImageRef, Sandbox } from "../../tools/sandbox/sandbox.js";
import { checkTemplates, leaseFor, listSkills, prepareImage, startEnvironment, type TrialPlace } from "../../tools/trial-environment.js";

/** The part of a graph's state that explore reads. Memos and guidance may be missing: a single trial has none. */
export interface ExploreSlice {
  task: string;
  attempts: AttemptRecord[];
  memos?: MemoRecord[];
  guidance?: GuidanceRecord[];
}

/**
 * One agent run in the task's container: `spark` explores with a model, `oracle` runs the task's solution, `nop` does nothing. It ends
 * with a snapshot (fresh) or the living container (shared), so verify needs nothing of this process. An infrastructure failure travels
 * in the rollout; an abort, a reached cap and a full disk are thrown and leave the container to its lease.
 */
export const createExplore =
  (capabilities: Capabilities, agent: ShellAgentRunnable) =>
  async (state: ExploreSlice, config: LangGraphRunnableConfig): Promise<Writes<SkillGenerationUpdate, "rollout">> => {
    const settings = settingsOf(skillGenerationSettingsSchema, config);
    const place = runPlaceOf(config, state.task, capabilities);
    const task = await readTask(state.task);
    const rollout = emptyRollout(state, settings, place);
    try {
      const provider = await capabilities.sandbox(settings.sandbox, task);
      const before = scoredAttempts(state.attempts).at(-1);
      if (before !== undefined && before.rollout.backend !== provider.name)
        throw new SparkError(
          `earlier attempts ran on ${before.rollout.backend}, now only ${provider.name} answers; rewards of different backends are never mixed: start ${before.rollout.backend} again or a new run`,
          {
            code: "docker-unavailable",
          },
        );
      const trial: TrialPlace = {
        provider,
        task,
        settings,
        run: place.address.run,
        hostEnvironment: capabilities.hostEnvironment(settings.allowEnv),
        ownKeyNames: capabilities.ownKeyNames,
        signal: config.signal,
      };
      checkTemplates(trial);
      rollout.backend = provider.name;
      const explored = await explore({ capabilities, agent, state, settings, place, task, trial, config }, rollout);
      return { rollout: { ...explored, finishedAt: new Date().toISOString() } };
    } catch (error) {
      if (config.signal?.aborted || !isInfrastructure(error)) throw error;
      return {
        rollout: {
          ...rollout,
          stop: "error",
          stopDetail: error.message,
          error: { code: error.code, message: error.message },
          infrastructure: true,
          finishedAt: new Date().toISOString(),
        },
      };
    }
  };

interface Exploration {
  capabilities: Capabilities;
  agent: ShellAgentRunnable;
  state: ExploreSlice;
  settings: SkillGenerationSettings;
  place: RunPlace;
  task: HarborTask;
  trial: TrialPlace;
  config: LangGraphRunnableConfig;
}

async function explore(exploration: Exploration, rollout: Rollout): Promise<Rollout> {
  const { capabilities, place, trial, settings } = exploration;
  const image = await prepareImage(trial);
  const decision = await decideVerifier(trial, image, place.store, capabilities.preflights);
  const snapshotBefore = await trial.provider.findSnapshot(place.container);
  const sandbox = await attachOrStart(exploration, image, decision.mode, snapshotBefore !== null);
  let keep = false;
  try {
    const work = settings.agent === "spark" ? await runModel(exploration, rollout, sandbox) : await runScript(exploration, sandbox);
    exploration.config.signal?.throwIfAborted();
    const listening = snapshotBefore === null ? await sandbox.listeners() : [];
    const produced = await place.store.put(JSON.stringify(await producedFiles(sandbox)), "json");
    const snapshot = decision.mode === "shared" ? null : (snapshotBefore ?? (await sandbox.snapshot(place.container)).snapshot);
    keep = true;
    return {
      ...rollout,
      ...work,
      isolation: [...sandbox.isolation],
      verifier: decision.mode,
      verifierProven: decision.proven,
      snapshot,
      container: place.container,
      listening,
      produced,
    };
  } catch (error) {
    // What can be resumed keeps its container for the lease; a recorded infrastructure failure removes it.
    keep = exploration.config.signal?.aborted === true || !isInfrastructure(error);
    throw SparkError.isInstance(error) && error.code === "sandbox-lost"
      ? new SparkError(error.message, { code: "sandbox-failed", cause: error })
      : error;
  } finally {
    await (keep ? sandbox.detach() : sandbox.close());
  }
}

/** The attempt's container: found again after a crash, or a new one. Throws `sandbox-lost` when a begun conversation has lost its machine. */
async function attachOrStart(
  { agent, config, place, trial, settings }: Exploration,
  image: ImageRef,
  mode: VerifierMode,
  finished: boolean,
): Promise<Sandbox> {
  const leaseMs = leaseFor(mode, settings.leaseSec * 1000);
  const begun = settings.agent === "spark" && (await isBegun(agent, config));
  if (!begun) return startEnvironment(trial, image, place.container, leaseMs);
  const found = await trial.provider.find(place.container, { leaseMs });
  if (found !== null) return found;
  // Everything was done and committed before the crash: only the record is missing, any container will do to make it.
  if (finished) return startEnvironment(trial, image, place.container, leaseMs);
  throw lostWhileAway(place.container);
}

const lostWhileAway = (container: string): SparkError =>
  new SparkError(
    `container ${container} is gone (its lease ended while nobody was there); the attempt starts anew with a fresh conversation`,
    { code: "sandbox-lost" },
  );

async function runModel(exploration: Exploration, rollout: Rollout, sandbox: Sandbox): Promise<Partial<Rollout>> {
  const { agent, capabilities, config, place, settings, state, task, trial } = exploration;
  const handle = await capabilities.model("teacher", settings);
  const timeoutMs = agentTimeoutMs(trial);
  const prompts = { settings, overrides: capabilities.prompts as never };
  const injection = await injectionOf(exploration, prompts);
  const system = renderPrompt(
    "exploreSystem",
    {
      workdir: sandbox.workdir,
      maxSteps: settings.maxSteps,
      minutes: Math.ceil(timeoutMs / 60_000),
      internet: task.config.environment.networkMode !== "no-network",
    },
    prompts,
  );
  const skills = await listSkills(trial, sandbox);
  const verifier = settings.showVerifier ? await verifierText(task) : "";
  const first = renderPrompt(
    "exploreTask",
    { instruction: cutText(task.instruction, settings.instructionCharacters, "start"), injection, skills, verifier },
    prompts,
  );
  const result = await converse(
    {
      agent,
      handle,
      sandbox,
      store: place.store,
      runBudget: capabilities.budget,
      user: task.config.agent.user === undefined ? undefined : String(task.config.agent.user),
      budget: {
        maxSteps: settings.maxSteps,
        maxTokens: settings.maxAttemptTokens,
        maxCostUsd: settings.maxAttemptCostUsd,
        timeoutMs,
        contextCharacters: settings.contextCharacters,
      },
      commandTimeoutMs: settings.commandTimeoutSec * 1000,
      shownCharacters: settings.shownCharacters,
      system,
      task: first,
      attempt: nextAttempt(state.attempts),
      retry: rollout.retry,
      commandsCharacters: settings.commandsCharacters,
      taskName: task.directory,
      run: place.address.run,
    },
    config,
  );
  return {
    ...result,
    // As in Harbor, a timeout is an exception of the agent, and its answer is judged all the same.
    error: result.stop === "time" ? { code: "AgentTimeoutError", message: result.stopDetail } : null,
    injection: injection === "" ? rollout.injection : await place.store.put(injection),
  };
}

/** oracle and nop, as Harbor has them. */
async function runScript({ settings, trial, place }: Exploration, sandbox: Sandbox): Promise<Partial<Rollout>> {
  if (settings.agent === "nop") return { stop: "finished" };
  const result = await runSolution(trial, sandbox, agentTimeoutMs(trial));
  const output = await place.store.put(
    new TextDecoder().decode((await sandbox.readFile("/logs/agent/oracle.txt", { maxBytes: 50_000_000 })) ?? new Uint8Array()),
  );
  if (result.timedOut)
    return {
      stop: "time",
      stopDetail: "the solution did not end in time",
      output,
      error: { code: "AgentTimeoutError", message: "the solution did not end in time" },
    };
  return { stop: "finished", stopDetail: result.exitCode === 0 ? "" : `solution/solve.sh ended with ${result.exitCode}`, output };
}

/** What the attempt is told about the ones before: memo, attempts left, an intervention made after the last one. */
async function injectionOf(
  { state, settings, place }: Exploration,
  prompts: { settings: SkillGenerationSettings; overrides: never },
): Promise<string> {
  const last = scoredAttempts(state.attempts).at(-1);
  if (last === undefined) return "";
  const memo = await place.store.text(currentMemo(state.memos ?? [])?.memo ?? null);
  const guidance = state.guidance?.findLast((record) => record.afterAttempt === last.attempt);
  return renderPrompt(
    "retryInjection",
    {
      memo: guidance?.level === "strong" ? memoWithoutNextStrategy(memo) : memo,
      testSummary: memo === "" ? await place.store.text(last.testSummary) : "",
      attempt: last.attempt + 2,
      maxAttempts: settings.maxAttempts,
      intervention: guidance?.text ?? "",
      strategyWithheld: guidance?.level === "strong",
    },
    prompts,
  );
}

/** Failures that the user has to mend first: they stop the run, which is then resumed, instead of using up a task. */
const STOPS_THE_RUN: ReadonlySet<string> = new Set<ErrorCode>([
  "disk",
  "docker-unavailable",
  "image-missing",
  "model-missing",
  "provider-credentials",
]);

/** Whether an error of this code stops the run instead of being recorded. */
export const stopsTheRun = (code: string): boolean => STOPS_THE_RUN.has(code);

/** A failure that says nothing about the agent: it costs no attempt. */
const isInfrastructure = (error: unknown): error is SparkError =>
  SparkError.isInstance(error) && (error.kind === "provider" || error.kind === "environment") && !stopsTheRun(error.code);

const emptyRollout = (state: ExploreSlice, settings: SkillGenerationSettings, place: RunPlace): Rollout => ({
  id: place.id,
  attempt: nextAttempt(state.attempts),
  retry: retriesOfAttempt(state.attempts),
  agent: settings.agent,
  model: null,
  stop: "finished",
  stopDetail: "",
  backend: "docker",
  isolation: [],
  verifier: "fresh",
  verifierProven: false,
  snapshot: null,
  container: null,
  listening: [],
  steps: 0,
  commandCount: 0,
  commands: null,
  commandText: null,
  output: null,
  trajectory: null,
  produced: null,
  injection: null,
  usage: noUsage,
  runId: null,
  startedAt: new Date().toISOString(),
  finishedAt: "",
  error: null,
  infrastructure: false,
});
