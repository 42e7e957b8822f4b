import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { taskConfigSchema } from "../../../state/task.js";
import type { SandboxChoice, SandboxProvider } from "../../../tools/sandbox/sandbox.js";
import { createScriptedProvider } from "../../../tools/sandbox/scripted.js";
import { selectSandbox } from "../../../tools/sandbox/select.js";

const root = mkdtempSync(join(tmpdir(), "spark-select-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

function task(directory: string, dockerfile: string | null, dockerImage?: string) {
  const dir = join(root, directory);
  mkdirSync(join(dir, "environment"), { recursive: true });
  if (dockerfile !== null) writeFileSync(join(dir, "environment/Dockerfile"), dockerfile);
  return {
    dir,
    directory,
    hasDockerfile: dockerfile !== null,
    config: taskConfigSchema.parse({ environment: dockerImage === undefined ? {} : { dockerImage } }),
  };
}
const simple = task("simple", "FROM python:3.12-slim\nWORKDIR /app\n");
const heavy = task("heavy", "FROM python:3.12-slim\nRUN apt-get install -y jq\n");

const docker = (answers: boolean): SandboxProvider => ({
  ...createScriptedProvider(),
  name: "docker",
  available: async () =>
    answers
      ? { ok: true, description: "", isolation: [] }
      : { ok: false, reason: "nothing listens on /var/run/docker.sock", fix: "Start Docker." },
});
const chosen = async (choice: SandboxChoice, given: Parameters<typeof selectSandbox>[1], answers: boolean): Promise<string> => {
  const loaded: string[] = [];
  const provider = await selectSandbox(choice, given, {
    docker: async () => {
      loaded.push("docker");
      return docker(answers);
    },
    virtual: async () => {
      loaded.push("virtual");
      return { ...createScriptedProvider(), name: "virtual" as const };
    },
  });
  return `${provider.name} after loading ${loaded.join(", ")}`;
};

describe("selectSandbox", () => {
  it("takes Docker by itself when it answers, and loads nothing else", async () => {
    expect(await chosen("auto", simple, true)).toBe("docker after loading docker");
    expect(await chosen("auto", heavy, true)).toBe("docker after loading docker");
  });

  it("takes the virtual sandbox without Docker for a task whose Dockerfile allows it", async () => {
    expect(await chosen("auto", simple, false)).toBe("virtual after loading docker, virtual");
  });

  it("ends with docker-unavailable, the line that needs Docker and what to do, for any other task", async () => {
    await expect(chosen("auto", heavy, false)).rejects.toMatchObject({
      code: "docker-unavailable",
      kind: "environment",
      message: expect.stringMatching(
        /^heavy needs Docker.*nothing listens on \/var\/run\/docker\.sock\. Start Docker\. .*`RUN apt-get install -y jq`.*environment\/Dockerfile:2/s,
      ),
    });
    await expect(chosen("auto", task("prebuilt", null, "o/i:1"), false)).rejects.toMatchObject({
      code: "docker-unavailable",
      message: expect.stringContaining('"o/i:1"'),
    });
  });

  it("does not replace Docker by anything when Docker was asked for", async () => {
    await expect(chosen("docker", simple, false)).rejects.toMatchObject({
      code: "docker-unavailable",
      message: expect.stringContaining("Start Docker."),
    });
  });

  it("does not look for Docker when virtual was asked for, and refuses what it cannot run", async () => {
    expect(await chosen("virtual", simple, true)).toBe("virtual after loading virtual");
    await expect(chosen("virtual", heavy, true)).rejects.toMatchObject({ code: "sandbox-unsupported" });
  });
});
