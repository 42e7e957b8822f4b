import { END, START, StateGraph } from "@langchain/langgraph";
import { createCallModel } from "../nodes/shell-agent/call-model.js";
import { createRunTools, pendingToolCalls } from "../nodes/shell-agent/run-tools.js";
import { type ShellAgentState, shellAgentState } from "../state/shell-agent.js";

/** After a model call: stop, run the tool it asked for, or ask again (an unusable reply, an overflow). */
const routeAfterModel = (state: ShellAgentState) => {
  if (state.stop !== null) return END;
  return pendingToolCalls(state.messages).length > 0 ? "run-tools" : "call-model";
};
const routeAfterTools = (state: ShellAgentState) => (pendingToolCalls(state.messages).length > 0 ? "run-tools" : "call-model");

/** The agent's loop: call-model → [tool call] run-tools → call-model | [done or out of budget] end. */
export const createShellAgentGraph = () =>
  new StateGraph(shellAgentState)
    .addNode("call-model", createCallModel())
    .addNode("run-tools", createRunTools())
    .addEdge(START, "call-model")
    .addConditionalEdges("call-model", routeAfterModel, ["run-tools", "call-model", END])
    .addConditionalEdges("run-tools", routeAfterTools, ["run-tools", "call-model"]);
