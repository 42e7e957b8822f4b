import { describe, expect, it } from "vitest";
import { sandboxContract } from "../../tools/sandbox/contract.js";
import { createDockerProvider } from "../../tools/sandbox/docker.js";
import { noDocker } from "../integration/docker-engine.js";

describe.skipIf(noDocker)("docker", () => {
  sandboxContract("docker", () => createDockerProvider({ env: process.env }), {
    test: { describe, it, expect },
    environment: { contextDir: "/", dockerImage: "sandbox-base:py", hasDockerfile: false, buildTimeoutMs: 60_000 },
    capabilities: { separateStderr: true, snapshot: true, limits: true, users: true, processes: true },
    timeoutMs: 120_000,
  });
});
