import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { sandboxContract } from "../../tools/sandbox/contract.js";
import { createVirtualProvider } from "../../tools/sandbox/virtual.js";

const contextDir = mkdtempSync(join(tmpdir(), "spark-virtual-"));
writeFileSync(join(contextDir, "Dockerfile"), "FROM debian\nWORKDIR /app\n");
afterAll(() => rmSync(contextDir, { recursive: true, force: true }));

sandboxContract("virtual", createVirtualProvider, {
  test: { describe, it, expect },
  environment: { contextDir, hasDockerfile: true, buildTimeoutMs: 60_000 },
  capabilities: { separateStderr: true, snapshot: true, limits: false, users: false, processes: false },
});
