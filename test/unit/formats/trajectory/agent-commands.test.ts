import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { extractAgentCommands, findAgentCommands, withoutShellWrapper } from "../../../../formats/trajectory/agent-commands.js";

const recorded = resolve(import.meta.dirname, "../../../../../shared/recorded/runs/lean4-proof/trajectory.jsonl");
const shared = existsSync(recorded);
if (!shared) {
  if (process.env.REQUIRE_SHARED === "1") throw new Error(`${recorded} is missing and REQUIRE_SHARED=1`);
  console.warn(`skipped: the recorded runs are not at ${recorded}`);
}

const lines = (...events: unknown[]): string =>
  events.map((event) => (typeof event === "string" ? event : JSON.stringify(event))).join("\n");
const codex = (type: string, id: string, command: unknown) => ({ type, item: { id, type: "command_execution", command, status: "x" } });
const openCode = (id: string, command: string, tool = "bash") => ({
  type: "tool_use",
  part: { callID: id, tool, state: { input: { command } } },
});

/** A script quoted as Codex quotes it. */
const quoted = (script: string): string => `/bin/bash -lc '${script.replaceAll("'", `'"'"'`)}'`;

describe("withoutShellWrapper", () => {
  it("removes the shell and undoes its quoting", () => {
    expect(withoutShellWrapper("/bin/bash -lc 'ls -l /root'")).toBe("ls -l /root");
    expect(withoutShellWrapper(`bash -lc "echo \\"a\\" \\$HOME 'b'"`)).toBe(`echo "a" $HOME 'b'`);
    expect(withoutShellWrapper(`/bin/bash -lc "cat > f << 'EOF'\nx "'^ (n + 1)\nEOF'`)).toBe("cat > f << 'EOF'\nx ^ (n + 1)\nEOF");
    expect(withoutShellWrapper("sh -c ls")).toBe("ls");
  });

  it("leaves a command alone that only looks like a wrapper", () => {
    for (const command of [
      "bash run.sh",
      "bash -c",
      "bash -lc 'a' && rm b",
      "bash -c 'a' zero one",
      "bash -lc 'open",
      "publish -c all",
      "ls 'a b'",
    ]) {
      expect(withoutShellWrapper(command)).toBe(command);
    }
  });

  it("gives back any script that was quoted", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", " ", "'", '"', "\\", "$", "`", "\n", ";", "é") }), (script) => {
        expect(withoutShellWrapper(quoted(script))).toBe(script);
      }),
    );
  });
});

describe("findAgentCommands", () => {
  it("reads Codex's command executions once each, though they are reported at start and end", () => {
    const log = lines(
      codex("item.started", "i1", "/bin/bash -lc 'ls /root'"),
      codex("item.started", "i2", ["bash", "-lc", "pwd"]),
      codex("item.completed", "i1", "/bin/bash -lc 'ls /root'"),
      { type: "item.completed", item: { id: "i3", type: "agent_message", text: "$ not a command" } },
      codex("item.completed", "i2", ["bash", "-lc", "pwd"]),
      "warning: some plain text",
    );
    expect(findAgentCommands(log)).toEqual(["ls /root", "pwd"]);
  });

  it("keeps a command that was run twice", () => {
    expect(findAgentCommands(lines(codex("item.completed", "a", "make"), codex("item.completed", "b", "make")))).toEqual(["make", "make"]);
  });

  it("reads bash tool uses and no other tool", () => {
    expect(findAgentCommands(lines(openCode("1", "ls"), openCode("2", "x", "read"), openCode("3", "pytest -q")))).toEqual([
      "ls",
      "pytest -q",
    ]);
  });

  it("reads lines behind a prompt when no event is found", () => {
    expect(findAgentCommands("hello\n$ ls -l\ntotal 0\n> make\nroot@box:/app# python3 x.py\n# A heading\n$ \n")).toEqual([
      "ls -l",
      "make",
      "python3 x.py",
    ]);
  });

  it("survives broken JSON, arrays and events without what is expected", () => {
    const log = lines(
      '{"item":',
      "[1]",
      "{}",
      { item: null },
      { item: { type: "command_execution" } },
      { type: "tool_use", part: { tool: "bash" } },
      codex("x", "1", "ls"),
    );
    expect(findAgentCommands(log)).toEqual(["ls"]);
  });

  test.skipIf(!shared)("finds in a recorded log the commands that the release found, their wrappers removed", () => {
    const results = readFileSync(recorded, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
      .filter((line) => line.type === "execution_result");
    for (const result of results) {
      const commands = findAgentCommands(result.agent_stdout_full);
      expect(commands.length).toBeGreaterThan(3);
      for (const command of commands) {
        expect(command).not.toMatch(/^\/bin\/bash -lc/);
        if (!command.includes("\n") && !/["'\\]/.test(command)) expect(result.agent_commands).toContain(command);
      }
    }
  });
});

describe("extractAgentCommands", () => {
  it("falls back to the raw text", () => {
    expect(extractAgentCommands("I did some things.\nAnd others.")).toBe("I did some things.\nAnd others.");
    expect(extractAgentCommands("")).toBe("");
  });

  it("drops whole commands from the beginning and says how many", () => {
    const log = lines(...Array.from({ length: 100 }, (_, index) => openCode(String(index), `run step ${index}`)));
    const text = extractAgentCommands(log, 200);
    expect(text.length).toBeLessThanOrEqual(200);
    expect(text).toMatch(/^\[… the first \d+ of 100 commands were cut\]\n/);
    expect(text.endsWith("run step 98\nrun step 99")).toBe(true);
    expect(text.split("\n")).toHaveLength(1 + 100 - Number(/first (\d+)/.exec(text)?.[1]));
  });

  it("keeps the end of a last command that is too long by itself", () => {
    const text = extractAgentCommands(lines(openCode("1", `${"x".repeat(500)} the end`)), 100);
    expect(text.length).toBeLessThanOrEqual(100);
    expect(text).toMatch(/characters cut.*\nx+ the end$/);
  });

  it("stays within any budget that holds its note, and is untouched when it fits", () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1, unit: fc.constantFrom("a", "b", "😀", " ") }), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 60, max: 200 }),
        (commands, limit) => {
          const text = extractAgentCommands(lines(...commands.map((command, index) => openCode(String(index), command))), limit);
          expect(text.length).toBeLessThanOrEqual(limit);
          if (commands.join("\n").length <= limit) expect(text).toBe(commands.join("\n"));
        },
      ),
    );
  });
});
