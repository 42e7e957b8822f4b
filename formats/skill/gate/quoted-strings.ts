/** Shorter ones say nothing about where they come from. */
const MIN_CHARACTERS = 6;
const MAX_CHARACTERS = 2000;

/** Each kind of quote alone, since one may stand inside another; a single one inside a word is an apostrophe, behind r, b, f or u it is none. */
const QUOTED = [/"((?:[^"\\]|\\.){0,2000})"/g, /(?<!\w)(?:[rbfuRBFU]{1,2})?'((?:[^'\\]|\\.){0,2000})'(?!\w)/g, /`([^`]{0,2000})`/g];

/** What belongs to languages and formats, not to a task: dunder names, encodings and their error handlers, MIME types, time formats. */
const VOCABULARY = [
  /^__\w+__$/,
  /^(utf-?8-sig|utf-?(8|16|32)(-?[bl]e)?|iso-?8859-\d+|windows-\d+|surrogateescape|surrogatepass|backslashreplace|xmlcharrefreplace|namereplace)$/i,
  /^(application|audio|font|image|message|multipart|model|text|video)\/[\w.+-]+$/,
  /^(?=.*%)(%[-#]?[A-Za-z]|[\s:/.,TZ\d+-])+$/,
];

/** Unnamed fields of a template (a named one looks like FLAG{word}), classes and groups of a regular expression, escapes: every program that reads or writes the same format has them. */
const SYNTAX = /\{\d?(?::[^{}]*)?\}|%[-#+0-9.]*[A-Za-z]|\\x[0-9a-f]{2}|\\[A-Za-z]|\(\?[:=!<]+/gi;

/** Quoted strings of six or more characters, by line; with the escapes of quotes, backslashes, tabs and line ends undone. */
export function quotedStrings(lines: readonly string[]): { value: string; line: number }[] {
  const found: { value: string; line: number }[] = [];
  for (const [index, line] of lines.entries())
    for (const pattern of QUOTED)
      for (const [, inner = ""] of line.matchAll(pattern)) {
        const value = unescaped(inner).trim();
        if (value.length < MIN_CHARACTERS || value.length > MAX_CHARACTERS) continue;
        if (!tells(value) || VOCABULARY.some((known) => known.test(value))) continue;
        found.push({ value, line: index + 1 });
      }
  return found;
}

/** Two letters or digits together; six in all where some of the text is mere syntax. */
const tells = (value: string): boolean => {
  const content = value.replace(SYNTAX, " ");
  return content === value ? /[\p{L}\p{N}]{2}/u.test(value) : (content.match(/[\p{L}\p{N}]/gu)?.length ?? 0) >= MIN_CHARACTERS;
};

const unescaped = (text: string): string =>
  text.replace(/\\(["'`\\nt])/g, (_, character: string) => (character === "n" ? "\n" : character === "t" ? "\t" : character));
