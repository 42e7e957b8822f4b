/**
 * spark-skills: trajectories that an environment has verified become reusable Agent Skills.
 *
 * Take the whole graph (`createSkillGenerationGraph`), a compiled one with its log (`compileObserved`), a single node with its slice of
 * state (`createExplore`, `createVerify`, …), or the pure parts (`observePdi`). Every module can also be imported alone, e.g.
 * `spark-skills/metrics/pdi`, so that taking one node loads one node.
 *
 * @module
 */
export { readTask } from "./formats/harbor/read-task.js";
export { runGate } from "./formats/skill/gate/gate.js";
export { readLog } from "./formats/trajectory/read-log.js";
export { RunLog, type RunLogOptions } from "./formats/trajectory/run-log.js";
export { type CapabilityOptions, createCapabilities } from "./graphs/capabilities.js";
export { openCheckpointer } from "./graphs/checkpointer.js";
export { compileObserved, withRunLog } from "./graphs/observed.js";
export { createShellAgentGraph } from "./graphs/shell-agent.js";
export { createSkillGenerationGraph } from "./graphs/skill-generation.js";
export { observePdi } from "./metrics/pdi.js";
export { createDistill, type DistillSlice } from "./nodes/skill-generation/distill.js";
export { createGate, type GateSlice } from "./nodes/skill-generation/gate.js";
export { createIntervene } from "./nodes/skill-generation/intervene.js";
export { createPdiCheck, type PdiCheckSlice } from "./nodes/skill-generation/pdi-check.js";
export { createReflectMemo, type ReflectMemoSlice } from "./nodes/skill-generation/reflect-memo.js";
export { createExplore, type ExploreSlice } from "./nodes/trial/explore.js";
export { runTrial, type Trial, type TrialRequest } from "./nodes/trial/run-trial.js";
export { createVerify, type VerifySlice } from "./nodes/trial/verify.js";
export { type AttemptRecord, attemptRecordSchema, type Rollout, rolloutSchema } from "./state/attempt.js";
export { field, reduced, upsertById } from "./state/channels.js";
export { type ErrorCode, SparkError } from "./state/errors.js";
export {
  type GuidanceRecord,
  guidanceRecordSchema,
  type MemoRecord,
  memoRecordSchema,
  type SkillGenerationContext,
  type SkillGenerationSettings,
  type SkillGenerationState,
  type SkillGenerationUpdate,
  skillGenerationInput,
  skillGenerationSettingsSchema,
  skillGenerationState,
} from "./state/skill-generation.js";
export type { HarborTask } from "./state/task.js";
export type { Capabilities, ModelHandle, PromptOverrides, RunBudget } from "./tools/capabilities.js";
export type { ShellAgentRunnable } from "./tools/converse.js";
export type { ExecResult, Sandbox, SandboxProvider, Shell } from "./tools/sandbox/sandbox.js";
