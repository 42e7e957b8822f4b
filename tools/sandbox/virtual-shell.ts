import type { CustomCommand, IFileSystem, TransformPlugin } from "just-bash";
import type { ExecResult, Shell } from "./sandbox.js";
import { execVirtual, type JustBash, quoted } from "./virtual-exec.js";

/** What a session carries from command to command. just-bash begins each exec anew, so it is kept here. */
export interface ShellState {
  cwd: string;
  /** Exported variables. */
  env: Record<string, string>;
  /** Variables that are not exported. */
  variables: Record<string, string>;
  /** `declare` lines of arrays, by name. */
  arrays: Record<string, string>;
  /** Source of functions, by name. */
  functions: Record<string, string>;
  /** Names of shopt options that are on. */
  options: string[];
}

/** Variables of the shell itself. */
const OWN =
  /^(?:[?#@*!$_-]|\d+|IFS|OSTYPE|MACHTYPE|HOSTTYPE|HOSTNAME|PWD|OLDPWD|OPTIND|OPTARG|SHELLOPTS|BASHOPTS|BASH.*|RANDOM|SECONDS|LINENO|PIPESTATUS|FUNCNAME|EUID|UID|PPID|SHLVL|DIRSTACK|REPLY|GROUPS)$/;
const KEEP = "__spark_keep";

/**
 * The session of the virtual sandbox: directory, variables, arrays, functions and shopt options persist. A command that ends with
 * `exit`, times out or is aborted leaves the state as it found it, save for the directory that a plain failing command had reached.
 */
export function createVirtualShell(library: JustBash, fs: IFileSystem, state: ShellState, alive: () => void): Shell {
  let queue: Promise<unknown> = Promise.resolve();
  const run: Shell["run"] = async (command, options = {}) => {
    alive();
    if (!(await fs.stat(state.cwd).catch(() => null))?.isDirectory) state.cwd = "/";
    let reached = false;
    const keep: CustomCommand = {
      name: KEEP,
      trusted: true,
      async execute([status, declarations, functions], context) {
        reached = true;
        remember(state, context.env, context.exportedEnv ?? {}, declarations ?? "");
        const living = new Set((functions ?? "").split("\n").map((line) => line.replace(/^declare -f\S* /, "")));
        state.functions = Object.fromEntries(Object.entries(state.functions).filter(([name]) => living.has(name)));
        state.cwd = context.cwd;
        return { stdout: "", stderr: "", exitCode: Number(status) };
      },
    };
    const result = await execVirtual(library, fs, command, {
      ...options,
      cwd: state.cwd,
      env: state.env,
      plugin: statePlugin(library, state),
      commands: [keep],
    });
    // `set -e` or a fatal error ends a command before its state is kept; the directory at least is known.
    if (!reached && !result.timedOut && !result.aborted && result.env.PWD) state.cwd = result.env.PWD;
    const { env: _, ...rest } = result;
    return rest satisfies ExecResult;
  };
  return {
    run(command, options) {
      const next = queue.then(() => run(command, options));
      queue = next.catch(() => undefined);
      return next;
    },
    async close() {
      await queue;
    },
  };
}

/** Puts the saved state before the command and the saving after it, in the syntax tree: line numbers and here-documents stay as typed. */
function statePlugin(library: JustBash, state: ShellState): TransformPlugin {
  return {
    name: "session-state",
    transform({ ast }) {
      for (const { pipelines } of ast.statements)
        for (const { commands } of pipelines)
          for (const node of commands)
            if (node.type === "FunctionDef")
              state.functions[node.name] = library.serialize({
                ...ast,
                statements: [{ ...ast.statements[0]!, pipelines: [{ ...pipelines[0]!, commands: [node] }], operators: [] }],
              });
      const prelude = [
        ...Object.entries(state.variables).map(([name, value]) => `${name}=${quoted(value)}`),
        ...Object.values(state.arrays),
        ...Object.values(state.functions),
        ...(state.options.length > 0 ? [`shopt -s ${state.options.join(" ")}`] : []),
      ];
      const before = prelude.length > 0 ? library.parse(`${prelude.join("\n")}\ntrue\n`).statements : [];
      const after = library.parse(`${KEEP} "$?" "$(declare -p 2>/dev/null)" "$(declare -F 2>/dev/null)"\n`).statements;
      return { ast: { ...ast, statements: [...before, ...ast.statements, ...after] } };
    },
  };
}

function remember(state: ShellState, all: Map<string, string>, exported: Record<string, string>, declarations: string): void {
  const usable = ([name]: [string, string]) => !OWN.test(name) && /^[A-Za-z_]\w*$/.test(name);
  state.arrays = {};
  for (const line of declarations.split("\n")) {
    const match = /^declare -[a-zA-Z]*([aA])[a-zA-Z]* ([A-Za-z_]\w*)=\((.*)\)$/.exec(line);
    if (match && !OWN.test(match[2]!)) state.arrays[match[2]!] = arrayAssignments(match[1]!, match[2]!, match[3]!);
  }
  state.env = Object.fromEntries(Object.entries(exported).filter(usable));
  state.variables = Object.fromEntries(
    [...all].filter(
      (entry) => usable(entry) && !(entry[0] in exported) && !(entry[0] in state.arrays) && !isElement(entry[0], state.arrays),
    ),
  );
  state.options = (all.get("BASHOPTS") ?? "")
    .split(":")
    .filter((name) => ["dotglob", "extglob", "globstar", "nocaseglob", "nocasematch", "nullglob", "failglob"].includes(name));
}

/**
 * Statements that make an array again, from the elements that `declare -p` printed. just-bash cannot read its own line back: it splits
 * quoted elements at spaces.
 */
function arrayAssignments(kind: string, name: string, elements: string): string {
  const parts = elements.split(kind === "a" ? / (?=\[\d+\]=["$])/ : / (?=\['(?:[^']|'\\'')*'\]=)/).filter((part) => part !== "");
  const assignments = parts.map((part) => `${name}${part}`);
  return [`declare -${kind} ${name}`, ...assignments].join("\n");
}

/** just-bash keeps array elements as `name_index` among the variables. */
const isElement = (name: string, arrays: Record<string, string>): boolean =>
  Object.keys(arrays).some((array) => name.startsWith(`${array}_`));
