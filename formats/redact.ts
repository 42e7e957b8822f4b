/** What stands where a secret stood. */
export const REDACTED = "[REDACTED]";

/** Shorter values are words and numbers of every text. */
const MIN_SECRET_CHARACTERS = 8;

// Not preceded by a character of the same word; the `n` of a JSON-escaped `\n` is no such character.
const START = String.raw`(?<!(?<!\\)[A-Za-z0-9_])`;
const BREAK = String.raw`(?:\s|\\+[nrt])`;
const PEM_LABEL = "[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----";
const PEM_BODY = String.raw`(?:[A-Za-z0-9+/=:, \t\r\n]|\\+[nrt]|-(?!----)){20,20000}`;

/**
 * Shapes of well-known credentials. Every pattern is linear: it starts at a fixed word or a lookbehind, repeats single classes or a
 * bounded number of times, and its classes hold neither quotes nor backslashes, so JSON around a match stays JSON.
 */
const patterns: readonly { kind: string; regex: RegExp }[] = [
  {
    kind: "private-key",
    regex: new RegExp(`-----BEGIN ${PEM_LABEL}(?:${PEM_BODY}-----END ${PEM_LABEL}|(?:${BREAK}*[A-Za-z0-9+/]{20,100}={0,2})+)`, "g"),
  },
  { kind: "url-credentials", regex: /(?<=[a-z0-9]:\/\/)[^\s/?#"'\\<>@:[\]]{0,100}:(?![${<*])[^\s/?#"'\\<>[\]]{1,200}(?=@[A-Za-z0-9[])/gi },
  { kind: "jwt", regex: /(?<!(?<!\\)[A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/g },
  { kind: "bearer-token", regex: /(?<=bearer[ \t]{1,4})(?=[A-Za-z._~+/-]{0,200}[0-9])[A-Za-z0-9._~+/-]{16,}={0,2}/gi },
  {
    kind: "basic-credentials",
    regex: /(?<=authorization\\{0,4}["']?[ \t]{0,4}[:=][ \t]{0,4}\\{0,4}["']?basic[ \t]{1,4})[A-Za-z0-9+/]{8,}={0,2}/gi,
  },
  { kind: "openai-key", regex: new RegExp(`${START}sk-(?=[A-Za-z_-]{0,200}[0-9])[A-Za-z0-9_-]{20,}`, "g") },
  { kind: "langsmith-key", regex: new RegExp(`${START}lsv2_[a-z]{2}_[A-Za-z0-9_]{20,}`, "g") },
  { kind: "github-token", regex: new RegExp(`${START}(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,})`, "g") },
  { kind: "gitlab-token", regex: new RegExp(`${START}glpat-[A-Za-z0-9_.-]{20,}`, "g") },
  { kind: "aws-access-key", regex: new RegExp(`${START}(?:AKIA|ASIA)[0-9A-Z]{16}(?![A-Za-z0-9])`, "g") },
  {
    kind: "aws-secret-key",
    regex: /(?<=aws_?secret_?access_?key\\{0,4}["']?[ \t]{0,4}[:=][ \t]{0,4}\\{0,4}["']?)[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/])/gi,
  },
  { kind: "google-key", regex: new RegExp(`${START}AIza[0-9A-Za-z_-]{35}(?![A-Za-z0-9])`, "g") },
  { kind: "slack-token", regex: new RegExp(`${START}xox[abeoprs]-(?=[A-Za-z-]{0,200}[0-9])[A-Za-z0-9-]{10,}`, "g") },
  { kind: "hugging-face-token", regex: new RegExp(`${START}hf_[A-Za-z0-9]{30,}`, "g") },
  { kind: "stripe-key", regex: new RegExp(`${START}[rs]k_(?:live|test)_[A-Za-z0-9]{16,}`, "g") },
];

/** A credential by its shape. */
export interface FoundSecret {
  /** Counts from 1. */
  line: number;
  kind: string;
}

/** Credentials in a text by their shape, in the order of their lines; for the gate, which may not know the user's environment. */
export function findSecrets(text: string): FoundSecret[] {
  const found = patterns.flatMap(({ kind, regex }) => [...text.matchAll(regex)].map(({ index }) => ({ index, kind })));
  found.sort((a, b) => a.index - b.index);
  let line = 1;
  let at = 0;
  return found.map(({ index, kind }) => {
    for (let next = text.indexOf("\n", at); next !== -1 && next < index; next = text.indexOf("\n", at)) {
      line += 1;
      at = next + 1;
    }
    return { line, kind };
  });
}

/**
 * A function that replaces secrets in any text by `[REDACTED]`: the values of secret-looking variables of `env` (at least 8 characters;
 * also base64, URL-encoded and JSON-escaped) and credentials known by their shape. Applying it twice changes nothing more; JSON and
 * JSON lines stay such, with the same keys in the same order. Apply before every sink.
 */
export function createRedactor(env: Readonly<Record<string, string | undefined>>): (text: string) => string {
  const forms = [...new Set(secretValues(env).flatMap(formsOf))]
    .filter((form) => !form.includes(REDACTED) && !REDACTED.includes(form))
    .sort((a, b) => b.length - a.length);
  const numbers = new Set(forms.filter((form) => /^-?[0-9.]+$/.test(form)));
  const redactPlain = (text: string): string => {
    // What one replacement uncovers (a word that now starts) the next pass takes, so that the result is a fixed point.
    for (let before = text; ; before = text) {
      text = before
        .split(REDACTED)
        .map((piece) => redactOnce(piece, forms))
        .join(REDACTED);
      if (text === before) return text;
    }
  };
  return (text) => {
    const plain = redactPlain(text);
    if (plain === text) return text;
    if (isJson(text)) return redactLiterals(text, redactPlain, numbers);
    const lines = text.split("\n");
    if (lines.length < 2 || !lines.every((line) => line.trim() === "" || isJson(line))) return plain;
    return lines.map((line) => redactLiterals(line, redactPlain, numbers)).join("\n");
  };
}

function redactOnce(text: string, forms: readonly string[]): string {
  let result = text;
  for (const form of forms)
    if (result.includes(form))
      result = result
        .split(REDACTED)
        .map((piece) => piece.replaceAll(form, REDACTED))
        .join(REDACTED);
  for (const { regex } of patterns) result = result.replace(regex, REDACTED);
  return result;
}

/** Redacts inside the string literals of a JSON text and leaves everything between them as it stands, save numbers that are secrets. */
function redactLiterals(json: string, redact: (text: string) => string, numbers: ReadonlySet<string>): string {
  const parts: string[] = [];
  let at = 0;
  for (let open = json.indexOf('"'); open !== -1; open = json.indexOf('"', at)) {
    const close = closingQuote(json, open);
    parts.push(redactNumbers(json.slice(at, open), numbers), `"${redactLiteral(json.slice(open + 1, close), redact)}"`);
    at = close + 1;
  }
  return parts.join("") + redactNumbers(json.slice(at), numbers);
}

function closingQuote(json: string, open: number): number {
  for (let close = json.indexOf('"', open + 1); ; close = json.indexOf('"', close + 1)) {
    let backslashes = 0;
    while (json[close - 1 - backslashes] === "\\") backslashes += 1;
    if (backslashes % 2 === 0) return close;
  }
}

function redactLiteral(inner: string, redact: (text: string) => string): string {
  const clean = redact(inner);
  if (clean === inner || isJson(`"${clean}"`)) return clean;
  return JSON.stringify(redact(JSON.parse(`"${inner}"`) as string)).slice(1, -1);
}

const redactNumbers = (between: string, numbers: ReadonlySet<string>): string =>
  numbers.size === 0 ? between : between.replace(/-?[0-9][0-9.eE+-]*/g, (number) => (numbers.has(number) ? `"${REDACTED}"` : number));

function isJson(text: string): boolean {
  if (!/^\s*[[{"]/.test(text)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

const SECRET_NAME = /KEY(?!BOARD|MAP)|TOKEN(?!IZER)|SECRET|PASSW|PASSPHRASE|CREDENTIAL|AUTH(?!OR)/i;
/** Such a variable names the place of a secret. */
const PLACE_NAME = /_(?:FILE|PATH|DIR|HOME|SOCK)$/i;

function secretValues(env: Readonly<Record<string, string | undefined>>): string[] {
  return Object.entries(env).flatMap(([name, raw]) => {
    const value = raw?.trim() ?? "";
    const password = /:\/\/[^/?#\s]*?:([^/?#\s]+)@/.exec(value)?.[1];
    const secrets = password === undefined ? [] : [password];
    if (SECRET_NAME.test(name) && !PLACE_NAME.test(name) && !isSetting(name, value)) secrets.push(value);
    return secrets.filter((secret) => secret.length >= MIN_SECRET_CHARACTERS);
  });
}

/** MAX_TOKENS=20000000 and AUTH_MODE=disabled: a count and a word that stand in ordinary text. */
const isSetting = (name: string, value: string): boolean =>
  (/TOKENS/i.test(name) && /^[0-9_]+$/.test(value)) || (/AUTH/i.test(name) && /^[a-z]+(?:[-_][a-z]+)*$/.test(value));

/** How a value may stand in a text. Base64 is taken at each of its three alignments, so a value inside `user:password` is found too. */
function formsOf(value: string): string[] {
  const bytes = Buffer.from(value, "utf8");
  const escaped = JSON.stringify(value).slice(1, -1);
  const ascii = escaped.replace(/[^\x00-\x7f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const encoded = encodeURIComponent(bytes.toString("utf8"));
  const lowerCase = encoded.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
  const aligned = [0, 1, 2].flatMap((offset) => {
    const text = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64url");
    // Characters that also hold bits of a neighbour differ from place to place.
    const core = text.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    return [core, core.replaceAll("-", "+").replaceAll("_", "/")];
  });
  return [value, escaped, JSON.stringify(escaped).slice(1, -1), ascii, encoded, lowerCase, encoded.replaceAll("%20", "+"), ...aligned];
}
