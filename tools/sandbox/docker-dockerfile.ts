import { readDockerfile } from "../../formats/dockerfile.js";

const syntaxDirective = /^\s*#\s*syntax\s*=\s*\S+/i;

/** The line number (from 0) of a `# syntax=` directive, -1 without. It must stand before everything but other directives. */
const syntaxLine = (text: string): number => {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    if (syntaxDirective.test(line)) return index;
    if (!/^\s*#\s*[A-Za-z]+\s*=/.test(line)) return -1;
  }
  return -1;
};

/** The text with its `# syntax=` line made an empty comment, so that line numbers stay; null when there is none. */
export const withoutSyntax = (text: string): string | null => {
  const line = syntaxLine(text);
  if (line < 0) return null;
  const lines = text.split("\n");
  lines[line] = "#";
  return lines.join("\n");
};

/** Flags that only BuildKit understands. */
const BUILDKIT_FLAGS: Record<string, readonly string[]> = {
  RUN: ["mount", "network", "security"],
  COPY: ["chmod", "link", "exclude", "parents"],
  ADD: ["chmod", "link", "exclude", "checksum", "keep-git-dir"],
};

/** Why a Dockerfile needs BuildKit: the construct that only it understands. Null when the classic builder will do. */
export const buildKitReason = (text: string): string | null => {
  for (const { keyword, flags, heredocs, value } of readDockerfile(text).instructions) {
    const flag = BUILDKIT_FLAGS[keyword]?.find((name) => name in flags);
    if (flag !== undefined) return `${keyword} --${flag}`;
    // A here-document of the shell inside one line cannot be told apart; BuildKit reads it as the classic builder would not.
    if (heredocs.length > 0 && !value.startsWith("[")) return `${keyword} with a here-document`;
  }
  return syntaxLine(text) >= 0 ? "# syntax" : null;
};

const substitute = (text: string, values: ReadonlyMap<string, string>): string | null => {
  let known = true;
  const result = text.replace(/\$\{([A-Za-z_]\w*)(?::?([-+])([^}]*))?\}|\$([A-Za-z_]\w*)/g, (_all, braced, sign, word, plain) => {
    const value = values.get(braced ?? plain);
    if (sign === "-") return value || word;
    if (sign === "+") return value ? word : "";
    if (value === undefined) known = false;
    return value ?? "";
  });
  return known ? result : null;
};

/** Images that a build starts from: each FROM, and COPY --from of an image; stage names, numbers, scratch and what hangs on an unset ARG are left out. */
export const baseImages = (text: string): { image: string; line: number }[] => {
  const values = new Map<string, string>();
  const stages = new Set<string>(["scratch"]);
  const found: { image: string; line: number }[] = [];
  let begun = false;
  const note = (image: string | null, line: number): void => {
    if (image !== null && image !== "" && !stages.has(image.toLowerCase()) && !/^\d+$/.test(image)) found.push({ image, line });
  };
  for (const { keyword, value: rest, flags, line } of readDockerfile(text).instructions) {
    if (keyword === "ARG" && !begun) {
      for (const [, key, , value] of rest.matchAll(/([A-Za-z_]\w*)(=("[^"]*"|'[^']*'|\S*))?/g)) {
        if (value !== undefined) values.set(key!, substitute(value.replace(/^(["'])(.*)\1$/, "$2"), values) ?? "");
      }
    }
    if (keyword === "FROM") {
      begun = true;
      const words = rest.split(/\s+/);
      note(substitute(words[0] ?? "", values), line);
      if (words[1]?.toUpperCase() === "AS" && words[2] !== undefined) stages.add(words[2].toLowerCase());
    }
    if (keyword === "COPY" && typeof flags["from"] === "string") note(substitute(flags["from"], values), line);
  }
  return found;
};
