import { END, START, StateGraph } from "@langchain/langgraph";
import { RunLog } from "../formats/trajectory/run-log.js";
import { createDistill } from "../nodes/skill-generation/distill.js";
import { createGate } from "../nodes/skill-generation/gate.js";
import { createIntervene } from "../nodes/skill-generation/intervene.js";
import { createPdiCheck } from "../nodes/skill-generation/pdi-check.js";
import { createReflectMemo } from "../nodes/skill-generation/reflect-memo.js";
import { createExplore } from "../nodes/trial/explore.js";
import { createVerify } from "../nodes/trial/verify.js";
import { isSolved } from "../state/attempt.js";
import type { ErrorCode } from "../state/errors.js";
import { settingsOf } from "../state/settings.js";
import {
  infrastructureFailuresInARow,
  MAX_INFRASTRUCTURE_RETRIES,
  nextAttempt,
  retriesOfAttempt,
  type SkillGenerationState,
  skillGenerationInput,
  skillGenerationSettingsSchema,
  skillGenerationState,
} from "../state/skill-generation.js";
import type { Capabilities } from "../tools/capabilities.js";
import { createCapabilities, tableCostUsd } from "./capabilities.js";
import { compileObserved } from "./observed.js";
import { createShellAgentGraph } from "./shell-agent.js";

/** Infrastructure failures that another try cannot mend. */
const FINAL_FAILURES: ReadonlySet<string> = new Set<ErrorCode>(["task-unsolvable", "sandbox-unsupported", "provider-rejected"]);
/** Lost containers do not count as failures in a row, but an attempt that loses them for ever has to end. */
const MAX_EXECUTIONS_OF_AN_ATTEMPT = 10;

type Config = Parameters<typeof settingsOf>[1];

const routeVerdict = (state: SkillGenerationState, config: Config) => {
  const last = state.attempts.at(-1);
  if (last === undefined) return END;
  if (isSolved(last)) return "distill";
  if (last.status === "INFRA_ERROR") {
    const given = FINAL_FAILURES.has(last.error?.code ?? "") || retriesOfAttempt(state.attempts) >= MAX_EXECUTIONS_OF_AN_ATTEMPT;
    return given || infrastructureFailuresInARow(state.attempts) > MAX_INFRASTRUCTURE_RETRIES ? END : "explore";
  }
  return nextAttempt(state.attempts) >= settingsOf(skillGenerationSettingsSchema, config).maxAttempts ? END : "reflect-memo";
};

const routePdi = (state: SkillGenerationState, config: Config) => {
  const observed = state.pdi.at(-1);
  const isOfLastAttempt = observed !== undefined && observed.attempt === nextAttempt(state.attempts) - 1;
  return isOfLastAttempt && observed.triggered && settingsOf(skillGenerationSettingsSchema, config).pdi === "on" ? "intervene" : "explore";
};

const routeDistilled = (state: SkillGenerationState) => (state.skill?.text ? "gate" : END);
const routeGate = (state: SkillGenerationState) => (state.gateReport?.passed === false && state.skill?.round === 0 ? "distill" : END);

/**
 * explore → verify → [pass] distill → gate → [findings, once] distill | [fail] reflect-memo → pdi-check → [triggered] intervene → explore
 * | [infrastructure, at most twice in a row] explore | [exhausted] end.
 *
 * Returns the uncompiled builder: choose checkpointer, name and interrupts when you compile it, or take the compiled graph of `createGraph`.
 */
export function createSkillGenerationGraph(capabilities: Capabilities) {
  const shellAgent = createShellAgentGraph().compile();
  return new StateGraph({ state: skillGenerationState, input: skillGenerationInput, context: skillGenerationSettingsSchema })
    .addNode("explore", createExplore(capabilities, shellAgent), { subgraphs: [shellAgent] })
    .addNode("verify", createVerify(capabilities))
    .addNode("reflect-memo", createReflectMemo(capabilities))
    .addNode("pdi-check", createPdiCheck(capabilities))
    .addNode("intervene", createIntervene(capabilities))
    .addNode("distill", createDistill(capabilities))
    .addNode("gate", createGate(capabilities))
    .addEdge(START, "explore")
    .addEdge("explore", "verify")
    .addConditionalEdges("verify", routeVerdict as never, ["distill", "reflect-memo", "explore", END])
    .addEdge("reflect-memo", "pdi-check")
    .addConditionalEdges("pdi-check", routePdi as never, ["intervene", "explore"])
    .addEdge("intervene", "explore")
    .addConditionalEdges("distill", routeDistilled, ["gate", END])
    .addConditionalEdges("gate", routeGate, ["distill", END]);
}

let served: Capabilities | undefined;

/**
 * For langgraph.json: the compiled graph with its run log, without a checkpointer (the server brings its own). Reads the environment when
 * it is first called. A server calls it for every request; the sandboxes are the same each time, so a cancelled run finds its container.
 */
export function createGraph() {
  served ??= createCapabilities();
  const capabilities = served;
  const log = new RunLog({ runsDir: capabilities.runsDir, redact: capabilities.redact, costUsd: tableCostUsd });
  return compileObserved(createSkillGenerationGraph(capabilities), { name: "skill-generation", log });
}
