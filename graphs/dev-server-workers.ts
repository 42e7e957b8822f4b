import { syncBuiltinESMExports } from "node:module";
import threads from "node:worker_threads";

/** What `langgraphjs dev` loads before everything else, in worker threads too. */
const SERVER_PRELOAD = /langgraph-api\/dist\/preload\.mjs$/;
/** The embedded sandbox runs Python in worker threads of its own. */
const SANDBOX_WORKER = /[\\/]node_modules[\\/]just-bash[\\/]/;

let mended = false;

/**
 * Lets the embedded sandbox run Python inside `langgraphjs dev`. That server's preload reads the last argument of the process as JSON; a
 * worker inherits the preload but has the name of its file there, dies of it, and every Python command would hang until its time limit.
 * The sandbox's workers are therefore started without inherited options; everybody else's are left alone, and so is every other program.
 */
export function mendSandboxWorkers(execArgv: readonly string[] = process.execArgv): void {
  if (mended || !execArgv.some((argument) => SERVER_PRELOAD.test(argument))) return;
  mended = true;
  const { Worker } = threads;
  threads.Worker = class extends Worker {
    constructor(file: string | URL, options?: threads.WorkerOptions) {
      super(file, SANDBOX_WORKER.test(String(file)) ? { ...options, execArgv: [] } : options);
    }
  };
  syncBuiltinESMExports();
}
