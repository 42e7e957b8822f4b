/** A here-document of an instruction: its delimiter and its text, lines joined by `\n` with a final one. */
export interface DockerfileHeredoc {
  delimiter: string;
  text: string;
}

/** One instruction of a Dockerfile. */
export interface DockerfileInstruction {
  /** Line on which it begins, from 1. */
  line: number;
  /** Upper case, e.g. `COPY`. */
  keyword: string;
  /** `--name=value` flags that stand before the arguments; a flag without a value is `true`. */
  flags: Record<string, string | true>;
  /** Everything after keyword and flags, continuation lines joined, variables not replaced. */
  value: string;
  /** The words of `value` in shell or JSON form, with the ARG and ENV known at this point replaced where Docker does so. */
  words: string[];
  heredocs: DockerfileHeredoc[];
}

export interface Dockerfile {
  /** Parser directives of the head, lower-case names: `syntax`, `escape`, `check`. */
  directives: Record<string, string>;
  instructions: DockerfileInstruction[];
}

const DIRECTIVE = /^#\s*([A-Za-z]+)\s*=\s*(.+?)\s*$/;
const HEREDOC = /(?<=^|\s)\d*<<(-?)(["']?)([A-Za-z_][A-Za-z0-9_]*)\2/g;
const HEREDOC_KEYWORDS = new Set(["RUN", "COPY", "ADD"]);
/** Instructions in which Docker itself replaces variables; RUN, CMD and ENTRYPOINT leave them to the shell. */
const REPLACED = new Set(["FROM", "ADD", "COPY", "ENV", "EXPOSE", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR", "ARG"]);

/**
 * Reads a Dockerfile into its instructions. It never fails: what it does not know becomes an instruction of that keyword,
 * so that {@link needsDocker} can name it.
 */
export function readDockerfile(text: string): Dockerfile {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  const directives: Record<string, string> = {};
  let at = 0;
  for (; at < lines.length; at++) {
    const match = DIRECTIVE.exec(lines[at]!.trim());
    if (!match || match[1]!.toLowerCase() in directives) break;
    directives[match[1]!.toLowerCase()] = match[2]!;
  }
  const escapeMark = directives.escape === "`" ? "`" : "\\";
  const scope = new Variables();
  const instructions: DockerfileInstruction[] = [];
  while (at < lines.length) {
    const start = at;
    const { text: logical, next } = joinContinuation(lines, at, escapeMark);
    at = next;
    const match = /^\s*([A-Za-z]+)(?:\s+([\s\S]*))?$/.exec(logical);
    if (!match) {
      if (logical.trim() !== "")
        instructions.push({
          line: start + 1,
          keyword: logical.trim().split(/\s/)[0]!,
          flags: {},
          value: logical.trim(),
          words: [],
          heredocs: [],
        });
      continue;
    }
    const keyword = match[1]!.toUpperCase();
    const { flags, rest } = readFlags(match[2] ?? "");
    const heredocs: DockerfileHeredoc[] = [];
    if (HEREDOC_KEYWORDS.has(keyword)) {
      for (const opener of rest.matchAll(HEREDOC)) {
        const strip = opener[1] === "-";
        const end = lines.findIndex((line, index) => index >= at && unindented(line, strip) === opener[3]);
        // Without its end it is the shell's affair (or an error that the builder will name).
        if (end < 0) continue;
        const body = lines.slice(at, end).map((line) => `${unindented(line, strip)}\n`);
        heredocs.push({ delimiter: opener[3]!, text: body.join("") });
        at = end + 1;
      }
    }
    const value = rest.trim();
    const instruction = { line: start + 1, keyword, flags, value, words: splitWords(value, escapeMark, scope.lookup(keyword)), heredocs };
    instructions.push(instruction);
    scope.see(instruction);
  }
  return { directives, instructions };
}

/** The pairs of an `ENV` or `ARG` instruction; the old form `ENV NAME the whole rest` is one pair. */
export function environmentPairs(instruction: DockerfileInstruction): [string, string | null][] {
  const [first, ...rest] = instruction.words;
  if (instruction.keyword === "ENV" && first !== undefined && !first.includes("=")) return [[first, rest.join(" ")]];
  return instruction.words.map((word) => {
    const equals = word.indexOf("=");
    return equals < 0 ? [word, null] : [word.slice(0, equals), word.slice(equals + 1)];
  });
}

const WITHOUT_ENGINE = new Set(["FROM", "WORKDIR", "COPY", "ENV", "ARG"]);

/**
 * The first instruction that only a container engine can carry out, or null when there is none: then the embedded sandbox can run
 * the task. It knows FROM (one stage), WORKDIR, COPY of files in the context, ENV and ARG.
 */
export function needsDocker(dockerfile: Dockerfile): { line: number; text: string } | null {
  const stages = dockerfile.instructions.filter(({ keyword }) => keyword === "FROM");
  for (const instruction of dockerfile.instructions) {
    const { keyword, flags, heredocs, line, value } = instruction;
    const known = WITHOUT_ENGINE.has(keyword) && heredocs.length === 0 && flags.from === undefined && flags.mount === undefined;
    if (!known || (keyword === "FROM" && instruction !== stages[0])) {
      const shown = `${keyword} ${Object.entries(flags)
        .map(([name, flag]) => `--${name}${flag === true ? "" : `=${flag}`} `)
        .join("")}${value}`.trim();
      return { line, text: shown.length > 120 ? `${shown.slice(0, 117)}...` : shown };
    }
  }
  return null;
}

/** Joins `\` continuations; comment and empty lines inside one are dropped, as Docker does. */
function joinContinuation(lines: string[], start: number, escapeMark: string): { text: string; next: number } {
  const isComment = (line: string) => /^\s*#/.test(line);
  if (isComment(lines[start]!) || lines[start]!.trim() === "") return { text: "", next: start + 1 };
  let text = "";
  let at = start;
  for (; at < lines.length; at++) {
    const line = lines[at]!;
    if (at > start && (isComment(line) || line.trim() === "")) continue;
    const end = line.trimEnd();
    if (!end.endsWith(escapeMark)) return { text: text + line, next: at + 1 };
    text += end.slice(0, -1);
  }
  return { text, next: at };
}

const unindented = (line: string, strip: boolean): string => (strip ? line.replace(/^\t+/, "") : line);

function readFlags(text: string): { flags: Record<string, string | true>; rest: string } {
  const flags: Record<string, string | true> = {};
  let rest = text;
  for (;;) {
    const match = /^\s*--([a-z][a-z-]*)(?:=(\S*))?(?=\s|$)/.exec(rest);
    if (!match) return { flags, rest };
    flags[match[1]!] = match[2] ?? true;
    rest = rest.slice(match[0].length);
  }
}

type Lookup = (name: string) => string | undefined;

/** ARG and ENV as they accumulate. An ARG before FROM counts in FROM lines only, until a stage names it again. */
class Variables {
  readonly #global = new Map<string, string>();
  #stage: Map<string, string> | null = null;

  lookup(keyword: string): Lookup | null {
    if (!REPLACED.has(keyword)) return null;
    const values = keyword === "FROM" || this.#stage === null ? this.#global : this.#stage;
    return (name) => values.get(name);
  }

  see(instruction: DockerfileInstruction): void {
    if (instruction.keyword === "FROM") this.#stage = new Map();
    if (instruction.keyword !== "ENV" && instruction.keyword !== "ARG") return;
    for (const [name, given] of environmentPairs(instruction)) {
      const value = given ?? this.#global.get(name);
      if (value !== undefined) (this.#stage ?? this.#global).set(name, value);
    }
  }
}

/** Shell words with quotes and escapes, or a JSON array; without a lookup variables stay as they stand. */
function splitWords(value: string, escapeMark: string, lookup: Lookup | null): string[] {
  const array = value.startsWith("[") ? jsonWords(value) : null;
  const replaced = (word: string) => (lookup ? replaceVariables(word, lookup, escapeMark) : word);
  if (array) return array.map(replaced);
  const words: string[] = [];
  let word: string | null = null;
  let quote: string | null = null;
  for (let at = 0; at < value.length; at++) {
    const character = value[at]!;
    if (quote === "'") {
      if (character === "'") quote = null;
      else word += character;
    } else if (character === escapeMark && at + 1 < value.length) {
      const next = value[++at]!;
      word = (word ?? "") + (quote === '"' && !['"', "$", escapeMark].includes(next) ? escapeMark + next : next);
    } else if (character === '"' || (character === "'" && quote === null)) {
      word ??= "";
      quote = quote === character ? null : character;
    } else if (/\s/.test(character) && quote === null) {
      if (word !== null) words.push(word);
      word = null;
    } else if (character === "$" && lookup) {
      const reference = /^\$(?:\{[^}]*\}|[A-Za-z_][A-Za-z0-9_]*)/.exec(value.slice(at))?.[0];
      word = (word ?? "") + (reference ? replaceVariables(reference, lookup, escapeMark) : "$");
      at += (reference?.length ?? 1) - 1;
    } else word = (word ?? "") + character;
  }
  if (word !== null) words.push(word);
  return words;
}

function jsonWords(value: string): string[] | null {
  try {
    const parsed: unknown = JSON.parse(value);
    return Array.isArray(parsed) && parsed.every((word) => typeof word === "string") ? parsed : null;
  } catch (error) {
    // Docker falls back to the shell form too when the array is no JSON.
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+other}`; what is unknown becomes empty, as in Docker. */
function replaceVariables(word: string, lookup: Lookup, escapeMark: string): string {
  return word.replace(
    /(.)?\$(?:\{([A-Za-z_][A-Za-z0-9_]*)(?::?([-+])([^}]*))?\}|([A-Za-z_][A-Za-z0-9_]*))/gs,
    (whole, before: string | undefined, braced, operator, other, plain) => {
      if (before === escapeMark) return whole.slice(1);
      const value = lookup(braced ?? plain);
      const chosen = operator === "-" ? value || other : operator === "+" ? (value ? other : "") : (value ?? "");
      return (before ?? "") + chosen;
    },
  );
}
