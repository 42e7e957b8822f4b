import { randomBytes } from "node:crypto";
import { createDockerProvider } from "../../tools/sandbox/docker.js";
import type { CreateOptions, ImageRef, Sandbox, SandboxProvider } from "../../tools/sandbox/sandbox.js";

/** The engine's socket or address as this machine's user has it. */
export const provider: SandboxProvider = createDockerProvider({ env: process.env });

const state = await provider.available();
const base = "sandbox-base:py";
const missing = state.ok ? null : state.reason;
if (missing !== null) {
  if (process.env.REQUIRE_DOCKER === "1") throw new Error(`REQUIRE_DOCKER=1, and there is no engine: ${missing}`);
  console.warn(`Docker tests are skipped: ${missing}`);
}
/** Whether the tests of this file are skipped: no engine answers. */
export const noDocker = missing !== null;

/** A run name of this test file alone: nothing of others is ever removed. */
export const testRun = (file: string): string => `test-${file}-${process.pid}-${randomBytes(3).toString("hex")}`;

let image: Promise<ImageRef> | null = null;
export const baseImage = (): Promise<ImageRef> => {
  image ??= provider.prepare({ contextDir: "/", dockerImage: base, hasDockerfile: false, buildTimeoutMs: 60_000 });
  return image;
};

/** A container of the base image; limits small, lease long enough for a slow machine. */
export const createBox = async (run: string, name: string, more: Partial<CreateOptions> = {}): Promise<Sandbox> =>
  await provider.create({
    name: `${run}-${name}`,
    image: more.image ?? (await baseImage()),
    run,
    env: {},
    network: "none",
    leaseMs: 120_000,
    ...more,
  });

export const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** Asks again until it holds. The deadline is generous: a slow machine is no failure. */
export const eventually = async (what: string, holds: () => Promise<boolean>, limitMs = 60_000): Promise<void> => {
  const end = Date.now() + limitMs;
  while (Date.now() < end) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error(`not within ${limitMs / 1000} s: ${what}`);
};
