// Compiles to dist/ and puts beside the code what it reads at run time: the Python grammar and the JSON Schemas of what scripts read.
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const require = createRequire(import.meta.url);
rmSync("dist", { recursive: true, force: true });
execFileSync(process.execPath, [require.resolve("typescript/bin/tsc"), "-p", "tsconfig.build.json"], { stdio: "inherit" });
chmodSync("dist/cli/main.js", 0o755);
mkdirSync("dist/vendor", { recursive: true });
copyFileSync(
  join(dirname(require.resolve("tree-sitter-python/package.json")), "tree-sitter-python.wasm"),
  "dist/vendor/tree-sitter-python.wasm",
);

const { z } = await import("zod");
const { reportSchemas } = await import("./dist/formats/report-schemas.js");
mkdirSync("dist/schemas", { recursive: true });
for (const [name, schema] of Object.entries(reportSchemas))
  writeFileSync(
    `dist/schemas/${name}.schema.json`,
    `${JSON.stringify(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }), null, 2)}\n`,
  );
