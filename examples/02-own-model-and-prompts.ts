/**
 * The whole graph with a model and a prompt of your own. The model is a plain BaseChatModel, here one that knows its lines by heart, so
 * that the example runs without a key; the first prompt of an attempt is replaced by a function of the built-in prompt's input.
 *
 * Run: npm run build && npx tsx examples/02-own-model-and-prompts.ts [runs folder]
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { BaseChatModel } from "@langchain/core/language_models/chat_models";
import { AIMessage, type BaseMessage } from "@langchain/core/messages";
import type { ChatResult } from "@langchain/core/outputs";
import { MemorySaver } from "@langchain/langgraph";
import { compileObserved, createCapabilities, createSkillGenerationGraph, RunLog } from "spark-skills";

const task = join(import.meta.dirname, "tasks/log-report");
const runsDir = process.argv[2] ?? "runs";
const program = await readFile(join(task, "solution/report.py"), "utf8");

const skill = `---
name: rotated-log-report
description: "Turns rotated access logs into an hourly report. Use when a task asks for counts and percentiles over log files."
---

# Reports on rotated logs

## Workflow

1. Read the files oldest first; the last line of a request id is the true one.
2. Convert every time to UTC before grouping, and list the hours without requests too.
3. Take percentiles by nearest rank.

## Verification

Count requests, repeated lines and malformed lines: together they are all lines.
`;

/** Plays teacher and author. What a model of yours has to bring: `_generate`, and `bindTools` when it is the teacher. */
class OwnModel extends BaseChatModel {
  /** System messages that arrived. */
  readonly heard = new Set<string>();

  override _llmType(): string {
    return "own-model";
  }

  override bindTools(): this {
    return this;
  }

  override async _generate(messages: BaseMessage[]): Promise<ChatResult> {
    this.heard.add(messages[0]!.text);
    const message = this.#answer(messages);
    return { generations: [{ text: message.text, message }] };
  }

  #answer(messages: BaseMessage[]): AIMessage {
    if (messages[0]!.text.startsWith("You write Agent Skills")) return new AIMessage(skill);
    const commands = [`cat > /tmp/report.py <<'PROGRAM'\n${program}\nPROGRAM`, "python3 /tmp/report.py"];
    const command = commands[messages.filter((message) => AIMessage.isInstance(message)).length];
    return command === undefined
      ? new AIMessage("The report is written.")
      : new AIMessage({ content: "", tool_calls: [{ id: crypto.randomUUID(), name: "shell", args: { command }, type: "tool_call" }] });
  }
}

const model = new OwnModel({});
const capabilities = createCapabilities({
  runsDir,
  model: async () => ({ model, id: "own-model", costUsd: () => 0 }),
  prompts: {
    exploreSystem: ({ workdir }: { workdir: string }) => `You work in ${workdir}. Say little; leave programs that others can read.`,
  },
});
const graph = compileObserved(createSkillGenerationGraph(capabilities), {
  name: "skill-generation",
  checkpointer: new MemorySaver(),
  log: new RunLog({ runsDir }),
});

const state = await graph.invoke(
  { task },
  { configurable: { thread_id: "own-model--log-report" }, context: { sandbox: "virtual", preflight: false, maxAttempts: 1 } as never },
);
console.log(state.attempts.map(({ status, reward }) => `${status}, reward ${reward}`).join("\n"));
console.log(`the teacher was told: ${[...model.heard].find((text) => text.startsWith("You work in"))}`);
console.log(`the skill is in ${join(runsDir, "own-model/log-report", state.gateReport?.path ?? "(refused)")}`);
