import type { PythonNode, PythonTree } from "./python-tree.js";

const LEAVES = new Set(["integer", "float", "true", "false", "string", "concatenated_string"]);
const CONTAINERS = new Set([
  "list",
  "tuple",
  "set",
  "dictionary",
  "pair",
  "expression_list",
  "parenthesized_expression",
  "unary_operator",
  "binary_operator",
]);
const STRINGS = new Set(["string", "concatenated_string"]);

export const isString = (node: PythonNode): boolean => STRINGS.has(node.type);

/**
 * The largest parts of a subtree that are nothing but literals: a number with its sign, a string, a list of them. An f-string counts as
 * a whole. Empty containers hold nothing and are left out.
 */
export function literalsIn(tree: PythonTree, root: PythonNode): PythonNode[] {
  const found: PythonNode[] = [];
  for (let index = root.index; index <= root.last; ) {
    const node = tree.nodes[index]!;
    const whole = isLiteral(tree, node);
    if (whole) found.push(node);
    index = whole ? node.last + 1 : index + 1;
  }
  return found;
}

function isLiteral(tree: PythonTree, root: PythonNode): boolean {
  let leaves = 0;
  for (let index = root.index; index <= root.last; ) {
    const node = tree.nodes[index]!;
    if (LEAVES.has(node.type)) leaves += 1;
    else if (!CONTAINERS.has(node.type) && node.type !== "none" && node.type !== "comment") return false;
    index = STRINGS.has(node.type) ? node.last + 1 : index + 1;
  }
  return leaves > 0;
}

/** Identifiers in a subtree, those in f-strings too; names of keyword arguments are left out. */
export const identifiersIn = (tree: PythonTree, root: PythonNode): PythonNode[] =>
  tree.within(root).filter((node) => node.type === "identifier" && !(node.field === "name" && node.parent?.type === "keyword_argument"));

/** Content of a string without prefix and quotes, as written. */
export const stringContent = (tree: PythonTree, node: PythonNode): string =>
  tree
    .within(node)
    .filter(({ type }) => type === "string_content" || type === "interpolation")
    .map((part) => tree.textOf(part))
    .join("");

const NUMBER = /\d(?:[\d_]|,(?=\d{3}))*(?:\.\d[\d_]*)?/g;
const HEX = /0x[0-9a-f_]+|(?<![0-9a-z])(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{16,}(?![0-9a-z])/gi;

/** Places of numbers of four or more significant digits in a text, and of hexadecimal digests, in order and apart. */
export function tellingNumbers(text: string): { start: number; end: number }[] {
  const decimal = [...text.matchAll(NUMBER)].filter(([digits]) => digits.replace(/[^\d]/g, "").replace(/^0+/, "").length >= 4);
  const hexadecimal = [...text.matchAll(HEX)].filter(([digits]) => digits.length >= 6);
  const places = [...decimal, ...hexadecimal].map((match) => ({ start: match.index, end: match.index + match[0].length }));
  places.sort((a, b) => a.start - b.start || b.end - a.end);
  let end = 0;
  return places.filter((place) => {
    if (place.start < end) return false;
    end = place.end;
    return true;
  });
}

/** A file's path or name, absolute or with an extension: what a test reads, as long as it is not what a test compares. */
export const isPathLike = (content: string): boolean =>
  /^(?:~?\/[\w.-]+(?:\/[\w.*-]*)*|(?:[\w.*-]+\/)*[\w*-]+\.[a-z][a-z0-9]{0,6})$/i.test(content) && tellingNumbers(content).length === 0;
