import type { Socket } from "node:net";
import type Docker from "dockerode";
import { leaseSeconds } from "./docker-hardening.js";

/** Our end of a container's life line: beats until it is dropped. */
export interface Lease {
  /** Sets the lease from now on. */
  set(leaseMs: number): void;
  /** Stops beating; the container then lives as long as its lease, or ends at once with a lease of 0. */
  drop(): void;
}

/** Attach before the start: what is written earlier waits in the pipe, what ends earlier is noticed. */
export const openLease = async (container: Docker.Container, leaseMs: number): Promise<Lease> => {
  const socket = (await container.attach({
    stream: true,
    stdin: true,
    stdout: false,
    stderr: false,
    hijack: true,
  })) as unknown as Socket;
  // The engine closes it with the container; the next call on the container then says what happened.
  socket.on("error", () => undefined);
  socket.resume();
  socket.unref();
  let timer: NodeJS.Timeout | undefined;
  const beatEvery = (ms: number): void => {
    clearInterval(timer);
    timer = ms <= 0 ? undefined : setInterval(() => socket.writable && socket.write("\n"), Math.max(50, ms / 4)).unref();
  };
  beatEvery(leaseMs);
  return {
    set(ms) {
      // A container without lease reads 0 as "for ever"; the shortest lease is the nearest that can be said.
      if (socket.writable) socket.write(`${leaseSeconds(Math.max(ms, 200))}\n`);
      beatEvery(Math.max(ms, 200));
    },
    drop() {
      clearInterval(timer);
      // Half-closed first, so that a line just written still arrives; an attached socket left open would outlive its container.
      socket.end(() => socket.destroy());
      socket.once("close", () => undefined);
    },
  };
};
