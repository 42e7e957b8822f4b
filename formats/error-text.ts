/** How a provider's, proxy's or interpreter's failure begins when it stands where a model's answer should. Source: specs/spark.md 6.2, 6.3. */
const OPENINGS: readonly { name: string; pattern: RegExp }[] = [
  { name: "an error line of the model client", pattern: /^\[(?:llm|api|model|system)?[ _-]?error\]/i },
  {
    name: "an error line",
    pattern: /^(?:(?:fatal|internal|api|server|request|connection|network|rate ?limit|timeout)[ _-]?)*error(?: code)?\s*[:(]/i,
  },
  { name: "an exception", pattern: /^(?:[a-z_][\w]*\.)*[A-Za-z_]\w*(?:Error|Exception|Timeout)\b\s*[:(]/ },
  { name: "a Python traceback", pattern: /^traceback \(most recent call last\)/i },
  { name: "a JSON error object", pattern: /^\{\s*"(?:error|errors|detail|message)"\s*:/ },
  { name: "a raw stream of the endpoint", pattern: /^(?:data|event):\s*[{[]/ },
  { name: "an HTML page", pattern: /^<(?:!doctype\s+html|html|head|body)\b/i },
  {
    name: "an HTTP status line",
    pattern:
      /^(?:http\/\d(?:\.\d)?\s+)?[45]\d\d\s+(?:bad|unauthori|forbidden|not found|payment|too many|internal|service|gateway|request|error)/i,
  },
  {
    name: "a message about a limit",
    pattern:
      /^(?:rate limit|quota|too many requests|(?:the )?(?:request|connection|model) (?:timed out|was aborted|is overloaded)|service unavailable|overloaded)/i,
  },
];

/** What kind of failure a text is, in words for a person, or null when it does not begin like one. Only the beginning counts: a text about errors is none. */
export function errorTextKind(text: string): string | null {
  const opening = text.trimStart().slice(0, 400);
  return OPENINGS.find(({ pattern }) => pattern.test(opening))?.name ?? null;
}
