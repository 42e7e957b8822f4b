import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DockerOptions } from "dockerode";
import { SparkError } from "../../state/errors.js";

/** Where a Docker engine may be, and why we think so. */
export interface DockerEndpoint {
  /** `unix:///…`, `tcp://…`, `ssh://…` as the docker command writes it. */
  url: string;
  /** For a person: `DOCKER_HOST`, `docker context "colima"`, `known socket (Docker Desktop)`. */
  why: string;
  /** Folder with ca.pem, cert.pem and key.pem; present means TLS. */
  tlsDir?: string;
}

export interface EndpointInput {
  env: Readonly<Record<string, string | undefined>>;
  /** The user's home directory. */
  home: string;
  /** Numeric user id, for the rootless sockets; undefined on systems without. */
  uid?: number;
  /** Text of a file, null when it is missing. An argument so that the choice can be tested without files. */
  read(path: string): string | null;
}

/** Reads a file for {@link EndpointInput}. */
export const readTextFile = (path: string): string | null => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // Missing, or not ours to read: both mean that it says nothing.
    return null;
  }
};

const parse = (path: string, text: string | null): Record<string, unknown> => {
  if (text === null) return {};
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch (error) {
    throw new SparkError(`${path} is not JSON. Mend it, or set DOCKER_HOST.`, { code: "docker-unavailable", cause: error });
  }
};

const fromContext = (name: string, folder: string, input: EndpointInput): DockerEndpoint => {
  const key = createHash("sha256").update(name).digest("hex");
  const path = join(folder, "contexts", "meta", key, "meta.json");
  const text = input.read(path);
  const meta = parse(path, text) as { Endpoints?: { docker?: { Host?: string } } };
  const url = meta.Endpoints?.docker?.Host;
  if (url === undefined || url === "") {
    throw new SparkError(
      `the current docker context ${JSON.stringify(name)} ${text === null ? "does not exist" : "names no host"} (${path}). Choose one with \`docker context use\`, or set DOCKER_HOST.`,
      { code: "docker-unavailable" },
    );
  }
  const tlsDir = join(folder, "contexts", "tls", key, "docker");
  const tls = input.read(join(tlsDir, "ca.pem")) !== null;
  return { url, why: `docker context ${JSON.stringify(name)}`, ...(tls ? { tlsDir } : {}) };
};

/**
 * Where the engine may be, best first: DOCKER_HOST; else the docker context (DOCKER_CONTEXT, then `currentContext` of
 * config.json) unless it is `default`; else the known sockets. The first two are the user's word: then it is the only one.
 * @throws SparkError `docker-unavailable` for a context that does not exist
 */
export const resolveEndpoints = (input: EndpointInput): DockerEndpoint[] => {
  const { env, home } = input;
  const folder = env.DOCKER_CONFIG || join(home, ".docker");
  const host = env.DOCKER_HOST;
  if (host) {
    const url = host.includes("://") ? host : `tcp://${host}`;
    const tls = env.DOCKER_TLS_VERIFY ? env.DOCKER_CERT_PATH || folder : undefined;
    return [{ url, why: "DOCKER_HOST", ...(tls === undefined || !url.startsWith("tcp://") ? {} : { tlsDir: tls }) }];
  }
  const configPath = join(folder, "config.json");
  const current = env.DOCKER_CONTEXT || parse(configPath, input.read(configPath)).currentContext;
  if (typeof current === "string" && current !== "" && current !== "default") return [fromContext(current, folder, input)];
  const runtime = env.XDG_RUNTIME_DIR || (input.uid === undefined ? undefined : `/run/user/${input.uid}`);
  const known: [string, string][] = [
    ["/var/run/docker.sock", "system engine"],
    [join(home, ".docker/run/docker.sock"), "Docker Desktop"],
    [join(home, ".docker/desktop/docker.sock"), "Docker Desktop"],
    [join(env.COLIMA_HOME || join(home, ".colima"), "default/docker.sock"), "Colima"],
    [join(home, ".config/colima/default/docker.sock"), "Colima"],
    [join(home, ".orbstack/run/docker.sock"), "OrbStack"],
    [join(home, ".rd/docker.sock"), "Rancher Desktop"],
    ...(runtime === undefined ? [] : ([[join(runtime, "docker.sock"), "rootless"]] as [string, string][])),
    ...(runtime === undefined ? [] : ([[join(runtime, "podman/podman.sock"), "Podman"]] as [string, string][])),
    ["/run/podman/podman.sock", "Podman"],
  ];
  return known.map(([path, who]) => ({ url: `unix://${path}`, why: `known socket (${who})` }));
};

const badUrl = (endpoint: DockerEndpoint): SparkError =>
  new SparkError(`${endpoint.why} is ${JSON.stringify(endpoint.url)}, which is no unix://, tcp://, http(s):// or ssh:// address.`, {
    code: "docker-unavailable",
  });

/**
 * What dockerode needs to talk to an endpoint. Every key is given, also as undefined: docker-modem would else fill it from
 * process.env behind our back.
 */
export const dockerOptions = (endpoint: DockerEndpoint, read: EndpointInput["read"]): DockerOptions => {
  const unset = { host: undefined, port: undefined, socketPath: undefined, ca: undefined, cert: undefined, key: undefined };
  const options = (values: Record<string, unknown>): DockerOptions => ({ ...unset, protocol: "http", ...values }) as DockerOptions;
  if (endpoint.url.startsWith("unix://")) return options({ socketPath: endpoint.url.slice("unix://".length) });
  if (!URL.canParse(endpoint.url)) throw badUrl(endpoint);
  const url = new URL(endpoint.url);
  if (url.protocol === "ssh:") {
    return options({ protocol: "ssh", host: url.hostname, port: url.port || 22, username: decodeURIComponent(url.username) || undefined });
  }
  if (!["tcp:", "http:", "https:"].includes(url.protocol)) throw badUrl(endpoint);
  const tls = endpoint.tlsDir;
  const pem = (name: string): string | undefined => (tls === undefined ? undefined : (read(join(tls, name)) ?? undefined));
  const secure = tls !== undefined || url.protocol === "https:";
  return options({
    protocol: secure ? "https" : "http",
    host: url.hostname.replace(/^\[|\]$/g, ""),
    port: url.port || (secure ? 2376 : 2375),
    ca: pem("ca.pem"),
    cert: pem("cert.pem"),
    key: pem("key.pem"),
  });
};
