import { describe, expect, it } from "vitest";
import {
  containerName,
  engineFacts,
  hardened,
  isolationWords,
  leaseSeconds,
  lifeLine,
  snapshotTag,
} from "../../../tools/sandbox/docker-hardening.js";
import { hasExpired, labels } from "../../../tools/sandbox/docker-labels.js";
import { findListeners } from "../../../tools/sandbox/docker-listeners.js";
import { decodeTrace } from "../../../tools/sandbox/docker-progress.js";
import type { CreateOptions } from "../../../tools/sandbox/sandbox.js";

const now = new Date("2026-01-01T00:00:00Z");
const facts = engineFacts({ ServerVersion: "27.1", MemTotal: 8 * 2 ** 30, SecurityOptions: ["name=seccomp,profile=default"] });
const options: CreateOptions = {
  name: "run--task--1",
  image: { id: "sha256:1", name: "i", workdir: "/", user: "" },
  run: "run",
  env: { A: "b=c" },
  network: "none",
  leaseMs: 600_000,
};

describe("flags of a container", () => {
  it("drop all capabilities but six, and take the network, the log and all new privileges away", () => {
    const request = hardened({ ...options, memoryMb: 512, cpus: 1.5, storageMb: 100 }, facts, now);
    expect(request).toMatchObject({ NetworkDisabled: true, OpenStdin: true, StdinOnce: false, StopSignal: "SIGKILL", Env: ["A=b=c"] });
    expect(request).not.toHaveProperty("User");
    expect(request).not.toHaveProperty("Entrypoint");
    expect(request.HostConfig).toMatchObject({
      AutoRemove: true,
      NetworkMode: "none",
      CapDrop: ["ALL"],
      CapAdd: ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL"],
      SecurityOpt: ["no-new-privileges"],
      Memory: 512 * 2 ** 20,
      MemorySwap: 512 * 2 ** 20,
      NanoCpus: 1.5e9,
      LogConfig: { Type: "none" },
    });
    expect(request.HostConfig?.Ulimits).toContainEqual({ Name: "fsize", Soft: 100 * 2 ** 20, Hard: 100 * 2 ** 20 });
    expect(request.HostConfig).not.toHaveProperty("Binds");
  });
  it("leave new privileges allowed for an image with another user, or root could do nothing in it", () => {
    for (const [user, expected] of [
      ["agent", []],
      ["1000:1000", []],
      ["0:0", ["no-new-privileges"]],
      ["root", ["no-new-privileges"]],
    ] as const) {
      expect(hardened({ ...options, image: { ...options.image, user } }, facts, now).HostConfig?.SecurityOpt).toEqual(expected);
    }
  });
  it("without a lease end the input with us", () => {
    expect(hardened({ ...options, leaseMs: 0 }, facts, now)).toMatchObject({ StdinOnce: true });
  });
  it("leave out what the engine cannot do, and the isolation says so", () => {
    const weak = engineFacts({
      ServerVersion: "20.10.24",
      MemoryLimit: false,
      CpuCfsQuota: false,
      PidsLimit: false,
      SecurityOptions: ["name=rootless"],
    });
    const host = hardened({ ...options, memoryMb: 512, cpus: 1 }, weak, now, ["ulimits"]).HostConfig;
    for (const name of ["Memory", "NanoCpus", "PidsLimit", "Ulimits"]) expect(host).not.toHaveProperty(name);
    const words = isolationWords(weak, "public").join("; ");
    for (const part of [
      "rootless engine",
      "public network",
      "NO memory limit",
      "NO cpu limit",
      "NO process limit",
      "NO seccomp",
      "AF_VSOCK",
    ]) {
      expect(words).toContain(part);
    }
  });
  it("a new engine is not called old", () => {
    expect(isolationWords(facts, "none").join("; ")).not.toContain("AF_VSOCK");
  });
});

describe("names", () => {
  it("a name that Docker takes stays as it is", () => {
    expect(containerName("run--task--1")).toBe("run--task--1");
  });
  it("others become one that it takes, and different ones stay different", () => {
    const names = ["a/b", "a b", "ä", "-x", "x".repeat(300), `${"x".repeat(299)}y`, "", "a"];
    const made = names.map(containerName);
    for (const name of made) expect(name).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$/);
    expect(new Set(made).size).toBe(names.length);
    expect(snapshotTag("A/b")).toMatch(/^spark-skills-snapshot:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/);
  });
});

describe("the life line", () => {
  it("counts in whole seconds, rounded up, and 0 is no lease", () => {
    expect([0, 1, 1000, 1001, 600_000].map(leaseSeconds)).toEqual(["0", "1", "1", "2", "600"]);
  });
  it("carries its lease as the last argument, where a later process reads it", () => {
    expect(lifeLine(3000).at(-1)).toBe("3");
  });
});

describe("labels", () => {
  it("give a container a hard end of a day and a snapshot one of a week", () => {
    expect(labels.ofContainer(options, now)["spark-skills.expires"]).toBe("2026-01-02T00:00:00.000Z");
    expect(labels.ofSnapshot(options, now)["spark-skills.expires"]).toBe("2026-01-08T00:00:00.000Z");
  });
  it("what is not ours, has no end, or has an end that is no time never expires", () => {
    const past = "2020-01-01T00:00:00Z";
    expect(hasExpired({ "spark-skills": "1", "spark-skills.expires": past }, now)).toBe(true);
    expect(hasExpired({ "spark-skills.expires": past }, now)).toBe(false);
    expect(hasExpired({ "spark-skills": "1" }, now)).toBe(false);
    expect(hasExpired({ "spark-skills": "1", "spark-skills.expires": "soon" }, now)).toBe(false);
    expect(hasExpired({ "spark-skills": "1", "spark-skills.expires": "2027-01-01T00:00:00Z" }, now)).toBe(false);
    expect(hasExpired(undefined, now)).toBe(false);
  });
});

describe("listeners", () => {
  const row = (port: string, state: string, uid: number, inode: number): string =>
    `   0: 00000000:${port} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  ${uid}        0 ${inode} 1 0000 100 0 0 10 0`;
  it("are found with their process, asking again as the user whose processes root may not read", async () => {
    const tables = [
      "  sl  local_address",
      row("1F90", "0A", 0, 11),
      row("1F91", "01", 0, 12),
      row("0050", "0A", 1000, 13),
      row("0051", "0A", 1001, 14),
    ].join("\n");
    const asked: string[] = [];
    const found = await findListeners(async (user) => {
      asked.push(user);
      const holders = user === "0" ? "5 socket:[11] socket:[99]\nserver --port 8080 \n" : user === "1000" ? "7 socket:[13]\nweb\n" : "";
      return `${tables}\n==\n${holders}`;
    });
    expect(found).toEqual([
      { pid: 7, port: 80, command: "web" },
      { pid: 0, port: 81, command: "" },
      { pid: 5, port: 8080, command: "server --port 8080" },
    ]);
    expect(asked).toEqual(["0", "1000", "1001"]);
  });
});

describe("BuildKit's log", () => {
  it("is decoded to the words of the command, which dockerode leaves in base64", () => {
    const bytes = (number: number, value: Buffer): Buffer => Buffer.concat([Buffer.from([(number << 3) | 2, value.length]), value]);
    const log = bytes(3, Buffer.concat([bytes(1, Buffer.from("sha")), Buffer.from([3 << 3, 1]), bytes(4, Buffer.from("hello\nworld\n"))]));
    const step = bytes(
      1,
      Buffer.concat([bytes(3, Buffer.from("[2/2] RUN x")), bytes(5, Buffer.alloc(0)), bytes(7, Buffer.from("exit code: 7"))]),
    );
    expect(decodeTrace(Buffer.concat([step, log]).toString("base64"))).toEqual(["[2/2] RUN x", "ERROR: exit code: 7", "hello", "world"]);
  });
});
