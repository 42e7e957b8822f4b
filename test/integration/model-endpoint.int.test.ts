import { BaseCallbackHandler } from "@langchain/core/callbacks/base";
import { HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { createCapabilities } from "../../graphs/capabilities.js";
import type { ErrorCode } from "../../state/errors.js";
import { SparkError } from "../../state/errors.js";
import { type AskOptions, askModel, isContextOverflow } from "../../tools/ask-model.js";
import type { ModelHandle } from "../../tools/capabilities.js";
import { createRunBudget } from "../../tools/run-budget.js";
import {
  faults,
  isDistillation,
  isReflection,
  isTeacher,
  type ModelEndpoint,
  type RecordedRequest,
  type Reply,
  runs,
  startModelEndpoint,
  stepOf,
} from "../support/model-endpoint.js";

/** What Studio's streaming does to a model call: core asks the provider for a stream. */
class StreamingReader extends BaseCallbackHandler {
  override readonly name = "streaming-reader";
  lc_prefer_streaming = true;
}

const shell = tool(async () => "", { name: "shell", description: "runs a command", schema: z.object({ command: z.string() }) });

interface Setup {
  replies: Reply[] | ((request: RecordedRequest) => Reply);
  stream?: boolean;
  withTools?: boolean;
  maxRetries?: number;
  timeoutMs?: number;
  ask?: AskOptions;
}

/** One askModel call over HTTP; replies are consumed in order, an extra request answers 418 and so fails the test. */
async function ask({ replies, stream = false, withTools = false, maxRetries = 0, timeoutMs, ask = {} }: Setup) {
  const endpoint: ModelEndpoint = await startModelEndpoint({
    reply: (request, index) =>
      Array.isArray(replies) ? (replies[index] ?? { status: 418, error: `request ${index + 1} was not expected` }) : replies(request),
  });
  await using _ = endpoint;
  const model = new ChatOpenAI({
    model: "teacher-1",
    apiKey: "sk-test",
    configuration: { baseURL: endpoint.url },
    useResponsesApi: false,
    maxRetries,
    ...(timeoutMs === undefined ? {} : { timeout: timeoutMs }),
  });
  const handle: ModelHandle = {
    model: model as never,
    id: "teacher-1",
    costUsd: ({ inputTokens, outputTokens }) => (inputTokens + outputTokens) / 1000,
  };
  const config = { ...ask.config, ...(stream ? { callbacks: [new StreamingReader()] } : {}) };
  const bound = withTools ? { bound: model.bindTools([shell]) as never } : {};
  try {
    return {
      endpoint,
      answer: await askModel(handle, [new HumanMessage("go")], { firstPauseMs: 1, ...ask, ...bound, config }),
      error: undefined,
    };
  } catch (error) {
    return { endpoint, answer: undefined, error };
  }
}

function expectCode(error: unknown, code: ErrorCode): asserts error is SparkError {
  expect(SparkError.isInstance(error) ? error.code : error).toBe(code);
}

describe.each([{ stream: false }, { stream: true }])("askModel over HTTP, stream $stream", ({ stream }) => {
  it("gives text, usage with cached tokens and the price, and asks for a stream only when somebody reads it", async () => {
    const { answer, endpoint } = await ask({ stream, replies: [{ text: "the answer", usage: { input: 900, cached: 700, output: 100 } }] });
    expect(answer?.message.text).toBe("the answer");
    expect(answer?.usage).toEqual({ inputTokens: 900, cachedTokens: 700, outputTokens: 100, costUsd: 1 });
    expect(answer?.cut).toBe(false);
    expect(endpoint.requests.map(({ body }) => body.stream === true)).toEqual([stream]);
    expect(endpoint.requests[0]?.body.model).toBe("teacher-1");
    expect(endpoint.requests[0]?.headers.authorization).toBe("Bearer sk-test");
  });

  it("gives tool calls, several of one reply in order", async () => {
    const { answer, endpoint } = await ask({
      stream,
      withTools: true,
      replies: [{ toolCalls: [{ arguments: { command: "ls" } }, { arguments: { command: "pwd" } }] }],
    });
    expect(answer?.message.tool_calls?.map(({ args }) => args)).toEqual([{ command: "ls" }, { command: "pwd" }]);
    expect(isTeacher(endpoint.requests[0]!)).toBe(true);
  });

  it("gives malformed tool JSON as an invalid call and never as a shorter valid one", async () => {
    const { answer } = await ask({ stream, withTools: true, replies: [faults.malformedCall()] });
    expect(answer?.message.tool_calls).toEqual([]);
    expect(answer?.message.invalid_tool_calls).toMatchObject([{ name: "shell", args: '{"command": "ls' }]);
  });

  it("says when the provider cut the answer at its output limit", async () => {
    const { answer } = await ask({ stream, replies: [faults.length("# half a ski")] });
    expect(answer?.cut).toBe(true);
    expect(answer?.message.text).toBe("# half a ski");
  });

  it("gives an empty reply as it is: the caller decides", async () => {
    const { answer } = await ask({ stream, replies: [faults.empty()] });
    expect(answer?.message.text).toBe("");
    expect(answer?.cut).toBe(false);
  });

  it("repeats 429 without Retry-After, 5xx and a cut answer", async () => {
    const { answer, endpoint } = await ask({
      stream,
      replies: [faults.rateLimit(), faults.server(503), faults.cut(), { text: "at last" }],
    });
    expect(answer?.message.text).toBe("at last");
    expect(endpoint.requests).toHaveLength(4);
  });

  it("gives up after three repetitions as provider-unavailable", async () => {
    const { error, endpoint } = await ask({ stream, replies: () => faults.server(502, "bad gateway") });
    expectCode(error, "provider-unavailable");
    expect(error.message).toContain("bad gateway");
    expect(endpoint.requests).toHaveLength(4);
  });

  it("passes on an overflow of the context, which can be mended, without a second try", async () => {
    const { error, endpoint } = await ask({ stream, replies: [faults.contextOverflow()] });
    expect(SparkError.isInstance(error)).toBe(false);
    expect(isContextOverflow(error)).toBe(true);
    expect(endpoint.requests).toHaveLength(1);
  });

  it("ends at once when it is aborted while the provider hangs", async () => {
    const controller = new AbortController();
    const { error, endpoint } = await ask({
      stream,
      ask: { config: { signal: controller.signal } },
      replies: () => {
        setImmediate(() => controller.abort(new Error("stopped by the user")));
        return faults.hang();
      },
    });
    expect(controller.signal.aborted).toBe(true);
    expect(error).toBeDefined();
    expect(SparkError.isInstance(error)).toBe(false);
    expect(endpoint.requests).toHaveLength(1);
  });
});

describe("askModel over HTTP", () => {
  it("waits for Retry-After in the client, so the call is repeated without a new call of ours", async () => {
    const { answer, endpoint } = await ask({ maxRetries: 1, replies: [faults.rateLimit(0), { text: "after the pause" }] });
    expect(answer?.message.text).toBe("after the pause");
    expect(endpoint.requests).toHaveLength(2);
  });

  it("calls a provider that never answers unavailable", async () => {
    const { error, endpoint } = await ask({ timeoutMs: 50, replies: () => faults.hang() });
    expectCode(error, "provider-unavailable");
    expect(endpoint.requests).toHaveLength(4);
  });

  it("calls an endpoint where nothing listens unavailable, naming what to check", async () => {
    const gone = await startModelEndpoint({ reply: () => faults.hang() });
    await gone.close();
    const model = new ChatOpenAI({ model: "m", apiKey: "k", configuration: { baseURL: gone.url }, useResponsesApi: false, maxRetries: 0 });
    const error = await askModel({ model: model as never, id: "m", costUsd: () => null }, [new HumanMessage("go")], {
      firstPauseMs: 1,
    }).catch((thrown: unknown) => thrown);
    expectCode(error, "provider-unavailable");
    expect(error.message).toContain("OPENAI_BASE_URL");
  });

  it("repeats a stream that ended without a finish reason: the connection was cut between two events", async () => {
    let request = 0;
    const { createServer } = await import("node:http");
    const server = createServer((_, response) => {
      request += 1;
      const chunk = (delta: object, finish: string | null) =>
        `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", model: "m", created: 0, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.end(
        request === 1
          ? chunk({ role: "assistant", content: "I will now" }, null)
          : `${chunk({ role: "assistant", content: "done" }, null)}${chunk({}, "stop")}data: [DONE]\n\n`,
      );
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const model = new ChatOpenAI({
      model: "m",
      apiKey: "k",
      configuration: { baseURL: `http://127.0.0.1:${port}/v1` },
      useResponsesApi: false,
      maxRetries: 0,
    });
    const answer = await askModel({ model: model as never, id: "m", costUsd: () => null }, [new HumanMessage("go")], {
      firstPauseMs: 1,
      config: { callbacks: [new StreamingReader()] },
    });
    server.closeAllConnections();
    server.close();
    expect(answer.message.text).toBe("done");
    expect(request).toBe(2);
  });

  it.each([
    ["a wrong key", faults.badKey(), "provider-credentials", "OPENAI_API_KEY"],
    ["an unknown model", faults.unknownModel(), "provider-rejected", "HTTP 404"],
    [
      "a bad request",
      { status: 400, error: { message: "temperature is not supported", code: "unsupported_value" } },
      "provider-rejected",
      "temperature is not supported",
    ],
    ["a quota that is used up", faults.insufficientQuota(), "provider-rejected", "add credit"],
  ] as [string, Reply, ErrorCode, string][])("does not repeat %s", async (_, reply, code, says) => {
    const { error, endpoint } = await ask({ replies: [reply] });
    expectCode(error, code);
    expect(error.message).toContain(says);
    expect(error.message).toContain("teacher-1");
    expect(endpoint.requests).toHaveLength(1);
  });

  it("shortens an error text of 245 kB to what a person reads", async () => {
    const { error } = await ask({ replies: [faults.huge()] });
    expectCode(error, "provider-rejected");
    expect(error.message.length).toBeLessThan(900);
    expect(error.message).toContain("upstream said: xxx");
  });

  it("refuses before a request at a reached cap, and charges what a call cost", async () => {
    const budget = createRunBudget({ maxCostUsd: null, maxTokens: 200 });
    const first = await ask({ ask: { budget }, replies: [{ text: "one", usage: { input: 150, output: 60 } }] });
    expect(first.answer?.message.text).toBe("one");
    expect(budget.spent()).toEqual({ inputTokens: 150, cachedTokens: 0, outputTokens: 60, costUsd: 0.21 });
    const second = await ask({ ask: { budget }, replies: [] });
    expectCode(second.error, "budget-reached");
    expect(second.endpoint.requests).toHaveLength(0);
  });

  it("does not begin another try after the cap was reached by a parallel task", async () => {
    const budget = createRunBudget({ maxCostUsd: null, maxTokens: 10 });
    const { error, endpoint } = await ask({
      ask: { budget },
      replies: () => {
        budget.charge({ inputTokens: 11, cachedTokens: 0, outputTokens: 0, costUsd: 0 });
        return faults.server();
      },
    });
    expectCode(error, "budget-reached");
    expect(endpoint.requests).toHaveLength(1);
  });
});

describe("createCapabilities with a loopback endpoint", () => {
  it("opens the model at OPENAI_BASE_URL without a key, with the output limit of the request", async () => {
    await using endpoint = await startModelEndpoint({ reply: () => ({ text: "ok" }) });
    const capabilities = createCapabilities({ env: { OPENAI_BASE_URL: endpoint.url } });
    const handle = await capabilities.model("summary", { model: "local-model" }, { maxOutputTokens: 77 });
    await askModel(handle, [new HumanMessage("go")]);
    const { body } = endpoint.requests[0]!;
    expect(body.model).toBe("local-model");
    expect(body.max_tokens ?? body.max_completion_tokens).toBe(77);
  });
});

describe("startModelEndpoint", () => {
  it("lists its models", async () => {
    await using endpoint = await startModelEndpoint({ reply: () => faults.hang(), models: ["a", "b"] });
    const { data } = (await (await fetch(`${endpoint.url}/models`)).json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual(["a", "b"]);
  });

  it("answers 404 for what it does not speak, and 500 with the message when a script throws", async () => {
    await using endpoint = await startModelEndpoint({
      reply: () => {
        throw new Error("nothing is scripted for this");
      },
    });
    expect((await fetch(`${endpoint.url}/responses`, { method: "POST", body: "{}" })).status).toBe(404);
    const answered = await fetch(`${endpoint.url}/chat/completions`, {
      method: "POST",
      body: JSON.stringify({ model: "m", messages: [] }),
    });
    expect(answered.status).toBe(500);
    expect(await answered.text()).toContain("nothing is scripted for this");
  });

  it("tells teacher, reflection and distillation apart by what is asked, and counts the steps", async () => {
    const seen: string[] = [];
    await using endpoint = await startModelEndpoint({
      reply: (request) => {
        seen.push(
          isTeacher(request)
            ? `teacher ${stepOf(request)}`
            : isReflection(request)
              ? "reflection"
              : isDistillation(request)
                ? "distillation"
                : "other",
        );
        return runs("true");
      },
    });
    const post = (messages: object[], more: object = {}) =>
      fetch(`${endpoint.url}/chat/completions`, { method: "POST", body: JSON.stringify({ model: "m", messages, ...more }) });
    await post(
      [
        { role: "user", content: "x" },
        { role: "assistant", content: "y" },
      ],
      { tools: [{ type: "function", function: { name: "shell" } }] },
    );
    await post([{ role: "system", content: "You keep the exploration memo of …" }]);
    await post([{ role: "system", content: [{ type: "text", text: "You write Agent Skills: …" }] }]);
    await post([{ role: "user", content: "hello" }]);
    expect(seen).toEqual(["teacher 1", "reflection", "distillation", "other"]);
  });
});
