import type { CustomCommand, ExecResult, ResolvedCommandContext } from "just-bash";

const done = (stdout = ""): ExecResult => ({ stdout, stderr: "", exitCode: 0 });
const failed = (message: string, exitCode = 1): ExecResult => ({ stdout: "", stderr: `${message}\n`, exitCode });
const operands = (words: readonly string[]): string[] =>
  words.filter((word, index) => !word.startsWith("-") || words.slice(0, index).includes("--"));

type Run = (args: string[], context: ResolvedCommandContext) => ExecResult | Promise<ExecResult>;

/** Small tools that task scripts expect and just-bash does not have. There is one user, root, and one processor; what needs more says so. */
const commands: Record<string, Run> = {
  id: (args) => {
    const flags = args.filter((word) => word.startsWith("-")).join("");
    if (/[ugG]/.test(flags)) return done(flags.includes("n") ? "root\n" : "0\n");
    return done("uid=0(root) gid=0(root) groups=0(root)\n");
  },
  whoami: () => done("root\n"),
  uname: (args) => {
    const values: Record<string, string> = {
      s: "Linux",
      n: "sandbox",
      r: "0-virtual",
      m: "x86_64",
      o: "GNU/Linux",
      p: "unknown",
      i: "unknown",
      v: "#1 virtual",
    };
    const flags = args.join("").replace(/-/g, "") || "s";
    return done(
      `${(flags.includes("a") ? ["s", "n", "r", "v", "m", "o"] : Object.keys(values).filter((key) => flags.includes(key))).map((key) => values[key]).join(" ")}\n`,
    );
  },
  nproc: () => done("1\n"),
  arch: () => done("x86_64\n"),
  sync: () => done(),
  umask: (args) => (args.length === 0 ? done("0022\n") : done()),
  ulimit: () => done("unlimited\n"),
  chown: (args, context) => eachExists(operands(args).slice(1), context, "chown"),
  chgrp: (args, context) => eachExists(operands(args).slice(1), context, "chgrp"),
  trap: (args) =>
    args.length < 2 || args[0] === "-" || args[0] === ""
      ? done()
      : failed("trap: the virtual sandbox has no signals and no EXIT trap; this one is ignored", 0),
  kill: () => failed("kill: no such process"),
  realpath: async (args, context) => {
    const lines: string[] = [];
    for (const word of operands(args)) {
      const path = context.fs.resolvePath(context.cwd, word);
      lines.push(await context.fs.realpath(path).catch(() => path));
    }
    return lines.length === 0 ? failed("realpath: missing operand") : done(`${lines.join("\n")}\n`);
  },
  mktemp: async (args, context) => {
    const isFolder = args.some((word) => /^-[a-z]*d|^--directory$/.test(word));
    const template = operands(args)[0] ?? "tmp.XXXXXXXXXX";
    const letters = () =>
      Array.from(crypto.getRandomValues(new Uint8Array(10)), (value) => "abcdefghijklmnopqrstuvwxyz0123456789"[value % 36]).join("");
    if (!/X{3,}/.test(template)) return failed(`mktemp: too few X's in template '${template}'`);
    const name = template.replace(/X{3,}(?=[^X]*$)/, (run) => letters().slice(0, Math.max(run.length, 3)).padEnd(run.length, "x"));
    const inTemporary = operands(args)[0] === undefined || args.some((word) => /^-[a-z]*[tp]|^--tmpdir/.test(word));
    const path = context.fs.resolvePath(inTemporary ? "/tmp" : context.cwd, name);
    if (isFolder) await context.fs.mkdir(path, { recursive: true });
    else await context.fs.writeFile(path, "");
    return done(`${inTemporary || template.startsWith("/") ? path : name}\n`);
  },
  install: async (args, context) => {
    const isFolder = args.includes("-d");
    const at = args.indexOf("-m");
    const given =
      args.find((word) => /^(-m|--mode=)[0-7]{3,4}$/.test(word))?.replace(/^(-m|--mode=)/, "") ?? (at < 0 ? undefined : args[at + 1]);
    const skipped = new Set(["-m", "-o", "-g"].flatMap((flag) => (args.includes(flag) ? [args.indexOf(flag) + 1] : [])));
    const words = args
      .filter((word, index) => !word.startsWith("-") && !skipped.has(index))
      .map((word) => context.fs.resolvePath(context.cwd, word));
    const mode = Number.parseInt(given ?? "755", 8);
    if (isFolder) {
      for (const path of words) {
        await context.fs.mkdir(path, { recursive: true });
        await context.fs.chmod(path, mode);
      }
      return done();
    }
    const target = words.pop();
    if (target === undefined || words.length === 0) return failed("install: missing operand");
    const folder = (await context.fs.stat(target).catch(() => null))?.isDirectory === true;
    for (const path of words) {
      if (!(await context.fs.exists(path))) return failed(`install: cannot stat '${path}': No such file or directory`);
      const to = folder ? `${target}/${path.split("/").at(-1)}` : target;
      if (args.includes("-D")) await context.fs.mkdir(to.replace(/\/[^/]*$/, "") || "/", { recursive: true });
      await context.fs.writeFile(to, await context.fs.readFileBuffer(path));
      await context.fs.chmod(to, mode);
    }
    return done();
  },
  cmp: async (args, context) => {
    const [first, second] = operands(args);
    if (first === undefined || second === undefined) return failed("cmp: missing operand", 2);
    const read = async (word: string) => context.fs.readFileBuffer(context.fs.resolvePath(context.cwd, word)).catch(() => null);
    const [a, b] = [await read(first), await read(second)];
    if (!a || !b) return failed(`cmp: ${a ? second : first}: No such file or directory`, 2);
    const length = Math.min(a.length, b.length);
    let at = 0;
    while (at < length && a[at] === b[at]) at++;
    const quiet = args.includes("-s") || args.includes("--quiet") || args.includes("--silent");
    if (at === length && a.length === b.length) return done();
    if (quiet) return { stdout: "", stderr: "", exitCode: 1 };
    if (at === length) return failed(`cmp: EOF on ${a.length < b.length ? first : second} after byte ${at}`);
    const line = a.subarray(0, at).filter((byte) => byte === 10).length + 1;
    return { stdout: `${first} ${second} differ: byte ${at + 1}, line ${line}\n`, stderr: "", exitCode: 1 };
  },
};

async function eachExists(words: string[], context: ResolvedCommandContext, name: string): Promise<ExecResult> {
  for (const word of words)
    if (!(await context.fs.exists(context.fs.resolvePath(context.cwd, word))))
      return failed(`${name}: cannot access '${word}': No such file or directory`);
  return done();
}

export const extraCommands: CustomCommand[] = Object.entries(commands).map(([name, run]) => ({
  name,
  trusted: true,
  execute: async (args, context) => run(args, context),
}));
