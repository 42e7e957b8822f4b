const CANARY = /^(<!--.*canary.*-->|#.*canary.*)$/i;

/**
 * The instruction as an agent gets it: leading lines that are an HTML comment or a `#` comment with the word "canary" are dropped,
 * then the blank lines directly after them. Nothing else changes. Source: specs/harbor.md 1.1.
 */
export function stripCanary(text: string): string {
  const lines = text.split("\n");
  let first = 0;
  while (first < lines.length && CANARY.test(lines[first]!.trim())) first++;
  if (first === 0) return text;
  while (first < lines.length && lines[first]!.trim() === "") first++;
  return lines.slice(first).join("\n");
}
