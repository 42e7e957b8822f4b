import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readRecording } from "../../../../formats/trajectory/read-recording.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "spark-recording-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const recording = (name: string, lines: object[], file?: object): string => {
  const dir = join(folder, name);
  mkdirSync(dir);
  writeFileSync(join(dir, "trajectory.jsonl"), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  if (file) writeFileSync(join(dir, "attempts.json"), JSON.stringify(file));
  return dir;
};
const result = (fields: object = {}) => ({ type: "execution_result", attempt: 0, status: "FAIL", reward: 0, ...fields });

describe("readRecording", () => {
  it("takes the verdict from the trial's own result, not from the copy in the line", async () => {
    const trial = { verifier_result: { rewards: { reward: 0.25, speed: 3 } }, exception_info: null };
    const ctrf = { results: { tests: [] } };
    const dir = recording("verdict", [result({ reward: 1, result_json: trial, ctrf_json: ctrf, test_stdout_full: "out" })]);
    expect((await readRecording(dir)).attempts).toMatchObject([
      {
        reward: 1,
        verdict: {
          reward: 0.25,
          files: { "reward.json": '{"reward":0.25,"speed":3}', "ctrf.json": JSON.stringify(ctrf), "test-stdout.txt": "out" },
        },
      },
    ]);
  });

  it("falls back on the line's reward where no result was recorded, and writes no CTRF where there was none", async () => {
    const { attempts } = await readRecording(recording("no-result", [result({ reward: 0.5, result_json: {}, ctrf_json: {} })]));
    expect(attempts[0]?.verdict).toEqual({ reward: 0.5, files: { "reward.json": '{"reward":0.5}', "test-stdout.txt": "" } });
  });

  it("has no verdict where the verifier never ran, whatever reward was written", async () => {
    const trial = { verifier_result: null, exception_info: { exception_type: "OSError", exception_message: "gone" } };
    const { attempts } = await readRecording(recording("unjudged", [result({ status: "ERROR", result_json: trial })]));
    expect(attempts).toMatchObject([{ verdict: null, exception: "OSError: gone", counted: true }]);
  });

  it("reads infrastructure failures of ours as runs that cost no attempt", async () => {
    const failure = { type: "infra_failure", attempt: 0, retry: 0, error: { code: "sandbox-failed", message: "gone" } };
    expect((await readRecording(recording("infra", [failure, result()]))).attempts).toMatchObject([
      { status: "INFRA_ERROR", reward: null, counted: false, verdict: null, exception: "sandbox-failed: gone" },
      { status: "FAIL", counted: true },
    ]);
  });

  it("knows PDI's mode, the budget of attempts and the instruction as far as a prompt quotes it", async () => {
    const prompt = "## Task Category: t\n### Task Pattern:\nDo this.\n\nAnd that.\n### Success Execution Chain:\nmore";
    const lines = [result(), { type: "skill_gen_call", attempt: 0, model: "m", user_prompt: prompt, response: "text" }];
    const off = await readRecording(recording("off", lines, { max_retries: 7, pdi: { enabled: false } }));
    expect(off).toMatchObject({ maxAttempts: 7, pdi: "off", instruction: "Do this.\n\nAnd that.", summaryModel: "m" });
    const summary = { type: "task_summary", task_name: "named", exploration_config: { max_retries: 4 } };
    const observing = await readRecording(recording("observe", [result(), summary], { pdi: { observe_only: true } }));
    expect(observing).toMatchObject({ task: "named", maxAttempts: 4, pdi: "observe", instruction: "named" });
    expect(await readRecording(recording("bare", [result()]))).toMatchObject({ task: "bare", maxAttempts: 1, pdi: "on" });
  });
});
