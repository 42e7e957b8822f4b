import type { RecordedAttempt, RecordedReply, Recording } from "../formats/trajectory/read-recording.js";
import { SparkError } from "../state/errors.js";
import type { ModelHandle } from "./capabilities.js";
import type { SandboxProvider } from "./sandbox/sandbox.js";
import { createScriptedProvider, type ScriptedCommand } from "./sandbox/scripted.js";
import { createScriptedModel, type ScriptedReply } from "./scripted-model.js";

/** A recorded run in place of container, verifier and models. */
export interface Replay {
  /** Each container that is asked for is that of the next recorded attempt; it breaks where nothing was judged. */
  provider: SandboxProvider;
  /** Runs the attempt's recorded commands, as one: the release cut and joined them, and PDI has to see that text. */
  teacher: ModelHandle;
  /** Gives the recorded replies, a list for each attempt and one for the distillation. */
  summary: ModelHandle;
  /** Attempts that were asked for so far, in order. */
  played: readonly RecordedAttempt[];
}

/** The agent's own commands go through its shell; of what runs beside it only the verifier has something to say. */
const MACHINERY: ScriptedCommand = { match: /^(?!\(\/tests\/test\.sh\))/, result: "" };

/**
 * Doubles that play a recording once. What it lacks counts as failed: a further attempt ends the run as an environment that refuses, a
 * further reply is a provider's failure.
 */
export function createReplay(recording: Recording): Replay {
  const played: RecordedAttempt[] = [];
  const reflections = new Map([...recording.reflections].map(([attempt, replies]) => [attempt, [...replies]]));
  const distillations = [...recording.distillations];
  const scripted = createScriptedProvider({
    commands: [MACHINERY],
    rewards: recording.attempts.flatMap(({ verdict }) => (verdict === null ? [] : [verdict.files])),
  });
  const current = (): RecordedAttempt => played.at(-1)!;

  const provider: SandboxProvider = {
    ...scripted,
    async create(options) {
      const next = recording.attempts[played.length];
      // A code that the graph does not retry: asking again would not lengthen the recording.
      if (next === undefined)
        throw new SparkError(`the recording has ${played.length} attempts and no further one`, { code: "sandbox-unsupported" });
      played.push(next);
      if (next.verdict === null)
        throw new SparkError(next.exception || "the recording has no verdict for this attempt", { code: "sandbox-failed" });
      const sandbox = await scripted.create(options);
      return { ...sandbox, openShell: async () => ({ run: async () => ended(next.output), close: async () => {} }) };
    },
  };
  const explore = (called: boolean): ScriptedReply =>
    called || current().commands === "" ? "The recorded agent ended here." : { commands: [current().commands] };
  const reply = (): ScriptedReply => {
    const { attempt, verdict } = current();
    const isSolved = (verdict?.reward ?? 0) >= 1;
    return replyOf(
      (isSolved ? distillations : reflections.get(attempt))?.shift(),
      isSolved ? "distillation" : `reflection on attempt ${attempt}`,
    );
  };
  const handle = (id: string, script: ScriptedReply): ModelHandle => ({
    model: createScriptedModel(script, { modelName: id }) as never,
    id,
    costUsd: () => null,
  });
  return {
    provider,
    teacher: handle(recording.model, (messages) => explore(messages.at(-1)?.getType() === "tool")),
    summary: handle(recording.summaryModel, reply),
    played,
  };
}

const replyOf = (reply: RecordedReply | undefined, what: string): ScriptedReply =>
  reply === undefined
    ? new SparkError(`the recording has no further reply for the ${what}`, { code: "provider-unavailable" })
    : { text: reply.text, usage: { inputTokens: reply.inputTokens, outputTokens: reply.outputTokens } };

const ended = (output: string) => {
  const stdout = Buffer.from(output);
  return {
    exitCode: 0,
    stdout,
    stderr: new Uint8Array(),
    truncated: false,
    totalBytes: stdout.byteLength,
    timedOut: false,
    aborted: false,
    durationMs: 0,
  };
};
