import { createVirtualProvider } from "../tools/sandbox/virtual.js";
import { lazyProviders } from "../graphs/capabilities.js";
const p = await lazyProviders({}).virtual();
const image = await p.prepare({ contextDir: "/work/main/examples/tasks/log-report/environment", hasDockerfile: true, buildTimeoutMs: 60000 } as never);
const s = await p.create({ name: "x", image, run: "r", env: {}, network: "none", leaseMs: 0 });
const r = await s.exec("echo hi", { timeoutMs: 10000 }); console.log(new TextDecoder().decode(r.stdout), r.exitCode);
const t = Date.now();
const q = await s.exec("python3 -c 'print(1)'", { timeoutMs: 20000 }); console.log(new TextDecoder().decode(q.stdout), new TextDecoder().decode(q.stderr), q.exitCode, q.timedOut, Date.now() - t);
process.exit(0);
