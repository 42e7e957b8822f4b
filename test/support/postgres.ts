import { execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const DEBIAN = "/usr/lib/postgresql";
const NOBODY = 65534;
const READY_MS = 60_000;

/** Folder of the newest server that Debian's packages have installed; null when there is none. */
export function postgresBinaries(): string | null {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).sort((a, b) => Number(b) - Number(a)) : [];
  return versions.map((version) => join(DEBIAN, version, "bin")).find((bin) => existsSync(join(bin, "initdb"))) ?? null;
}

export interface PostgresServer extends AsyncDisposable {
  url: string;
}

/** A server of its own on a free port, its data in a temporary folder. It refuses to be root, so root starts it as nobody. */
export async function startPostgres(bin: string): Promise<PostgresServer> {
  const dir = mkdtempSync(join(tmpdir(), "spark-postgres-"));
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(dir, NOBODY, NOBODY);
  const user = { cwd: "/", stdio: "ignore" as const, ...(isRoot ? { uid: NOBODY, gid: NOBODY } : {}) };
  const data = join(dir, "data");
  execFileSync(join(bin, "initdb"), ["-D", data, "-U", "spark", "--auth=trust", "-E", "UTF8", "--no-sync"], user);
  const port = await freePort();
  const server = spawn(join(bin, "postgres"), ["-D", data, "-h", "127.0.0.1", "-p", String(port), "-k", dir, "-c", "fsync=off"], user);
  const ended = new Promise((end) => server.once("close", end));
  const stop = async () => {
    server.kill("SIGQUIT");
    await ended;
    rmSync(dir, { recursive: true, force: true });
  };
  const isReady = () => {
    try {
      execFileSync(join(bin, "pg_isready"), ["-h", "127.0.0.1", "-p", String(port)], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  };
  for (const deadline = Date.now() + READY_MS; !isReady(); await sleep(100))
    if (Date.now() > deadline || server.exitCode !== null) {
      await stop();
      throw new Error(`postgres of ${bin} was not ready on port ${port} (exit code ${server.exitCode})`);
    }
  return { url: `postgres://spark:secret-word@127.0.0.1:${port}/postgres`, [Symbol.asyncDispose]: stop };
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((listening) => probe.listen(0, "127.0.0.1", listening));
  const { port } = probe.address() as { port: number };
  await new Promise((closed) => probe.close(closed));
  return port;
}
