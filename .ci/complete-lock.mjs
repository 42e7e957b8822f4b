// node .ci/complete-lock.mjs: adds to package-lock.json the optional platform packages that `npm install` left out because the registry in use
// does not serve them (a mirror without other systems' binaries). `npm ci` refuses a lock without them, everywhere. See docs/decisions/006.
import { readFileSync, writeFileSync } from "node:fs";

const SYSTEMS = ["android", "darwin", "win32", "linux", "freebsd", "openharmony", "wasm32"];
const PROCESSORS = ["arm64", "x64", "ia32", "riscv64", "ppc64", "s390x", "wasm32", "arm"];
const lock = JSON.parse(readFileSync("package-lock.json", "utf8"));
let added = 0;
for (const owner of Object.values(lock.packages)) {
  for (const [name, range] of Object.entries(owner.optionalDependencies ?? {})) {
    const path = `node_modules/${name}`;
    const os = SYSTEMS.find((system) => name.includes(system));
    if (path in lock.packages || os === undefined) continue;
    const cpu = PROCESSORS.find((processor) => name.includes(processor));
    lock.packages[path] = {
      version: range.replace(/^[~^]/, ""),
      ...(owner.dev ? { dev: true } : {}),
      optional: true,
      ...(os === "wasm32" ? {} : { os: [os] }),
      ...(cpu === undefined ? {} : { cpu: [cpu] }),
      ...(name.includes("musl") ? { libc: ["musl"] } : {}),
    };
    added += 1;
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync("package-lock.json", `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${added} platform packages added`);
