import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { linesOf, readWholeLog } from "../../formats/trajectory/read-log.js";
import { LOG_FILE } from "../../formats/trajectory/run-log.js";

const root = resolve(import.meta.dirname, "../..");
let runsDir: string;
beforeAll(async () => {
  if (!existsSync(join(root, "dist/index.js")))
    throw new Error("dist is missing, and the examples import the package: `npm run build` first");
  runsDir = await mkdtemp(join(tmpdir(), "spark-examples-"));
});
afterAll(() => rm(runsDir, { recursive: true, force: true }));

/** Runs an example as its first comment says, without a key and without the settings of whoever runs the tests. */
const run = async (name: string): Promise<string> => {
  const { PATH, HOME, TMPDIR } = process.env;
  const env = { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }) };
  const { stdout } = await promisify(execFile)(process.execPath, ["--import", "tsx", `examples/${name}.ts`, runsDir], {
    cwd: root,
    env,
    timeout: 150_000,
  });
  return stdout;
};
const logOf = async (run: string) => (await readWholeLog(join(runsDir, run, "log-report", LOG_FILE))).lines;

it("two nodes work in a foreign graph with a foreign state, and log as they do in ours", async () => {
  expect(await run("01-foreign-graph")).toContain("PASS: reward 1, 9 of 9 tests, 3 commands\n");
  const lines = await logOf("clerk");
  expect(linesOf(lines, "command").map(({ index, exit_code }) => [index, exit_code])).toEqual([
    [0, 0],
    [1, 0],
    [2, 0],
  ]);
  expect(linesOf(lines, "model_call")).toHaveLength(3);
  expect(linesOf(lines, "execution_result")).toMatchObject([{ attempt: 0, status: "PASS", reward: 1, n_tests: 9 }]);
});

it("the whole graph takes a chat model and a prompt of somebody's own, and publishes a skill", async () => {
  const printed = await run("02-own-model-and-prompts");
  expect(printed).toContain("PASS, reward 1\nthe teacher was told: You work in /app. Say little;");
  expect(await readdir(join(runsDir, "own-model/log-report/skills"))).toContain("rotated-log-report");
  expect(linesOf(await logOf("own-model"), "model_call").every(({ node }) => ["call-model", "distill"].includes(node))).toBe(true);
});

it("every numbered example is run here", async () => {
  const numbered = (await readdir(join(root, "examples"))).filter((name) => /^\d\d-.*\.ts$/.test(name));
  expect(numbered.sort()).toEqual(["01-foreign-graph.ts", "02-own-model-and-prompts.ts"]);
});
