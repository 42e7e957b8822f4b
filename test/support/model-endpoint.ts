import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A message as the chat completions protocol has it. */
export interface WireMessage {
  role: "system" | "developer" | "user" | "assistant" | "tool";
  content: string | null | { type: string; text?: string }[];
  tool_calls?: { id: string; type: "function"; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
}

/** One request that arrived. */
export interface RecordedRequest {
  body: {
    model: string;
    messages: WireMessage[];
    stream?: boolean;
    stream_options?: { include_usage?: boolean };
    tools?: unknown[];
    max_tokens?: number;
    max_completion_tokens?: number;
  };
  headers: IncomingMessage["headers"];
  /** Place among all requests, from 0. */
  index: number;
}

export interface ToolCallReply {
  name?: string;
  /** An object is written as JSON, a text goes out as it is (malformed JSON too). */
  arguments: string | Record<string, unknown>;
  id?: string;
}

/** What the endpoint does with a request. */
export type Reply =
  | {
      text?: string;
      toolCalls?: ToolCallReply[];
      finish?: "stop" | "length" | "tool_calls" | "content_filter";
      usage?: { input?: number; cached?: number; output?: number };
      delayMs?: number;
    }
  /** An HTTP error. Without `headers` there is no Retry-After. */
  | { status: number; error: string | { message: string; type?: string; code?: string | null }; headers?: Record<string, string> }
  /** Never answers. */
  | { fault: "hang" }
  /** Answers 200, sends the first half and drops the connection. */
  | { fault: "cut"; text?: string };

/** Faults that providers are known for. */
export const faults = {
  /** 429 of an overloaded provider; ChatOpenAI retries it itself only when Retry-After is there. */
  rateLimit: (retryAfterSec?: number): Reply => ({
    status: 429,
    error: { message: "Rate limit reached for requests", type: "requests", code: "rate_limit_exceeded" },
    ...(retryAfterSec === undefined ? {} : { headers: { "retry-after": String(retryAfterSec) } }),
  }),
  insufficientQuota: (): Reply => ({
    status: 429,
    error: {
      message: "You exceeded your current quota, please check your plan and billing details.",
      type: "insufficient_quota",
      code: "insufficient_quota",
    },
  }),
  contextOverflow: (): Reply => ({
    status: 400,
    error: {
      message: "This model's maximum context length is 8192 tokens.",
      type: "invalid_request_error",
      code: "context_length_exceeded",
    },
  }),
  badKey: (): Reply => ({
    status: 401,
    error: { message: "Incorrect API key provided: sk-wrong.", type: "invalid_request_error", code: "invalid_api_key" },
  }),
  unknownModel: (): Reply => ({
    status: 404,
    error: { message: "The model `nobody` does not exist", type: "invalid_request_error", code: "model_not_found" },
  }),
  server: (status = 500, message = "The server had an error while processing your request"): Reply => ({
    status,
    error: { message, type: "server_error", code: null },
  }),
  /** The error text of 245 kB that once became a memo (spark.md 6.2). */
  huge: (status = 400): Reply => ({
    status,
    error: { message: `upstream said: ${"x".repeat(245_000)}`, type: "invalid_request_error", code: null },
  }),
  hang: (): Reply => ({ fault: "hang" }),
  cut: (): Reply => ({ fault: "cut" }),
  empty: (): Reply => ({ text: "" }),
  length: (text: string): Reply => ({ text, finish: "length" }),
  malformedCall: (): Reply => ({ toolCalls: [{ arguments: '{"command": "ls' }] }),
};

/** A reply that runs one command. */
export const runs = (command: string, more: { timeout_sec?: number } = {}): Reply => ({ toolCalls: [{ arguments: { command, ...more } }] });

/** Text of a message's content. */
export const textOf = (message: WireMessage | undefined): string =>
  typeof message?.content === "string" ? message.content : (message?.content ?? []).map((part) => part.text ?? "").join("");

const systemText = (request: RecordedRequest): string =>
  textOf(request.body.messages.find(({ role }) => role === "system" || role === "developer"));

/** Who is asking, by the content of the request: only the teacher has tools, the others by their system message. */
export const isTeacher = (request: RecordedRequest): boolean => (request.body.tools?.length ?? 0) > 0;
export const isReflection = (request: RecordedRequest): boolean => systemText(request).startsWith("You keep the exploration memo");
export const isDistillation = (request: RecordedRequest): boolean => systemText(request).startsWith("You write Agent Skills");

/** Answers that the model has given in the conversation of a request: the step it is at, from 0. */
export const stepOf = (request: RecordedRequest): number => request.body.messages.filter(({ role }) => role === "assistant").length;

export interface ModelEndpoint extends AsyncDisposable {
  /** Base URL with /v1. */
  url: string;
  /** Every request for a completion, in order of arrival. */
  requests: RecordedRequest[];
  /** Drops every connection and stops listening. */
  close(): Promise<void>;
}

export interface EndpointOptions {
  /** What to do with a request. A throw becomes a 500 with the message, so a test sees it. */
  reply(request: RecordedRequest, index: number): Reply | Promise<Reply>;
  /** Ids that GET /v1/models names. */
  models?: string[];
}

/** A loopback endpoint that speaks OpenAI's chat completions, plain and streamed. Port of its own, so that tests run beside each other. */
export async function startModelEndpoint(options: EndpointOptions): Promise<ModelEndpoint> {
  const requests: RecordedRequest[] = [];
  const server = createServer((request, response) => {
    answer(request, response, requests, options).catch((error: unknown) => {
      if (!response.headersSent)
        sendJson(response, 500, { error: { message: `model-endpoint: ${String(error)}`, type: "server_error", code: null } });
      else response.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => stop(server);
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`, requests, close, [Symbol.asyncDispose]: close };
}

function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  requests: RecordedRequest[],
  options: EndpointOptions,
): Promise<void> {
  const path = new URL(request.url ?? "/", "http://localhost").pathname;
  if (request.method === "GET" && path === "/v1/models")
    return sendJson(response, 200, {
      object: "list",
      data: (options.models ?? ["scripted"]).map((id) => ({ id, object: "model", created: 0, owned_by: "test" })),
    });
  if (request.method !== "POST" || path !== "/v1/chat/completions")
    return sendJson(response, 404, { error: { message: `no ${request.method} ${path} here`, type: "invalid_request_error", code: null } });
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const recorded: RecordedRequest = {
    body: JSON.parse(Buffer.concat(chunks).toString("utf8")),
    headers: request.headers,
    index: requests.length,
  };
  requests.push(recorded);
  const reply = await options.reply(recorded, recorded.index);
  if ("fault" in reply && reply.fault === "hang") return;
  if ("status" in reply) {
    const error = typeof reply.error === "string" ? { message: reply.error, type: "error", code: null } : reply.error;
    return sendJson(response, reply.status, { error }, reply.headers);
  }
  if ("fault" in reply) return cutOff(recorded, response, reply.text ?? "This answer will never be");
  if (reply.delayMs !== undefined) await new Promise((resolve) => setTimeout(resolve, reply.delayMs));
  const completion = completionOf(recorded, reply);
  if (recorded.body.stream === true) return streamed(recorded, response, completion);
  sendJson(response, 200, { ...completion, object: "chat.completion" });
}

function sendJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

type Answered = Exclude<Reply, { status: number } | { fault: string }>;

function completionOf({ body, index }: RecordedRequest, reply: Answered) {
  const calls = (reply.toolCalls ?? []).map((call, at) => ({
    id: call.id ?? `call_${index}_${at}`,
    type: "function" as const,
    function: {
      name: call.name ?? "shell",
      arguments: typeof call.arguments === "string" ? call.arguments : JSON.stringify(call.arguments),
    },
  }));
  const { input = 100, cached = 0, output = 20 } = reply.usage ?? {};
  return {
    id: `chatcmpl-${index}`,
    created: 0,
    model: body.model,
    choices: [
      {
        index: 0,
        message: { role: "assistant" as const, content: reply.text ?? null, ...(calls.length > 0 ? { tool_calls: calls } : {}) },
        finish_reason: reply.finish ?? (calls.length > 0 ? "tool_calls" : "stop"),
      },
    ],
    usage: {
      prompt_tokens: input,
      completion_tokens: output,
      total_tokens: input + output,
      prompt_tokens_details: { cached_tokens: cached },
    },
  };
}

type Completion = ReturnType<typeof completionOf>;

function streamed({ body }: RecordedRequest, response: ServerResponse, completion: Completion): void {
  response.writeHead(200, { "content-type": "text/event-stream" });
  for (const chunk of chunksOf(completion)) response.write(`data: ${JSON.stringify(chunk)}\n\n`);
  if (body.stream_options?.include_usage === true)
    response.write(`data: ${JSON.stringify({ ...frame(completion), choices: [], usage: completion.usage })}\n\n`);
  response.end("data: [DONE]\n\n");
}

const frame = ({ id, created, model }: Completion) => ({ id, created, model, object: "chat.completion.chunk" });

function* chunksOf(completion: Completion) {
  const { message, finish_reason } = completion.choices[0]!;
  const delta = (content: object, finish: string | null = null) => ({
    ...frame(completion),
    choices: [{ index: 0, delta: content, finish_reason: finish }],
  });
  yield delta({ role: "assistant", content: "" });
  for (const piece of halves(message.content ?? "")) yield delta({ content: piece });
  for (const [index, { id, type, function: called }] of (message.tool_calls ?? []).entries()) {
    yield delta({ tool_calls: [{ index, id, type, function: { name: called.name, arguments: "" } }] });
    for (const piece of halves(called.arguments)) yield delta({ tool_calls: [{ index, function: { arguments: piece } }] });
  }
  yield delta({}, finish_reason);
}

const halves = (text: string): string[] =>
  [text.slice(0, Math.ceil(text.length / 2)), text.slice(Math.ceil(text.length / 2))].filter((half) => half !== "");

function cutOff(request: RecordedRequest, response: ServerResponse, text: string): void {
  const completion = completionOf(request, { text });
  const isStream = request.body.stream === true;
  const whole = isStream
    ? [...chunksOf(completion)].map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("")
    : JSON.stringify({ ...completion, object: "chat.completion" });
  response.writeHead(200, {
    "content-type": isStream ? "text/event-stream" : "application/json",
    "content-length": Buffer.byteLength(whole),
  });
  // The half has to be on its way before the connection dies, else the client sees no answer at all.
  response.write(whole.slice(0, Math.floor(whole.length / 2)), () => response.destroy());
}
