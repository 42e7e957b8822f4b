/**
 * Doubles and contracts for programs that build on spark-skills: a model and a sandbox that play scripts, and the contract that a sandbox
 * of your own has to pass. Nothing here needs a network, Docker or a particular test runner.
 */
export type { ContractOptions, TestFunctions } from "./tools/sandbox/contract.js";
export { sandboxContract } from "./tools/sandbox/contract.js";
export * from "./tools/sandbox/scripted.js";
export type { ScriptedCall, ScriptedMessage, ScriptedModel, ScriptedModelOptions, ScriptedReply } from "./tools/scripted-model.js";
export { createScriptedModel } from "./tools/scripted-model.js";
