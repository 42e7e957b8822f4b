/** Beginnings that a text written for a reader never has: what a broken call, a crash or a web server leaves behind. */
const BEGINNINGS: [RegExp, string][] = [
  [/^\[?(llm|api|model|provider|agent|openai|anthropic)[ _-]?error\b/i, "a provider's error message"],
  [/^(litellm|openai|anthropic|httpx|httpcore|requests|aiohttp|urllib3|google)(\.\w+)+(:|\()/i, "a provider's error message"],
  [/^Traceback \(most recent call last\)/i, "a Python traceback"],
  [/^(Uncaught |Unhandled )?([A-Z]\w*\.)*[A-Z]\w*(Error|Exception)(\s*\[\w+\])?\s*:\s/, "an exception's message"],
  [/^(fatal |internal server )?error(\s+code)?\s*[:(]/i, "an error message"],
  [/^(http\/?[\d.]*\s+)?(status\s*(code)?\s*:?\s*)?[45]\d\d\s+(client error|server error|internal server error|bad gateway|service unavailable|gateway time-?out|too many requests|unauthorized|forbidden|not found|bad request)/i, "an HTTP error"],
  [/^(internal server error|bad gateway|service (temporarily )?unavailable|gateway time-?out|too many requests|rate limit(ed| exceeded| reached)|upstream (connect )?error|no healthy upstream|request timed out|connection (error|refused|reset|aborted))\b/i, "a server's error message"],
  [/^(<\?xml[^>]*>\s*)?<(!doctype\s+html|html|head|body)\b/i, "an HTML page"],
  [/^\{\s*"(error|errors|detail|fault)"\s*:/i, "a JSON error"],
  [/^\{\s*"type"\s*:\s*"error"/i, "a JSON error"],
  [/^(event:\s*\w+\s+)?data:\s*(\{|\[DONE\])/i, "a raw event stream"],
];

/**
 * What a text is when it is error text instead of an answer; null for anything else. Only the beginning decides, behind an opening
 * fence or frontmatter too: an answer may speak of errors.
 */
export function errorTextKind(text: string): string | null {
  const start = text.slice(0, 4000).replace(/^\uFEFF/, "").trimStart();
  const inner = start.replace(/^(`{3,}|~{3,})[^\n]*\n/, "").trimStart();
  for (const [pattern, kind] of BEGINNINGS) if (pattern.test(inner)) return kind;
  return null;
}
