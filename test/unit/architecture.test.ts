import { readdirSync, readFileSync } from "node:fs";
import { join, posix, relative, resolve } from "node:path";
import { expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");

/** Layer → layers that it may import beside itself (design.md section 3). A layer may be narrowed to a folder of it. */
const allowed: Record<string, readonly string[]> = {
  state: [],
  metrics: ["state"],
  prompts: ["state"],
  formats: ["state"],
  tools: ["formats", "state"],
  nodes: ["tools", "formats", "prompts", "metrics", "state"],
  // The composition root prices model calls, hence metrics.
  graphs: ["nodes", "tools", "formats", "prompts", "metrics", "state"],
  dashboard: ["formats", "metrics", "state"],
  cli: ["graphs", "nodes/trial", "tools", "dashboard", "formats", "metrics", "state"],
};

interface Source {
  file: string;
  layer: string;
  text: string;
  imports: string[];
}

const importsOf = (text: string): string[] =>
  [...text.matchAll(/^(?:import|export)\b[^;"]*?\bfrom "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"\)/gm)].map(
    (match) => (match[1] ?? match[2] ?? match[3])!,
  );

const read = (directory: string): Source[] =>
  readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".d.ts"))
    .map((name) => {
      const file = `${directory}/${relative("", name).replaceAll("\\", "/")}`;
      const text = readFileSync(join(root, file), "utf8");
      return { file, layer: directory, text, imports: importsOf(text) };
    });

const present = readdirSync(root);
const sources = Object.keys(allowed)
  .filter((layer) => present.includes(layer))
  .flatMap(read);
/** Every import of the project's own files: who imports, and what, relative to the root. */
const own = sources.flatMap((source) =>
  source.imports
    .filter((name) => name.startsWith("."))
    .map((name) => ({ ...source, name, target: posix.join(posix.dirname(source.file), name) })),
);

it("reads the whole tree", () => {
  expect(sources.length).toBeGreaterThan(100);
  expect(own.length).toBeGreaterThan(300);
});

it("lets a layer import only the layers below it", () => {
  const wrong = own.filter(({ layer, target }) => ![layer, ...allowed[layer]!].some((below) => target.startsWith(`${below}/`)));
  expect(wrong.map(({ file, target }) => `${file} → ${target}`)).toEqual([]);
});

it("keeps nodes apart: only run-trial calls its two neighbours", () => {
  const wrong = own.filter(
    ({ layer, file, target }) =>
      layer === "nodes" && target.startsWith("nodes/") && !(file === "nodes/trial/run-trial.ts" && target.startsWith("nodes/trial/")),
  );
  expect(wrong.map(({ file, target }) => `${file} → ${target}`)).toEqual([]);
});

it("touches files only in formats, tools/sandbox, dashboard and cli", () => {
  const rim = /^(?:formats|tools\/sandbox|dashboard|cli)\//;
  expect(
    sources
      .filter(({ file, imports }) => imports.some((name) => /^(?:node:)?fs(?:\/|$)/.test(name)) && !rim.test(file))
      .map(({ file }) => file),
  ).toEqual([]);
});

it("reads process.env only in graphs/capabilities.ts and cli", () => {
  const code = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, "");
  // The contract of sandboxes sets a variable to see that no container gets it.
  const free = new Set(["graphs/capabilities.ts", "tools/sandbox/contract.ts"]);
  const wrong = sources.filter(
    ({ file, layer, text }) => layer !== "cli" && !free.has(file) && /\bprocess\.env\b|\bprocess\["env"\]|"node:process"/.test(code(text)),
  );
  expect(wrong.map(({ file }) => file)).toEqual([]);
});

it("ends relative imports in .js, inside the tree, and knows no alias", () => {
  expect(own.filter(({ name }) => !name.endsWith(".js")).map(({ file, name }) => `${file} → ${name}`)).toEqual([]);
  const { dependencies, peerDependencies, optionalDependencies, devDependencies } = JSON.parse(
    readFileSync(join(root, "package.json"), "utf8"),
  ) as Record<string, Record<string, string>>;
  const packages = Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies, ...devDependencies });
  const foreign = sources.flatMap(({ file, imports }) =>
    imports
      .filter(
        (name) =>
          !name.startsWith(".") && !name.startsWith("node:") && !packages.some((known) => name === known || name.startsWith(`${known}/`)),
      )
      .map((name) => `${file} → ${name}`),
  );
  expect(foreign).toEqual([]);
});

it("has no barrels inside folders, and no folder for leftovers", () => {
  expect(
    sources.filter(({ file }) => /\/index\.ts$|(?:^|\/)(?:utils|types|services|core|lib)\//.test(file)).map(({ file }) => file),
  ).toEqual([]);
});

it("gives every channel of skill-generation one node that writes it", () => {
  const claims = sources.flatMap(({ file, layer, text }) =>
    layer === "nodes"
      ? [...text.matchAll(/Writes<SkillGenerationUpdate,\s*([^>]+)>/g)].flatMap(([, keys]) =>
          [...keys!.matchAll(/"(\w+)"/g)].map(([, channel]) => ({ channel, file })),
        )
      : [],
  );
  expect(new Set(claims.map(({ channel }) => channel))).toEqual(
    new Set(["rollout", "attempts", "memos", "pdi", "guidance", "skill", "gateReport"]),
  );
  for (const { channel } of claims)
    expect([...new Set(claims.filter((claim) => claim.channel === channel).map(({ file }) => file))]).toHaveLength(1);
});
