/** Whether a path (relative, forward slashes, a file) is ignored. */
export type IgnoreRules = (path: string) => boolean;

/**
 * The rules of a .gitignore file: comments, `!`, leading and trailing slash, `*`, `?`, `[…]`, `**`; the last rule that matches a file or one of
 * its folders decides, and, unlike git itself but like Harbor's pathspec, a `!` can bring back a file of an ignored folder only by naming it.
 */
export function ignoreRules(text: string): IgnoreRules {
  const rules = text.split(/\r?\n/).flatMap((line) => {
    const pattern = line.replace(/(?<!\\)\s+$/, "");
    return pattern === "" || pattern.startsWith("#") ? [] : [compile(pattern)];
  });
  return (path) => {
    let ignored = false;
    for (const rule of rules) if (rule.expression.test(path)) ignored = !rule.negated;
    return ignored;
  };
}

function compile(pattern: string): { expression: RegExp; negated: boolean } {
  const negated = pattern.startsWith("!");
  let body = negated ? pattern.slice(1) : pattern;
  const onlyFolders = body.endsWith("/");
  if (onlyFolders) body = body.slice(0, -1);
  // A peculiarity of pathspec, which Harbor uses: `/*` means the files at the top, not what is in its folders.
  if (body === "/*") return { expression: /^[^/]+$/, negated };
  const anchored = body.includes("/") && !/^\/?\*\*\//.test(body);
  body = body.replace(/^\//, "").replace(/^(\*\*\/)+/, "");
  const parts = body.split("/");
  const source = parts
    .map((part, index) =>
      part === "**" ? (index === parts.length - 1 ? ".+" : "(?:[^/]+/)*") : segment(part) + (index === parts.length - 1 ? "" : "/"),
    )
    .join("");
  return { expression: new RegExp(`${anchored ? "^" : "^(?:.*/)?"}${source}${onlyFolders ? "/" : "(?:/|$)"}`, "s"), negated };
}

function segment(part: string): string {
  let source = "";
  for (let at = 0; at < part.length; at++) {
    const character = part[at]!;
    const close = character === "[" ? part.indexOf("]", at + 2) : -1;
    if (character === "\\" && at + 1 < part.length) source += escaped(part[++at]!);
    else if (character === "*") source += "[^/]*";
    else if (character === "?") source += "[^/]";
    else if (close > 0) {
      source += `[${part
        .slice(at + 1, close)
        .replace(/^[!^]/, "^")
        .replaceAll("\\", "\\\\")
        .replaceAll("[", "\\[")}]`;
      at = close;
    } else source += escaped(character);
  }
  return source;
}

const escaped = (character: string): string => character.replace(/[.*+?^${}()|[\]\\/]/, "\\$&");
