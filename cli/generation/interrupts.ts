import { existsSync } from "node:fs";
import { join } from "node:path";
import { RunControl } from "@langchain/langgraph";
import { CANCEL_FILE } from "../../formats/run-config.js";

/** How long a running model or shell call may go on after the first signal. */
const GRACE_MS = 5000;
const POLL_MS = 1000;

export interface Interrupts {
  /** Aborts running calls. */
  signal: AbortSignal;
  /** Which kind of stop was asked for; null while none was. */
  stoppedBy(): "signal" | "cancel" | null;
  /** 130 after SIGINT or a cancel, 143 after SIGTERM. */
  exitCode(): 130 | 143;
  /** A control for one graph run; draining reaches all of them. */
  control(): RunControl;
  dispose(): void;
}

/**
 * Ctrl-C, SIGTERM and the run's cancel marker. The first one lets every graph stop at its next step, or aborts the running call after
 * 5 s; a second Ctrl-C calls `force`.
 */
export function watchInterrupts(runDir: string, handlers: { stopping(how: string): void; force(exitCode: 130 | 143): void }): Interrupts {
  const abort = new AbortController();
  const controls: RunControl[] = [];
  let stopped: "signal" | "cancel" | null = null;
  let code: 130 | 143 = 130;
  const stop = (kind: "signal" | "cancel", how: string) => {
    stopped = kind;
    for (const control of controls) control.requestDrain(kind);
    setTimeout(() => abort.abort(new Error(`stopped by ${how}`)), GRACE_MS).unref();
    handlers.stopping(how);
  };
  const onSignal = (name: NodeJS.Signals) => {
    code = name === "SIGTERM" ? 143 : 130;
    if (stopped !== null) {
      // Nothing may make a container while they are removed.
      abort.abort(new Error(`stopped at once by ${name}`));
      return handlers.force(code);
    }
    stop("signal", name);
  };
  const poll = setInterval(() => {
    if (stopped === null && existsSync(join(runDir, CANCEL_FILE))) stop("cancel", "the cancel marker");
  }, POLL_MS);
  poll.unref();
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    signal: abort.signal,
    stoppedBy: () => stopped,
    exitCode: () => code,
    control() {
      const control = new RunControl();
      if (stopped !== null) control.requestDrain(stopped);
      controls.push(control);
      return control;
    },
    dispose() {
      clearInterval(poll);
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}
