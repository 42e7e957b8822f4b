import { identifiersIn, isPathLike, isString, literalsIn, stringContent } from "./python-literals.js";
import type { PythonNode, PythonTree } from "./python-tree.js";

/** Names that say that their value is what a test wants. */
const ANSWER_NAME =
  /expect|answer|gold|truth|reference|target|correct|oracle|solution|baseline|known|desired|wanted|hash|digest|checksum|sha\d|md5|(?:^|_)(?:ref|exp|flag|want)(?:_|$)/i;
/** Functions that judge what they are given. */
const JUDGE_NAME =
  /^_*(?:assert|expect|verify|check|compare|validate|ensure|require)|approx|close|almost|equal|subtest|(?:^|_)(?:eq|ne|lt|le|gt|ge|fail|matches|fullmatch|startswith|endswith)$/i;
/** Built-in functions that hand their arguments on as they are. */
const TRANSPARENT = new Set([
  "sorted",
  "set",
  "frozenset",
  "list",
  "tuple",
  "dict",
  "str",
  "int",
  "float",
  "bool",
  "bytes",
  "round",
  "abs",
  "min",
  "max",
  "sum",
  "repr",
  "enumerate",
  "zip",
  "Decimal",
  "Fraction",
  "array",
]);
const MUTATORS = new Set(["append", "extend", "update", "add", "insert", "setdefault"]);
/** What may stand between a comparison and the record that it is part of. */
const RECORDS = new Set([
  "tuple",
  "list",
  "dictionary",
  "pair",
  "set",
  "argument_list",
  "call",
  "keyword_argument",
  "expression_list",
  "boolean_operator",
  "not_operator",
  "parenthesized_expression",
  "conditional_expression",
]);
const FUNCTIONS = new Set(["function_definition", "class_definition"]);

/** A value and the names under which it may be judged. */
interface Binding {
  names: readonly string[];
  value: PythonNode;
}

/** How a name is judged: 1 through a function that was given it, 2 itself. */
type Level = 1 | 2;

/**
 * The parts of a test file that tell what it wants: values of constants with telling names; literals in comparisons, conditions,
 * assertions, decorators, patterns and messages; and, followed back through assignments, loops, parameters and results, the literals
 * that reach a comparison. Names are taken file-wide, without scopes: rather one literal too many than an answer.
 */
export function answersIn(tree: PythonTree): PythonNode[] {
  const answers = new Set<PythonNode>();
  const levels = new Map<string, Level>();
  const mark = (root: PythonNode): void => {
    for (const literal of literalsIn(tree, root)) answers.add(literal);
  };
  const follow = (root: PythonNode, level: Level): void => {
    for (const identifier of identifiersIn(tree, root)) {
      const name = tree.textOf(identifier);
      const own = isGivenAway(tree, identifier, root) ? 1 : level;
      if (own > (levels.get(name) ?? 0)) levels.set(name, own);
    }
  };

  for (const { node, followed } of judgedParts(tree)) {
    mark(node);
    if (followed) follow(node, 2);
  }
  const bindings = bindingsOf(tree);
  for (const { names, value } of bindings) {
    if (!names.some((name) => ANSWER_NAME.test(name)) || literalsIn(tree, value).length === 0) continue;
    if (value.type === "argument_list") mark(value);
    else answers.add(value);
    follow(value, 2);
  }
  const done = new Map<Binding, Level>();
  for (let grows = true; grows; ) {
    grows = false;
    for (const binding of bindings) {
      const level = Math.max(0, ...binding.names.map((name) => levels.get(name) ?? 0)) as Level | 0;
      if (level === 0 || (done.get(binding) ?? 0) >= level) continue;
      done.set(binding, level);
      follow(binding.value, level);
      grows = true;
    }
  }
  for (const [{ value }, level] of done)
    for (const literal of literalsIn(tree, value))
      if (!(isString(literal) && (level === 1 || isGivenAway(tree, literal, value)) && isPathLike(stringContent(tree, literal))))
        answers.add(literal);
  return [...answers];
}

/** True when a node stands in the arguments of a call inside `root` that makes something else of them. */
function isGivenAway(tree: PythonTree, node: PythonNode, root: PythonNode): boolean {
  for (let at: PythonNode | null = node; at !== null && at !== root; at = at.parent)
    if (at.type === "argument_list" && at.parent?.type === "call" && !TRANSPARENT.has(functionName(tree, at.parent))) return true;
  return false;
}

/** Last part of a called function's name. */
function functionName(tree: PythonTree, call: PythonNode): string {
  const called = tree.child(call, "function");
  const name = called?.type === "attribute" ? tree.child(called, "attribute") : called;
  return name === undefined ? "" : tree.textOf(name);
}

/** What is judged as it stands. The names in a message are not judged. */
function* judgedParts(tree: PythonTree): Generator<{ node: PythonNode; followed: boolean }> {
  for (const node of tree.nodes) {
    switch (node.type) {
      case "comparison_operator": {
        if (tree.textOf(node).startsWith("__name__")) break;
        yield { node, followed: true };
        let record = node;
        while (record.parent !== null && RECORDS.has(record.parent.type)) record = record.parent;
        yield { node: record, followed: false };
        break;
      }
      case "assert_statement":
      case "if_clause":
      case "case_pattern":
      case "not_operator":
        yield { node, followed: true };
        break;
      case "raise_statement":
        yield { node, followed: false };
        break;
      case "conditional_expression":
        yield { node: tree.children(node)[1]!, followed: true };
        break;
      case "if_statement":
      case "elif_clause":
      case "while_statement":
        if (!tree.textOf(tree.child(node, "condition")!).startsWith("__name__"))
          yield { node: tree.child(node, "condition")!, followed: true };
        break;
      case "match_statement":
        for (const child of tree.children(node)) if (child.field === "subject") yield { node: child, followed: true };
        break;
      case "call": {
        const given = tree.child(node, "arguments");
        if (given === undefined) break;
        const isDecorator = node.parent?.type === "decorator";
        if (isDecorator || JUDGE_NAME.test(functionName(tree, node)))
          for (const argument of tree.children(given))
            if (!isDecorator || !isParameterNames(tree, argument)) yield { node: argument, followed: true };
        break;
      }
    }
  }
}

/** `"a, b"` as the first argument of `parametrize`: names, no values. */
const isParameterNames = (tree: PythonTree, argument: PythonNode): boolean =>
  argument.type === "string" &&
  tree.children(argument.parent!)[0] === argument &&
  functionName(tree, argument.parent!.parent!) === "parametrize" &&
  /^[a-z_]\w*(?:\s*,\s*[a-z_]\w*)*$/i.test(stringContent(tree, argument));

/** Every place of a file where names get a value. */
function bindingsOf(tree: PythonTree): Binding[] {
  const definitions = definitionsOf(tree);
  return tree.nodes.flatMap((node): Binding[] => {
    switch (node.type) {
      case "assignment":
      case "augmented_assignment":
      case "for_statement":
      case "for_in_clause":
        return bind(tree, tree.child(node, "left"), tree.child(node, "right"));
      case "named_expression":
      case "keyword_argument":
      case "default_parameter":
      case "typed_default_parameter":
        return bind(tree, tree.child(node, "name"), tree.child(node, "value"));
      case "as_pattern":
        return bind(tree, tree.child(node, "alias"), tree.children(node)[0]);
      case "pair": {
        const key = tree.child(node, "key");
        return key?.type === "string" && ANSWER_NAME.test(stringContent(tree, key))
          ? [{ names: [stringContent(tree, key)], value: tree.child(node, "value")! }]
          : [];
      }
      case "return_statement":
      case "yield": {
        let owner = node.parent;
        while (owner !== null && owner.type !== "function_definition") owner = owner.parent;
        return owner === null ? [] : bind(tree, tree.child(owner, "name"), node);
      }
      case "class_definition": {
        const name = tree.textOf(tree.child(node, "name")!);
        return ANSWER_NAME.test(name) ? assignedIn(tree, node).map((value) => ({ names: [name], value })) : [];
      }
      case "call":
        return givenTo(tree, node, definitions);
      default:
        return [];
    }
  });
}

const bind = (tree: PythonTree, names: PythonNode | undefined, value: PythonNode | undefined): Binding[] =>
  names === undefined || value === undefined ? [] : [{ names: namesIn(tree, names), value: innermost(tree, value) }];

const namesIn = (tree: PythonTree, root: PythonNode): string[] =>
  tree.within(root).flatMap((node) => (node.type === "identifier" ? tree.textOf(node) : []));

/** `a = b = 5` nests: the value of `a` is 5. */
function innermost(tree: PythonTree, value: PythonNode): PythonNode {
  let inner = value;
  while (inner.type === "assignment") inner = tree.child(inner, "right") ?? inner;
  return inner;
}

const assignedIn = (tree: PythonTree, definition: PythonNode): PythonNode[] =>
  tree.within(definition).flatMap((node) => (node.type === "assignment" ? (tree.child(node, "right") ?? []) : []));

/** Names of the file's own functions and classes → names of what they are given. */
function definitionsOf(tree: PythonTree): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const node of tree.nodes) {
    if (!FUNCTIONS.has(node.type)) continue;
    const inside = node.type === "class_definition" ? tree.within(node) : [tree.child(node, "parameters")!];
    const given = inside.flatMap((part) => {
      if (part.type === "parameters") return identifiersIn(tree, part);
      const left = part.type === "assignment" && tree.child(part, "type") !== undefined ? tree.child(part, "left") : undefined;
      return left === undefined ? [] : [left];
    });
    found.set(
      tree.textOf(tree.child(node, "name")!),
      given.map((name) => tree.textOf(name)),
    );
  }
  return found;
}

/** Arguments of a call get the names of the parameters; what is put into a container gets the container's. */
function givenTo(tree: PythonTree, call: PythonNode, definitions: ReadonlyMap<string, string[]>): Binding[] {
  const value = tree.child(call, "arguments");
  const called = tree.child(call, "function");
  if (value === undefined || called === undefined) return [];
  const name = functionName(tree, call);
  const holder = called.type === "attribute" && MUTATORS.has(name) ? tree.child(called, "object") : undefined;
  const names = [
    ...(definitions.get(name) ?? []),
    ...(holder === undefined ? [] : identifiersIn(tree, holder).map((part) => tree.textOf(part))),
  ];
  return names.length === 0 ? [] : [{ names, value }];
}
