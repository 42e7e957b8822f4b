import type Docker from "dockerode";
import type { Running } from "./docker-exec.js";

const shortestPollMs = 2_000;

/**
 * Watches what a container has written while commands run: no quota exists on overlay file systems. A command is killed
 * when the limit is passed and the container still grows, so that one that removes files may go on.
 * @returns registers a running command; the answer ends the registration
 */
export const createDiskWatch = (container: Docker.Container, limitBytes: number | undefined): ((command: Running) => () => void) => {
  const running = new Set<Running>();
  let timer: NodeJS.Timeout | undefined;
  let before = 0;
  const poll = async (): Promise<void> => {
    const started = performance.now();
    try {
      const state = (await container.inspect({ size: true } as object)) as { SizeRw?: number };
      const size = state.SizeRw ?? 0;
      if (size > limitBytes! && size > before) for (const command of running) command.stop("disk");
      before = size;
    } catch {
      // Gone or busy: the command itself finds out, with a better message.
    }
    // Counting many files takes the engine long; it must not do little else.
    if (running.size > 0) timer = setTimeout(poll, Math.max(shortestPollMs, 10 * (performance.now() - started))).unref();
    else timer = undefined;
  };
  return (command) => {
    if (limitBytes === undefined) return () => undefined;
    running.add(command);
    timer ??= setTimeout(poll, shortestPollMs).unref();
    return () => {
      running.delete(command);
      if (running.size > 0) return;
      clearTimeout(timer);
      timer = undefined;
    };
  };
};
