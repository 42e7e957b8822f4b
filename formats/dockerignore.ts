/** Cleans a path as Go's filepath.Clean does for the patterns of a .dockerignore. */
const clean = (pattern: string): string => {
  const parts: string[] = [];
  for (const part of pattern.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
    else if (part !== "..") parts.push(part);
  }
  return parts.join("/");
};

const escaped = (char: string): string => char.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** One pattern as an anchored expression: `*` and `?` stay in a component, `**` crosses them. */
const toExpression = (pattern: string): RegExp => {
  let text = "^";
  for (let at = 0; at < pattern.length; at += 1) {
    const char = pattern[at]!;
    if (char === "*" && pattern[at + 1] === "*") {
      at += 1;
      if (pattern[at + 1] === "/") {
        at += 1;
        text += "(?:.*/)?";
      } else text += ".*";
    } else if (char === "*") text += "[^/]*";
    else if (char === "?") text += "[^/]";
    else if (char === "[") {
      const end = pattern.indexOf("]", at + 2);
      if (end < 0) text += "\\[";
      else {
        text += `[${pattern.slice(at + 1, end).replaceAll("\\", "\\\\")}]`;
        at = end;
      }
    } else if (char === "\\" && at + 1 < pattern.length) {
      at += 1;
      text += escaped(pattern[at]!);
    } else text += escaped(char);
  }
  return new RegExp(`${text}$`, "s");
};

/**
 * The filter of a .dockerignore: whether a path of the context (relative, `/`) is left out. The last pattern that matches the
 * path or one of its parents decides; `!` takes back in.
 * Source: the Docker documentation of the file; the engine does not apply it to an archive that a client has packed.
 */
export const createIgnore = (text: string): ((path: string) => boolean) => {
  const rules = text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .filter((line) => !line.startsWith("#"))
    .map((line) => line.trim())
    .filter((line) => line !== "" && line !== "!")
    .map((line) => ({ back: line.startsWith("!"), pattern: clean((line.startsWith("!") ? line.slice(1) : line).trim()) }))
    .filter((rule) => rule.pattern !== "")
    .map((rule) => ({ back: rule.back, expression: toExpression(rule.pattern) }));
  return (path) => {
    const parts = path.split("/");
    const prefixes = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
    let ignored = false;
    for (const rule of rules) {
      if (ignored !== rule.back) continue;
      if (prefixes.some((prefix) => rule.expression.test(prefix))) ignored = !rule.back;
    }
    return ignored;
  };
};
