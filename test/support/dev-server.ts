import { type ChildProcess, spawn } from "node:child_process";
import { cp, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "@langchain/langgraph-sdk";

const root = resolve(import.meta.dirname, "../..");
/** What `langgraph.json` serves, and what it needs to be served. */
const SERVED = ["langgraph.json", "package.json", "tsconfig.json", "state", "metrics", "prompts", "formats", "tools", "nodes", "graphs"];
/** It is ready in 3 s, on a machine that others use in half a minute. */
const READY_MS = 90_000;
/** How to find programs and an engine; no key and no model of this process. */
const INHERITED = ["PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "TMPDIR"];

export interface DevServer extends AsyncDisposable {
  url: string;
  client: Client;
  /** The server's working directory; `runs` is in it. */
  dir: string;
  /** What it printed. */
  printed(): string;
}

/** A folder of its own with this project's served files: the server writes into it and reloads when a file changes. */
export async function copyOfProject(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "spark-dev-server-"));
  await Promise.all(SERVED.map((name) => cp(join(root, name), join(dir, name), { recursive: true })));
  await symlink(join(root, "node_modules"), join(dir, "node_modules"));
  return dir;
}

/** `langgraphjs dev` in a folder that has a langgraph.json, as a user starts it, ready to be asked. The folder goes with it. */
export async function startDevServer(dir: string, environment: Record<string, string>): Promise<DevServer> {
  const port = await freePort();
  await writeFile(join(dir, ".gitignore"), ".langgraph_api\n");
  const inherited = INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]] as const]));
  const child = spawn(process.execPath, [join(root, "node_modules/.bin/langgraphjs"), "dev", "--no-browser", "--port", String(port)], {
    cwd: dir,
    env: { ...Object.fromEntries(inherited), LANGGRAPH_CLI_NO_ANALYTICS: "1", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    // The server is a child of the command: they end together.
    detached: true,
  });
  const abandoned = () => process.kill(-child.pid!, "SIGKILL");
  process.once("exit", abandoned);
  let printed = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
  const url = `http://127.0.0.1:${port}`;
  const server: DevServer = {
    url,
    dir,
    client: new Client({ apiUrl: url }),
    printed: () => printed,
    async [Symbol.asyncDispose]() {
      process.removeListener("exit", abandoned);
      await endGroup(child);
      await rm(dir, { recursive: true, force: true });
    },
  };
  const deadline = Date.now() + READY_MS;
  while (Date.now() < deadline && child.exitCode === null) {
    if (
      await fetch(`${url}/ok`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return server;
    await sleep(250);
  }
  await server[Symbol.asyncDispose]();
  throw new Error(`the dev server was not ready at ${url} (exit code ${child.exitCode}):\n${printed.slice(-4000)}`);
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((listening) => probe.listen(0, "127.0.0.1", listening));
  const { port } = probe.address() as { port: number };
  await new Promise((closed) => probe.close(closed));
  return port;
}

async function endGroup(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((end) => child.once("close", end));
  process.kill(-child.pid!, "SIGTERM");
  const killed = await Promise.race([ended.then(() => false), sleep(5000, true, { ref: false })]);
  if (killed) process.kill(-child.pid!, "SIGKILL");
  await ended;
}
