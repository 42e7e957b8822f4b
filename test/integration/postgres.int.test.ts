import { readdir, readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { threadIdOf } from "../../formats/run-directory.js";
import { linesOf } from "../../formats/trajectory/read-log.js";
import { openCheckpointer } from "../../graphs/checkpointer.js";
import { type CommandPlace, type CommandProcess, doubled, openPlace, reportOf } from "../support/command-line.js";
import { memo } from "../support/generation.js";
import { isTeacher, type ModelEndpoint, startModelEndpoint } from "../support/model-endpoint.js";
import { type PostgresServer, postgresBinaries, startPostgres } from "../support/postgres.js";
import { sayReady, scriptedTeacher } from "../support/scripted-teacher.js";

const bin = postgresBinaries();
if (bin === null) console.warn("skipped: no Postgres server under /usr/lib/postgresql (Debian: apt-get install postgresql)");

describe.skipIf(bin === null)("checkpoints in a Postgres", () => {
  let postgres: PostgresServer;
  let place: CommandPlace;
  let model: ModelEndpoint;
  let running: CommandProcess | null = null;
  beforeAll(async () => {
    postgres = await startPostgres(bin!);
    model = await startModelEndpoint({
      reply: scriptedTeacher({
        solve: () => sayReady,
        reflect: () => {
          // Between two nodes: the first attempt is recorded, its memo is not.
          running?.child.kill("SIGKILL");
          return { text: memo() };
        },
      }),
    });
    place = await openPlace({ OPENAI_BASE_URL: model.url });
    await place.task("ready");
  });
  afterAll(async () => {
    await place?.[Symbol.asyncDispose]();
    await model?.close();
    await postgres?.[Symbol.asyncDispose]();
  });

  it("let a killed run go on without repeating its finished attempt, and let the process end by itself", async () => {
    running = place.start([
      "generate",
      "-p",
      place.path("tasks/ready"),
      "-m",
      "scripted",
      "--sandbox",
      "virtual",
      "--no-preflight",
      "--run-name",
      "pg",
      "--checkpoint",
      postgres.url,
    ]);
    expect((await running.ended).signal).toBe("SIGKILL");
    running = null;
    const before = model.requests.filter(isTeacher).length;
    const resumed = await place.run(["generate", "--resume", "pg", "--checkpoint", postgres.url, "--json"]);
    expect(resumed.code, resumed.stderr).toBe(0);
    expect(resumed.signal).toBeNull();
    expect(reportOf(resumed).tasks).toMatchObject([{ status: "solved", attempts: 2 }]);
    const reading = await place.log("pg", "ready");
    expect(linesOf(reading.lines, "execution_result").map(({ attempt, status }) => [attempt, status])).toEqual([
      [0, "FAIL"],
      [1, "PASS"],
    ]);
    expect(doubled(reading)).toEqual([]);
    // The first attempt's three calls were before the kill, the second's are all there is after it.
    expect([before, model.requests.filter(isTeacher).length - before]).toEqual([3, 3]);
    expect((await readdir(place.path("runs/pg"))).filter((name) => name.startsWith("checkpoints"))).toEqual([]);
    expect(await readFile(place.path("runs/pg/config.json"), "utf8")).not.toContain("secret-word");
  });

  it("stand in a schema of our own and are read by another connection", async () => {
    const { saver, close } = await openCheckpointer("/nowhere", postgres.url);
    try {
      const tuple = await saver.getTuple({ configurable: { thread_id: threadIdOf({ run: "pg", task: "ready" }) } });
      expect(tuple?.checkpoint.channel_values["attempts"]).toMatchObject([{ status: "FAIL" }, { status: "PASS" }]);
    } finally {
      await close();
    }
  });

  it("that cannot be reached are refused with the address and without the password", async () => {
    const refused = openCheckpointer("/nowhere", "postgres://spark:secret-word@127.0.0.1:9/postgres");
    await expect(refused).rejects.toMatchObject({
      code: "checkpointer-missing",
      message: expect.stringContaining("postgres://spark:***@127.0.0.1:9/postgres"),
    });
    await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining("secret-word") });
  });
});
