import { mkdtemp, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HumanMessage } from "@langchain/core/messages";
import type { DoctorCheck as Check } from "../formats/doctor-report.js";
import { createCapabilities, lazyProviders } from "../graphs/capabilities.js";
import { openCheckpointer } from "../graphs/checkpointer.js";
import { messageOf } from "../state/errors.js";
import { askModel } from "../tools/ask-model.js";
import type { Env } from "./generation/plan.js";
import type { Output } from "./output.js";

const LEAST_FREE_BYTES = 5e9;
const ENDPOINT_LIMIT_MS = 10_000;

/** Looks at everything a run needs and says what is missing and how to get it. Exit 0 when all is well, else 1. */
export async function runDoctor({ model }: { model?: string }, env: Env, output: Output): Promise<number> {
  const checks = [
    nodeCheck(),
    await dockerCheck(env),
    await diskCheck(),
    await sqliteCheck(),
    keyCheck(env),
    await endpointCheck(env),
    await modelCheck(env, model),
  ];
  const ok = checks.every((check) => check.ok);
  if (output.json) output.data(JSON.stringify({ ok, checks }));
  else
    for (const check of checks)
      output.data(
        `${check.ok ? "ok  " : "FAIL"} ${check.name.padEnd(9)} ${check.message}${check.fix === null ? "" : `\n               ${check.fix}`}`,
      );
  return ok ? 0 : 1;
}

const passed = (name: string, message: string): Check => ({ name, ok: true, message, fix: null });
const failed = (name: string, message: string, fix: string): Check => ({ name, ok: false, message, fix });

function nodeCheck(): Check {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  return major > 20 || (major === 20 && minor >= 19)
    ? passed("node", process.version)
    : failed("node", process.version, "install Node 20.19 or newer");
}

async function dockerCheck(env: Env): Promise<Check> {
  const docker = await lazyProviders(env).docker();
  const engine = await docker.available();
  await docker.close();
  return engine.ok
    ? passed("docker", `${engine.description}; isolation: ${engine.isolation.join(", ")}`)
    : failed("docker", engine.reason, engine.fix);
}

async function diskCheck(): Promise<Check> {
  const { bavail, bsize } = await statfs(process.cwd());
  const free = bavail * bsize;
  return free >= LEAST_FREE_BYTES
    ? passed("disk", `${(free / 1e9).toFixed(0)} GB free here`)
    : failed("disk", `${(free / 1e9).toFixed(1)} GB free here`, "free some space: images and runs need several GB");
}

async function sqliteCheck(): Promise<Check> {
  const dir = await mkdtemp(join(tmpdir(), "spark-doctor-"));
  try {
    await (await openCheckpointer(dir, null)).close();
    return passed("sqlite", "checkpoints can be written, runs can be resumed");
  } catch (error) {
    return failed("sqlite", messageOf(error).split(";")[0]!, "run `npm rebuild better-sqlite3`, or use --checkpoint with a Postgres URL");
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const keyCheck = (env: Env): Check =>
  env["OPENAI_API_KEY"]
    ? passed("key", "OPENAI_API_KEY is set")
    : env["OPENAI_BASE_URL"]
      ? passed("key", "no OPENAI_API_KEY; none is needed where OPENAI_BASE_URL is a local server")
      : failed("key", "neither OPENAI_API_KEY nor OPENAI_BASE_URL is set", "set one of them, in the shell or in .env");

async function endpointCheck(env: Env): Promise<Check> {
  const baseUrl = env["OPENAI_BASE_URL"] || "https://api.openai.com/v1";
  try {
    const response = await fetch(`${baseUrl.replace(/\/$/, "")}/models`, {
      headers: { authorization: `Bearer ${env["OPENAI_API_KEY"] ?? ""}` },
      signal: AbortSignal.timeout(ENDPOINT_LIMIT_MS),
    });
    return response.status < 500
      ? passed("endpoint", `${baseUrl} answers (HTTP ${response.status})`)
      : failed("endpoint", `${baseUrl} answers with HTTP ${response.status}`, "check the provider's status");
  } catch (error) {
    return failed(
      "endpoint",
      `${baseUrl} does not answer: ${messageOf((error as Error).cause ?? error)}`,
      "check OPENAI_BASE_URL (with /v1) and the network",
    );
  }
}

async function modelCheck(env: Env, name: string | undefined): Promise<Check> {
  const model = name ?? env["SPARK_MODEL"];
  if (!model) return failed("model", "no model is named", "pass -m MODEL or set SPARK_MODEL");
  try {
    const handle = await createCapabilities({ env }).model("teacher", { model });
    const { message } = await askModel(handle, [new HumanMessage("Answer with the word ready.")], {
      config: { signal: AbortSignal.timeout(60_000) },
    });
    return passed("model", `${model} answers: ${JSON.stringify(message.text.slice(0, 40))}`);
  } catch (error) {
    return failed("model", messageOf(error), "check the model id, the key and the endpoint");
  }
}
