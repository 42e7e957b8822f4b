import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

/** A run as it was posted; the parts of later posts are merged in. */
export interface TracedRun {
  id: string;
  trace_id: string;
  parent_run_id?: string;
  name: string;
  run_type: string;
  tags?: string[];
  extra?: { metadata?: Record<string, unknown> };
  inputs?: unknown;
  outputs?: unknown;
  error?: string;
  end_time?: string | number;
}

export interface LangSmithEndpoint extends AsyncDisposable {
  url: string;
  /** Environment of a program that traces here. */
  environment: Record<string, string>;
  runs: Map<string, TracedRun>;
  feedback: Record<string, unknown>[];
  /** Every body that arrived, as text. */
  bodies: string[];
  /** Size of every part of a run's content (inputs, outputs, events, extra) in bytes. */
  parts: { name: string; bytes: number }[];
}

export const PROJECT_ID = "5f1c7a52-0f2b-4c2e-9a55-0d6a4c8f3b11";

/** A LangSmith on loopback that keeps what it is told. `hang`: it takes connections and never answers. */
export async function startLangSmithEndpoint(options: { hang?: boolean } = {}): Promise<LangSmithEndpoint> {
  const endpoint = {
    runs: new Map<string, TracedRun>(),
    feedback: [] as Record<string, unknown>[],
    bodies: [] as string[],
    parts: [] as LangSmithEndpoint["parts"],
  };
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (options.hang) return;
    const raw = Buffer.concat(chunks);
    const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
    if (request.method === "POST") endpoint.bodies.push(body.toString("latin1"));
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
    const answer = (value: unknown) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
    if (pathname === "/info")
      return answer({
        version: "0.13.0",
        batch_ingest_config: { use_multipart_endpoint: true, size_limit: 100, size_limit_bytes: 20_000_000 },
      });
    if (pathname === "/sessions") return answer([{ id: PROJECT_ID, name: searchParams.get("name") }]);
    if (pathname === "/runs/multipart") {
      for (const part of partsOf(body, String(request.headers["content-type"]))) take(endpoint, part);
      return answer({});
    }
    if (pathname === "/feedback") endpoint.feedback.push(JSON.parse(body.toString("utf8")));
    return answer({});
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    ...endpoint,
    url,
    environment: { LANGSMITH_TRACING: "true", LANGSMITH_ENDPOINT: url, LANGSMITH_API_KEY: "lsv2-loopback-key", LANGSMITH_PROJECT: "spark" },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

interface Part {
  /** `post.ID`, `patch.ID`, or one of these with `.inputs`, `.outputs` and so on. */
  name: string;
  value: string;
}

function partsOf(body: Buffer, contentType: string): Part[] {
  const boundary = /boundary="?([^";]+)"?/.exec(contentType)?.[1];
  if (boundary === undefined) throw new Error(`no boundary in ${contentType}`);
  return body
    .toString("utf8")
    .split(`--${boundary}`)
    .flatMap((text) => {
      const name = /name="([^"]+)"/.exec(text)?.[1];
      const at = text.indexOf("\r\n\r\n");
      return name === undefined || at < 0 ? [] : [{ name, value: text.slice(at + 4).replace(/\r\n$/, "") }];
    });
}

function take({ runs, parts }: Pick<LangSmithEndpoint, "runs" | "parts">, { name, value }: Part): void {
  const [, id, field] = name.split(".");
  if (id === undefined) return;
  const run = runs.get(id) ?? ({ id } as TracedRun);
  runs.set(id, run);
  const parsed = JSON.parse(value) as Record<string, unknown>;
  if (field === undefined)
    Object.assign(run, Object.fromEntries(Object.entries(parsed).filter(([, given]) => given !== null && given !== undefined)));
  else {
    parts.push({ name: `${run.name ?? id} ${field}`, bytes: Buffer.byteLength(value) });
    (run as unknown as Record<string, unknown>)[field] = parsed;
  }
}
