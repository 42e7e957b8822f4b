import { expect, it, vi } from "vitest";
import { checkpointerOrMemory } from "../../../../cli/demo.js";

vi.mock("@langchain/langgraph-checkpoint-sqlite", () => {
  throw new Error("Could not locate the bindings file");
});

it("goes on in memory where SQLite's binary is missing, and says so with what mends it", async () => {
  const printed: string[] = [];
  const { saver, close } = await checkpointerOrMemory("/nowhere", null, (line) => void printed.push(line));
  expect(printed).toEqual([expect.stringMatching(/in memory.*npm rebuild better-sqlite3/)]);
  expect(await saver.getTuple({ configurable: { thread_id: "t" } })).toBeUndefined();
  await close();
});
