import type { ArtifactRef } from "../../state/artifact.js";
import { type AttemptRecord, isSolved, scoredAttempts } from "../../state/attempt.js";
import { cutText } from "../../state/cut-text.js";
import type { PdiRecord } from "../../state/pdi.js";
import type { GateReport, ModelCall, SkillRecord } from "../../state/skill.js";
import type { GuidanceRecord, MemoRecord } from "../../state/skill-generation.js";
import type { TaskDirectory } from "../run-directory.js";
import type { WireRef } from "./events.js";
import type { IdentifiedLine } from "./log-file.js";

/** Characters of a text that stands in a line; the whole is named beside it. */
const TEXT_CHARACTERS = 32_000;
const REPORT_BYTES = 200_000;

/** What a graph's state or a node's update holds of our records, wherever the node stands. */
export interface LoggedState {
  attempts?: readonly AttemptRecord[];
  memos?: readonly MemoRecord[];
  pdi?: readonly PdiRecord[];
  guidance?: readonly GuidanceRecord[];
  skill?: SkillRecord | null;
  gateReport?: GateReport | null;
}

const wireRef = (ref: ArtifactRef | null): WireRef | null =>
  ref === null ? null : { path: ref.path, sha256: ref.sha256, bytes: ref.bytes };
const within = async (store: TaskDirectory, ref: ArtifactRef | null, keep: "end" | "start" = "end") =>
  cutText(await store.text(ref), TEXT_CHARACTERS, keep);

/** Every line that these records demand, in order. The same records always give the same lines, so a log can be reconciled from a checkpoint. */
export async function linesOfState(state: LoggedState, store: TaskDirectory): Promise<IdentifiedLine[]> {
  const lines: IdentifiedLine[] = [];
  for (const record of state.attempts ?? []) lines.push(await attemptLine(record, store));
  for (const [index, memo] of (state.memos ?? []).entries())
    lines.push(...(await memoLines(memo, state.memos?.[index - 1] ?? null, store)));
  for (const record of state.pdi ?? []) lines.push(pdiLine(record));
  for (const { id, afterAttempt, level, text } of state.guidance ?? [])
    lines.push({ type: "intervention", id: `intervention:${id}`, attempt: afterAttempt, level, text });
  if (state.skill) lines.push(...(await skillLines(state.skill, store)));
  if (state.gateReport) {
    const { id, passed, findings, path } = state.gateReport;
    lines.push({ type: "gate", id: `gate:${id}`, passed, findings, path });
  }
  return lines;
}

async function attemptLine(record: AttemptRecord, store: TaskDirectory): Promise<IdentifiedLine> {
  const { attempt, retry, error, rollout } = record;
  if (record.status === "INFRA_ERROR")
    return { type: "infra_failure", id: `infra_failure:${record.id}`, attempt, retry, error: error ?? { code: "internal", message: "" } };
  return {
    type: "execution_result",
    id: `execution_result:${record.id}`,
    attempt,
    success: isSolved(record),
    reward: record.reward,
    status: record.status,
    n_passed: record.passed,
    n_tests: record.total,
    agent_stdout_full: await within(store, rollout.output),
    agent_stdout_ref: wireRef(rollout.output),
    test_stdout_full: await within(store, record.testOutput),
    test_stdout_ref: wireRef(record.testOutput),
    agent_commands: await store.text(rollout.commandText),
    agent_commands_ref: wireRef(rollout.commands),
    test_summary: await store.text(record.testSummary),
    result_json: await report(store, `${record.dir}/result.json`),
    ctrf_json: await report(store, `${record.dir}/verifier/ctrf.json`),
    retry_injection: await store.text(rollout.injection),
    error: error === null ? "" : `${error.code}: ${error.message}`,
    stop: rollout.stop,
    backend: rollout.backend,
    verifier: rollout.verifier,
    withheld: record.withheld,
    tampered: record.tampered,
  };
}

/** A JSON report of the trial directory, `{}` when there is none that can be read. */
async function report(store: TaskDirectory, path: string): Promise<unknown> {
  if (!(await store.exists(path))) return {};
  const bytes = await store.bytes(path);
  if (bytes.byteLength > REPORT_BYTES) return {};
  try {
    return JSON.parse(bytes.toString("utf8"));
  } catch {
    // The verifier wrote it; what cannot be read is no report.
    return {};
  }
}

const callFields = async (call: ModelCall, store: TaskDirectory) => ({
  model: call.model,
  system_prompt: await store.text(call.systemPrompt),
  user_prompt: await within(store, call.userPrompt, "start"),
  user_prompt_ref: wireRef(call.userPrompt),
  response: await within(store, call.response, "start"),
  response_ref: wireRef(call.response),
  input_tokens: call.inputTokens,
  output_tokens: call.outputTokens,
  latency_s: call.latencyMs / 1000,
  refused: call.refused,
});

async function memoLines(memo: MemoRecord, before: MemoRecord | null, store: TaskDirectory): Promise<IdentifiedLine[]> {
  const memoBefore = await store.text(before?.memo ?? null);
  const lines: IdentifiedLine[] = [];
  for (const [index, call] of memo.calls.entries())
    lines.push({
      type: "reflect_call",
      id: `reflect_call:${memo.id}:${index}`,
      attempt: memo.attempt,
      ...(await callFields(call, store)),
      memo_before: memoBefore,
      memo_after: call.refused === null ? await store.text(memo.memo) : memoBefore,
    });
  return lines;
}

/** The numbers of an observation with the wire's names. */
export const pdiWire = (record: PdiRecord) => ({
  step: record.step,
  proxy_exec: rounded(record.proxyExec),
  proxy_plan: rounded(record.proxyPlan),
  proxy_oss: rounded(record.proxyOss),
  raw_pdi: rounded(record.rawPdi),
  weight: rounded(record.weight),
  weighted_pdi: rounded(record.weightedPdi),
  triggered: record.triggered,
  level: record.level,
});

const pdiLine = (record: PdiRecord): IdentifiedLine => ({
  type: "pdi_snapshot",
  id: `pdi_snapshot:${record.id}`,
  attempt: record.attempt,
  ...pdiWire(record),
  method: record.method,
});

/** Four decimals, as the release records them. */
const rounded = (value: number): number => Math.round(value * 1e4) / 1e4;

async function skillLines(skill: SkillRecord, store: TaskDirectory): Promise<IdentifiedLine[]> {
  const lines: IdentifiedLine[] = [];
  for (const [index, call] of skill.calls.entries())
    lines.push({
      type: "skill_gen_call",
      id: `skill_gen_call:${skill.id}:${index}`,
      attempt: skill.attempt,
      ...(await callFields(call, store)),
    });
  return lines;
}

/** The closing line of a task. */
export function summaryLine(
  task: string,
  state: LoggedState,
  totals: { seconds: number; inputTokens: number; outputTokens: number },
  config: Record<string, unknown>,
): IdentifiedLine {
  const scored = scoredAttempts(state.attempts ?? []);
  return {
    type: "task_summary",
    id: `task_summary:${task}`,
    task_name: task,
    success: scored.some(isSolved),
    total_attempts: scored.length,
    reward_trajectory: scored.map(({ reward }) => reward),
    status_trajectory: scored.map(({ status }) => status),
    total_time_s: totals.seconds,
    total_input_tokens: totals.inputTokens,
    total_output_tokens: totals.outputTokens,
    exploration_config: config,
  };
}
