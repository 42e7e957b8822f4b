import { cutText } from "../../state/cut-text.js";

/** Characters of an attempt's commands that are kept (spark.md section 2, budgets). */
export const COMMANDS_CHARACTERS = 16_000;

/**
 * The words of a POSIX shell command line with their quotes removed; null when a quote stays open or an operator stands between words,
 * since it is then more than one plain command.
 */
const shellWords = (line: string): string[] | null => {
  const words: string[] = [];
  let word: string | null = null;
  let at = 0;
  while (at < line.length) {
    const character = line[at] as string;
    if (/\s/.test(character)) {
      if (word !== null) words.push(word);
      word = null;
      at += 1;
    } else if (character === "'") {
      const end = line.indexOf("'", at + 1);
      if (end === -1) return null;
      word = (word ?? "") + line.slice(at + 1, end);
      at = end + 1;
    } else if (character === '"') {
      let end = at + 1;
      let inner = "";
      while (end < line.length && line[end] !== '"') {
        const next = line[end + 1];
        if (line[end] === "\\" && next !== undefined && '"\\$`\n'.includes(next)) {
          inner += next === "\n" ? "" : next;
          end += 2;
        } else {
          inner += line[end];
          end += 1;
        }
      }
      if (end >= line.length) return null;
      word = (word ?? "") + inner;
      at = end + 1;
    } else if (character === "\\" && at + 1 < line.length) {
      word = (word ?? "") + line[at + 1];
      at += 2;
    } else if (";|&<>()".includes(character)) {
      return null;
    } else {
      word = (word ?? "") + character;
      at += 1;
    }
  }
  if (word !== null) words.push(word);
  return words;
};

const scriptOf = (words: readonly string[]): string | null => {
  const [shell, flag, script] = words;
  const isWrapper =
    shell !== undefined && /^(?:\S*\/)?(?:ba|z|da|k)?sh$/.test(shell) && flag !== undefined && /^-[a-z]*c[a-z]*$/.test(flag);
  return isWrapper && script !== undefined && words.length === 3 ? script : null;
};

/** `/bin/bash -lc 'ls -l'` becomes `ls -l`; a command without such a wrapper stays as it is. */
export const withoutShellWrapper = (command: string): string => {
  const words = /^\s*\S*sh\s+-/.test(command) ? shellWords(command) : null;
  return (words && scriptOf(words)) ?? command;
};

const record = (value: unknown): Record<string, unknown> | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;

/** The command of one event, with what identifies it: an agent reports the same command when it starts and when it ends. */
const commandOf = (event: Record<string, unknown>): { id: unknown; command: string } | null => {
  const item = record(event.item);
  if (item?.type === "command_execution") {
    if (typeof item.command === "string") return { id: item.id, command: withoutShellWrapper(item.command) };
    const words = Array.isArray(item.command) ? item.command.filter((word): word is string => typeof word === "string") : [];
    return words.length === 0 ? null : { id: item.id, command: scriptOf(words) ?? words.join(" ") };
  }
  const part = record(event.part);
  if (event.type !== "tool_use" || part?.tool !== "bash") return null;
  const command = record(record(part.state)?.input)?.command;
  return typeof command === "string" ? { id: part.callID ?? part.id, command } : null;
};

const jsonObject = (line: string): Record<string, unknown> | undefined => {
  if (!line.startsWith("{")) return undefined;
  try {
    return record(JSON.parse(line));
  } catch {
    // Agents mix JSON with plain text; a line that is no JSON is plain text.
    return undefined;
  }
};

const reportedCommands = (lines: readonly string[]): string[] => {
  const commands: string[] = [];
  const places = new Map<unknown, number>();
  for (const line of lines) {
    const event = jsonObject(line.trim());
    const found = event && commandOf(event);
    if (!found) continue;
    const place = found.id === undefined ? undefined : places.get(found.id);
    if (place === undefined) {
      places.set(found.id, commands.length);
      commands.push(found.command);
    } else {
      commands[place] = found.command;
    }
  }
  return commands;
};

const prompt = /^\s*(?:\$ |> |root@[^\s#]*[^#]*# ?)(.*\S)/;

const promptedCommands = (lines: readonly string[]): string[] =>
  lines.map((line) => prompt.exec(line)?.[1]).filter((line) => line !== undefined);

/**
 * The commands that an agent ran, in order, from the log that it left: JSON lines of a `command_execution` item or a `bash` tool use; else the
 * lines behind a shell prompt (`$ `, `> `, a root prompt); else none.
 */
export const findAgentCommands = (log: string): string[] => {
  const lines = log.split(/\r?\n/);
  const reported = reportedCommands(lines);
  return reported.length > 0 ? reported : promptedCommands(lines);
};

/**
 * The commands of a foreign agent's log as one text of at most `limit` characters; the raw log when it shows no command.
 * Whole commands are dropped from the beginning, because the last ones made what the verifier saw; the text says so.
 */
export const extractAgentCommands = (log: string, limit: number = COMMANDS_CHARACTERS): string => {
  const commands = findAgentCommands(log);
  if (commands.length === 0) return cutText(log, limit, "end");
  const whole = commands.join("\n");
  if (whole.length <= limit) return whole;
  const note = (dropped: number): string => `[… the first ${dropped} of ${commands.length} commands were cut]\n`;
  let room = limit - note(commands.length).length;
  let first = commands.length;
  while (first > 0 && (commands[first - 1] as string).length + 1 <= room) {
    first -= 1;
    room -= (commands[first] as string).length + 1;
  }
  // The last command alone is too long: its end is what remains.
  return first === commands.length ? cutText(whole, limit, "end") : note(first) + commands.slice(first).join("\n");
};
