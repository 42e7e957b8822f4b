/**
 * Shell round trip in one container: our session, the API's exec, the `docker exec` command; interleaved, so that a noisy machine is noisy
 * for all. Also the processor time that each costs this process and the engine. Run: npm run bench:shell -- [rounds]
 */
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createDockerProvider } from "../tools/sandbox/docker.js";
import { median, printTable, timed } from "./table.js";

const rounds = Number(process.argv[2] ?? 100);
const provider = createDockerProvider({ env: process.env });
const image = await provider.prepare({ contextDir: ".", dockerImage: "python:3.12-slim", hasDockerfile: false, buildTimeoutMs: 60_000 });
const sandbox = await provider.create({ name: "bench-shell", image, run: "bench", env: {}, network: "none", leaseMs: 0 });
const shell = await sandbox.openShell();
const id = execFileSync("docker", ["ps", "-q", "--filter", "label=spark-skills.run=bench"], { encoding: "utf8" }).trim();

/** Ticks (10 ms) of processor time of dockerd, containerd and its shims so far. */
const engineTicks = (): number =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .reduce((sum, pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        const isEngine = /^\d+ \((dockerd|containerd.*)\)/.test(stat);
        return isEngine ? sum + Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14]) : sum;
      } catch {
        return sum; // the process ended meanwhile
      }
    }, 0);

const methods: Record<string, () => Promise<unknown>> = {
  "our session": () => shell.run("echo hi"),
  "API exec": () => sandbox.exec("echo hi"),
  "docker exec command": async () => spawnSync("docker", ["exec", id, "bash", "-c", "echo hi"]),
};
const times: Record<string, number[]> = Object.fromEntries(Object.keys(methods).map((name) => [name, []]));
const cpu = Object.fromEntries(Object.keys(methods).map((name) => [name, { own: 0, engine: 0 }]));
for (const method of Object.values(methods)) await method();
for (let round = 0; round < rounds; round += 1) {
  for (const [name, method] of Object.entries(methods)) {
    const before = { usage: process.cpuUsage(), engine: engineTicks() };
    times[name]!.push(await timed(method));
    const used = process.cpuUsage(before.usage);
    const total = cpu[name]!;
    total.own += (used.user + used.system) / 1000;
    total.engine += (engineTicks() - before.engine) * 10;
  }
}
await sandbox.close();
await provider.close();
const base = median(times["docker exec command"]!);
printTable(
  `Shell round trip of \`echo hi\`, ${rounds} rounds, interleaved`,
  Object.entries(times).map(([name, list]) => ({
    method: name,
    "median ms": median(list).toFixed(1),
    "docker exec is so many times slower": (base / median(list)).toFixed(1),
    "own CPU ms each": (cpu[name]!.own / rounds).toFixed(1),
    "engine CPU ms each": (cpu[name]!.engine / rounds).toFixed(1),
  })),
);
process.exit(0);
