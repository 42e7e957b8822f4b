import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { describe, expect, it } from "vitest";
import type { RecordedAttempt, Recording } from "../../../formats/trajectory/read-recording.js";
import { createReplay } from "../../../tools/replay.js";

const attempt = (number: number, fields: Partial<RecordedAttempt> = {}): RecordedAttempt => ({
  attempt: number,
  status: "FAIL",
  reward: 0,
  counted: true,
  commands: `echo ${number} && /tests/test.sh`,
  output: `log ${number}`,
  verdict: { reward: 0, files: { "reward.json": '{"reward":0}', "test-stdout.txt": "said" } },
  exception: "",
  ...fields,
});
const reply = (text: string) => ({ text, inputTokens: 3, outputTokens: 2 });
const recording = (attempts: RecordedAttempt[]): Recording => ({
  source: "/recorded/trajectory.jsonl",
  task: "t",
  instruction: "Do it.",
  model: "teacher-model",
  summaryModel: "summary-model",
  maxAttempts: 5,
  pdi: "on",
  pdiMethod: "token_overlap",
  attempts,
  reflections: new Map([[1, [reply("memo of 1")]]]),
  distillations: [reply("skill")],
  skill: null,
  copies: { file: null, summary: null },
});
const container = {
  name: "box",
  image: { id: "i", name: "i", workdir: "/app", user: "" },
  run: "r",
  env: {},
  network: "none",
  leaseMs: 0,
} as const;
const text = (bytes: Uint8Array | null) => new TextDecoder().decode(bytes ?? new Uint8Array());

describe("createReplay", () => {
  it("plays an attempt: its commands whole in one call, its log as their output, its verifier's files where they were", async () => {
    const replay = createReplay(recording([attempt(0)]));
    const sandbox = await replay.provider.create(container);
    const asked = await replay.teacher.model.invoke([new HumanMessage("Do it.")]);
    expect(asked.tool_calls).toMatchObject([{ name: "shell", args: { command: "echo 0 && /tests/test.sh" } }]);
    const shell = await sandbox.openShell();
    expect(text((await shell.run("echo 0 && /tests/test.sh")).stdout)).toBe("log 0");
    const done = await replay.teacher.model.invoke([new ToolMessage({ content: "log 0", tool_call_id: "1" })]);
    expect(done.tool_calls).toEqual([]);
    await sandbox.exec("(/tests/test.sh) > /logs/verifier/test-stdout.txt 2>&1");
    expect(text(await sandbox.readFile("/logs/verifier/reward.json"))).toBe('{"reward":0}');
    expect(replay.played).toHaveLength(1);
  });

  it("breaks the container of an attempt that nothing judged, with the recorded exception", async () => {
    const replay = createReplay(recording([attempt(0, { verdict: null, exception: "OSError: gone" }), attempt(1)]));
    await expect(replay.provider.create(container)).rejects.toMatchObject({ code: "sandbox-failed", message: "OSError: gone" });
    await expect(replay.provider.create(container)).resolves.toMatchObject({ id: "box" });
  });

  it("gives each reply once to the attempt that it was made for; a second ask is a provider's failure", async () => {
    const replay = createReplay(recording([attempt(1), attempt(2, { verdict: { reward: 1, files: {} } })]));
    const ask = () => replay.summary.model.invoke([new HumanMessage("Reflect.")]);
    await replay.provider.create(container);
    expect(await ask()).toMatchObject({ content: "memo of 1", usage_metadata: { input_tokens: 3, output_tokens: 2 } });
    await expect(ask()).rejects.toMatchObject({
      code: "provider-unavailable",
      message: expect.stringContaining("reflection on attempt 1"),
    });
    await replay.provider.create({ ...container, name: "other" });
    expect((await ask()).text).toBe("skill");
    await expect(ask()).rejects.toMatchObject({ code: "provider-unavailable", message: expect.stringContaining("distillation") });
  });

  it("refuses a further attempt so that nothing asks again", async () => {
    const replay = createReplay(recording([]));
    await expect(replay.provider.create(container)).rejects.toMatchObject({ code: "sandbox-unsupported" });
    expect(replay.played).toEqual([]);
  });
});
