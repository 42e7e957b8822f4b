import { resolve } from "node:path";
import { AIMessage, HumanMessage, SystemMessage } from "@langchain/core/messages";
import { describe, expect, it } from "vitest";
import { demoAttempts } from "../../../../cli/demo/commands.js";
import { createDemoModel, DEMO_MODEL } from "../../../../cli/demo/teacher.js";
import { demoMemo, demoSkill } from "../../../../cli/demo/texts.js";
import { readTask } from "../../../../formats/harbor/read-task.js";
import { checkMemo } from "../../../../formats/memo.js";
import { runGate } from "../../../../formats/skill/gate/gate.js";
import { parseSkillReply } from "../../../../formats/skill/reply.js";
import { observePdi } from "../../../../metrics/pdi.js";
import { distillSystem } from "../../../../prompts/skill-generation/distill-system.js";
import { exploreTask } from "../../../../prompts/skill-generation/explore-task.js";
import { reflectSystem } from "../../../../prompts/skill-generation/reflect-system.js";
import { reflectUser } from "../../../../prompts/skill-generation/reflect-user.js";
import { retryInjection } from "../../../../prompts/skill-generation/retry-injection.js";

const commandsOf = (attempt: number) => demoAttempts[attempt]!.replies.flatMap(({ commands }) => commands).join("\n");
const instruction = "Write a report.";
const first = (attempt: number): string =>
  exploreTask({
    instruction,
    skills: [],
    verifier: "",
    injection:
      attempt === 1
        ? ""
        : retryInjection({
            memo: demoMemo(attempt - 1),
            testSummary: "",
            attempt,
            maxAttempts: 3,
            intervention: "",
            strategyWithheld: false,
          }),
  });

describe("the demo's scripted teacher", () => {
  it("carries a name that says what it is", async () => {
    expect(DEMO_MODEL).toContain("scripted");
    expect((await createDemoModel().invoke("hello")).response_metadata).toMatchObject({ model_name: DEMO_MODEL });
  });

  it("knows the attempt and the step from the conversation, so a resumed one goes on where it was", async () => {
    const model = createDemoModel();
    const start = [new SystemMessage("You solve a task."), new HumanMessage(first(3))];
    const reply = await model.invoke(start);
    expect(reply.tool_calls?.map(({ args }) => args["command"])).toEqual(demoAttempts[2]!.replies[0]!.commands);
    const next = await model.invoke([...start, new AIMessage("one")]);
    expect(next.tool_calls?.map(({ args }) => args["command"])).toEqual(demoAttempts[2]!.replies[1]!.commands);
    const last = await model.invoke([...start, ...demoAttempts[2]!.replies.map(({ text }) => new AIMessage(text))]);
    expect(last.text).toBe(demoAttempts[2]!.done);
    expect((await model.invoke([new SystemMessage("You solve a task."), new HumanMessage(first(1))])).text).toBe(
      demoAttempts[0]!.replies[0]!.text,
    );
  });

  it("plays the reflection with the number of failures it is told, and the distillation", async () => {
    const model = createDemoModel();
    const input = {
      task: "t",
      instruction,
      memo: "",
      status: "FAIL",
      reward: 0,
      attempt: 2,
      failedAttempts: 2,
      passed: 0,
      total: 1,
      commands: "",
      testSummary: "",
      stop: "",
      refused: "",
    };
    expect((await model.invoke([new SystemMessage(reflectSystem()), new HumanMessage(reflectUser(input))])).text).toBe(demoMemo(2));
    expect((await model.invoke([new SystemMessage(distillSystem()), new HumanMessage("evidence")])).text).toBe(demoSkill);
  });

  it("writes memos that the guard accepts", () => {
    for (const failures of [1, 2]) expect(checkMemo(demoMemo(failures), { maxCharacters: 12_000 })).toEqual([]);
  });

  it("stagnates in its second memo, so that PDI triggers a soft intervention there and not before", () => {
    const failedTests = ["a", "b"];
    const once = observePdi([], {
      method: "token_overlap",
      memoBefore: "",
      memoAfter: demoMemo(1),
      commands: commandsOf(0),
      failedTests,
      previousFailedTests: [],
    });
    const twice = observePdi([once], {
      method: "token_overlap",
      memoBefore: demoMemo(1),
      memoAfter: demoMemo(2),
      commands: commandsOf(1),
      failedTests,
      previousFailedTests: failedTests,
    });
    expect(once.triggered).toBe(false);
    expect(twice.weightedPdi).toBeLessThan(-0.5);
    expect(twice.level).toBe("soft");
  });

  it("writes a skill that the gate passes for the demo's task, without a finding", async () => {
    const parsed = parseSkillReply(demoSkill);
    if ("problem" in parsed) throw new Error(parsed.problem);
    const task = await readTask(resolve(import.meta.dirname, "../../../../examples/tasks/log-report"));
    expect(await runGate({ skill: { directory: parsed.name, text: parsed.text, files: {} }, task })).toEqual({
      passed: true,
      findings: [],
    });
  });
});
