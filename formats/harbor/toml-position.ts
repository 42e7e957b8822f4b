/** A place in a text; both count from 1. */
export interface TextPosition {
  line: number;
  column: number;
}

type TomlPath = readonly (string | number)[];

/**
 * Where a key stands in a TOML text that parses: the key itself, the header of a table, the opening bracket of an array table's element,
 * or an element of an inline array. A key that is not there gives the place of the nearest parent that is, at last 1:1.
 */
export function tomlPosition(text: string, path: TomlPath): TextPosition {
  const offsets = new Scanner(text).scan();
  for (let length = path.length; length > 0; length--) {
    const offset = offsets.get(keyOf(path.slice(0, length)));
    if (offset !== undefined) return positionAt(text, offset);
  }
  return { line: 1, column: 1 };
}

const keyOf = (path: TomlPath): string => JSON.stringify(path);

function positionAt(text: string, offset: number): TextPosition {
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf("\n") + 1;
  return { line: before.split("\n").length, column: offset - lineStart + 1 };
}

/** Walks a valid TOML text and notes where each key begins. smol-toml keeps no positions of what it accepted. */
class Scanner {
  readonly #text: string;
  readonly #offsets = new Map<string, number>();
  readonly #arrayTables = new Map<string, number>();
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): Map<string, number> {
    let table: TomlPath = [];
    for (;;) {
      this.#skipBlank(true);
      if (this.#at >= this.#text.length) return this.#offsets;
      if (this.#peek() === "[") table = this.#header();
      else this.#pair(table);
    }
  }

  #peek = (): string => this.#text[this.#at] ?? "";

  #note(path: TomlPath, offset: number): void {
    const key = keyOf(path);
    if (!this.#offsets.has(key)) this.#offsets.set(key, offset);
  }

  #skipBlank(withLines: boolean): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#peek();
      if (character === "#") {
        const end = this.#text.indexOf("\n", this.#at);
        this.#at = (end < 0 ? this.#text.length : end) - 1;
      } else if (
        !(character === " " || character === "\t" || (withLines && (character === "\n" || character === "\r" || character === "\uFEFF")))
      )
        return;
    }
  }

  #header(): TomlPath {
    const start = this.#at;
    const isArray = this.#text.startsWith("[[", start);
    this.#at += isArray ? 2 : 1;
    const names = this.#dottedKey();
    this.#at += isArray ? 2 : 1;
    let path: (string | number)[] = [];
    names.forEach((name, index) => {
      path = [...path, name];
      const count = this.#arrayTables.get(keyOf(path));
      if (isArray && index === names.length - 1) {
        this.#arrayTables.set(keyOf(path), (count ?? 0) + 1);
        this.#note(path, start);
        path = [...path, count ?? 0];
      } else if (count !== undefined) path = [...path, count - 1];
      this.#note(path, start);
    });
    return path;
  }

  #pair(table: TomlPath): void {
    const start = this.#at;
    let path = [...table];
    for (const name of this.#dottedKey()) {
      path = [...path, name];
      this.#note(path, start);
    }
    this.#at++; // the equals sign
    this.#skipBlank(false);
    this.#value(path);
  }

  #dottedKey(): string[] {
    const names: string[] = [];
    for (;;) {
      this.#skipBlank(false);
      const quote = this.#peek();
      if (quote === '"' || quote === "'") names.push(this.#string());
      else {
        const start = this.#at;
        while (/[A-Za-z0-9_-]/.test(this.#peek())) this.#at++;
        names.push(this.#text.slice(start, this.#at));
      }
      this.#skipBlank(false);
      if (this.#peek() !== ".") return names;
      this.#at++;
    }
  }

  #value(path: TomlPath): void {
    const first = this.#peek();
    if (first === '"' || first === "'") this.#string();
    else if (first === "[") this.#array(path);
    else if (first === "{") this.#inlineTable(path);
    else while (this.#at < this.#text.length && !/[,\]}#\n]/.test(this.#peek())) this.#at++;
  }

  #array(path: TomlPath): void {
    this.#at++;
    for (let index = 0; this.#at < this.#text.length; ) {
      this.#skipBlank(true);
      if (this.#peek() === "]") break;
      if (this.#peek() === ",") this.#at++;
      else {
        this.#note([...path, index], this.#at);
        this.#value([...path, index++]);
      }
    }
    this.#at++;
  }

  #inlineTable(path: TomlPath): void {
    this.#at++;
    while (this.#at < this.#text.length) {
      this.#skipBlank(true);
      if (this.#peek() === "}") break;
      if (this.#peek() === ",") this.#at++;
      else this.#pair(path);
    }
    this.#at++;
  }

  /** Passes over a string of any of the four kinds and returns its content, for quoted keys with simple escapes only. */
  #string(): string {
    const quote = this.#peek();
    const long = this.#text.startsWith(quote.repeat(3), this.#at) ? quote.repeat(3) : quote;
    const start = this.#at + long.length;
    let end = start;
    while (end < this.#text.length && !this.#text.startsWith(long, end)) end += quote === '"' && this.#text[end] === "\\" ? 2 : 1;
    // Up to two quotes may stand before the closing three.
    if (long.length === 3) while (this.#text[end + 3] === quote) end++;
    this.#at = end + long.length;
    return this.#text.slice(start, end).replace(/\\(["\\])/g, "$1");
  }
}
