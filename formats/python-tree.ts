import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import type { Language, Parser, TreeCursor } from "web-tree-sitter";
import { SparkError } from "../state/errors.js";

/** A named node of a syntax tree, numbered in the order of the text, so that a subtree is a range of numbers and no walk needs recursion. */
export interface PythonNode {
  index: number;
  /** Number of the subtree's last node; `index` for a leaf. */
  last: number;
  /** As in tree-sitter-python's grammar. */
  type: string;
  field: string | null;
  start: number;
  end: number;
  parent: PythonNode | null;
}

/** A parsed Python file. */
export class PythonTree {
  readonly text: string;
  readonly nodes: readonly PythonNode[];

  constructor(text: string, nodes: readonly PythonNode[]) {
    this.text = text;
    this.nodes = nodes;
  }

  /** The node and everything in it, in the order of the text. */
  within(node: PythonNode): readonly PythonNode[] {
    return this.nodes.slice(node.index, node.last + 1);
  }

  children(node: PythonNode): PythonNode[] {
    const found: PythonNode[] = [];
    for (let index = node.index + 1; index <= node.last; index = this.nodes[index]!.last + 1) found.push(this.nodes[index]!);
    return found;
  }

  child(node: PythonNode, field: string): PythonNode | undefined {
    return this.children(node).find((child) => child.field === field);
  }

  textOf(node: PythonNode): string {
    return this.text.slice(node.start, node.end);
  }
}

/** Where the grammar stands: beside the built files, else in the packages of a development tree. */
const GRAMMAR_PLACES = ["../vendor/tree-sitter-python.wasm", "../node_modules/tree-sitter-python/tree-sitter-python.wasm"];

let loading: Promise<{ language: Language; createParser: () => Parser }> | undefined;

async function load(): Promise<{ language: Language; createParser: () => Parser }> {
  const { Language: Loader, Parser: Constructor } = await import("web-tree-sitter");
  await Constructor.init();
  for (const place of GRAMMAR_PLACES) {
    const bytes = await readFile(new URL(place, import.meta.url)).catch(() => null);
    if (bytes !== null) return { language: await Loader.load(bytes), createParser: () => new Constructor() };
  }
  const missing = fileURLToPath(new URL(GRAMMAR_PLACES[0]!, import.meta.url));
  throw new SparkError(`the Python grammar is missing: ${missing}; install spark-skills again, or run npm run build`, { code: "internal" });
}

/** The syntax tree of a Python 3 file; null when the file has a syntax error. Loads the parser when it is first used. */
export async function parsePython(text: string): Promise<PythonTree | null> {
  loading ??= load();
  const { language, createParser } = await loading;
  const parser = createParser();
  try {
    parser.setLanguage(language);
    const tree = parser.parse(text);
    if (tree === null) return null;
    try {
      return tree.rootNode.hasError ? null : new PythonTree(text, namedNodes(tree.walk()));
    } finally {
      tree.delete();
    }
  } finally {
    parser.delete();
  }
}

function namedNodes(cursor: TreeCursor): PythonNode[] {
  const nodes: PythonNode[] = [];
  /** Open nodes from the root down; null where an unnamed one stands. */
  const open: (PythonNode | null)[] = [];
  const enter = (): void => {
    const parent = open.findLast((node) => node !== null) ?? null;
    const node = cursor.nodeIsNamed
      ? {
          index: nodes.length,
          last: nodes.length,
          type: cursor.nodeType,
          field: cursor.currentFieldName,
          start: cursor.startIndex,
          end: cursor.endIndex,
          parent,
        }
      : null;
    if (node !== null) nodes.push(node);
    open.push(node);
  };
  const leave = (): void => {
    const node = open.pop();
    if (node) node.last = nodes.length - 1;
  };
  enter();
  while (open.length > 0) {
    if (cursor.gotoFirstChild()) {
      enter();
      continue;
    }
    leave();
    while (open.length > 0 && !cursor.gotoNextSibling()) {
      cursor.gotoParent();
      leave();
    }
    if (open.length > 0) enter();
  }
  cursor.delete();
  return nodes;
}
