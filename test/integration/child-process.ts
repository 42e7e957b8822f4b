import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

const folders = ["state", "formats", "tools"];

/**
 * The sources as JavaScript in a folder from which packages resolve, so that a test can run a piece of them in a process of
 * its own, and kill it. Types are dropped, not checked.
 */
export const transpiledSources = (): { dir: string; remove(): void } => {
  const cache = join(process.cwd(), "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const dir = mkdtempSync(join(cache, "spark-skills-test-"));
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  for (const folder of folders) {
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith(".ts")) continue;
      const target = join(dir, entry.parentPath);
      mkdirSync(target, { recursive: true });
      const { outputText } = ts.transpileModule(readFileSync(join(entry.parentPath, entry.name), "utf8"), {
        compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true },
      });
      writeFileSync(join(target, entry.name.replace(/\.ts$/, ".js")), outputText);
    }
  }
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
};

/** Runs a script that imports `./tools/…` and `./state/…` of {@link transpiledSources}. */
export const startNode = (dir: string, name: string, script: string): ChildProcess => {
  const file = join(dir, `${name}.js`);
  writeFileSync(file, script);
  return spawn(process.execPath, [file], { stdio: ["ignore", "pipe", "inherit"] });
};

/** Output so far, as it comes. */
export const outputOf = (child: ChildProcess): (() => string) => {
  let out = "";
  child.stdout?.on("data", (data: Buffer) => {
    out += data.toString();
  });
  return () => out;
};

/** Exit code, or `null` when it had to be killed after the limit. */
export const exitOf = async (child: ChildProcess, limitMs = 60_000): Promise<number | null> =>
  await new Promise((resolve) => {
    const timer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    child.once("exit", (code) => {
      clearTimeout(timer);
      resolve(code);
    });
  });
