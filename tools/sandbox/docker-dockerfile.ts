/** One instruction of a Dockerfile with its continuation lines joined. */
export interface Instruction {
  /** Upper case. */
  name: string;
  rest: string;
  /** Line where it begins, from 1. */
  line: number;
}

const hereDocument = /<<-?\s*(["']?)([A-Za-z_][A-Za-z0-9_]*)\1/g;

/** The instructions in order; comments and the bodies of here-documents are left out. */
export const parseDockerfile = (text: string): Instruction[] => {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  const mark = /^#\s*escape\s*=\s*`\s*$/im.test(lines.slice(0, 3).join("\n")) ? "`" : "\\";
  const found: Instruction[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    if (/^\s*(#|$)/.test(lines[at]!)) continue;
    const line = at + 1;
    let whole = "";
    let part = lines[at]!;
    while (part.trimEnd().endsWith(mark)) {
      whole += part.trimEnd().slice(0, -1);
      do at += 1;
      while (
        // Comments and empty lines do not end a continued instruction.
        at < lines.length &&
        /^\s*(#|$)/.test(lines[at]!)
      );
      part = ` ${(lines[at] ?? "").trim()}`;
    }
    whole += part;
    const [, name = "", rest = ""] = /^\s*(\S+)\s*(.*)$/s.exec(whole) ?? [];
    found.push({ name: name.toUpperCase(), rest: rest.trim(), line });
    if (!["RUN", "COPY", "ADD"].includes(name.toUpperCase())) continue;
    for (const [, , word] of rest.matchAll(hereDocument)) {
      while (at + 1 < lines.length && lines[at + 1]!.replace(/^\t+/, "") !== word) at += 1;
      at += 1;
    }
  }
  return found;
};

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

/** Why a Dockerfile needs BuildKit: the construct that only it understands. Null when the classic builder will do. */
export const buildKitReason = (text: string): string | null => {
  for (const { name, rest } of parseDockerfile(text)) {
    if (name === "RUN" && /^(--\S+\s+)*--(mount|network|security)[=\s]/.test(rest))
      return `RUN ${/--(mount|network|security)/.exec(rest)![0]}`;
    if ((name === "COPY" || name === "ADD") && /(^|\s)--(chmod|link|exclude|parents|checksum|keep-git-dir)\b/.test(rest)) {
      return `${name} ${/--(chmod|link|exclude|parents|checksum|keep-git-dir)/.exec(rest)![0]}`;
    }
    if (["RUN", "COPY", "ADD"].includes(name) && new RegExp(hereDocument.source).test(rest) && !/^\[/.test(rest)) {
      // A here-document of the shell inside one line cannot be told apart; BuildKit reads it as the classic builder would not.
      return `${name} with a here-document`;
    }
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
  for (const { name, rest, line } of parseDockerfile(text)) {
    if (name === "ARG" && !begun) {
      for (const [, key, , value] of rest.matchAll(/([A-Za-z_]\w*)(=("[^"]*"|'[^']*'|\S*))?/g)) {
        if (value !== undefined) values.set(key!, substitute(value.replace(/^(["'])(.*)\1$/, "$2"), values) ?? "");
      }
    }
    if (name === "FROM") {
      begun = true;
      const words = rest.split(/\s+/).filter((word) => !word.startsWith("--"));
      note(substitute(words[0] ?? "", values), line);
      if (words[1]?.toUpperCase() === "AS" && words[2] !== undefined) stages.add(words[2].toLowerCase());
    }
    if (name === "COPY") note(substitute(/(?:^|\s)--from=(\S+)/.exec(rest)?.[1] ?? "", values), line);
  }
  return found;
};
