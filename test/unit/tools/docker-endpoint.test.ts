import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { dockerOptions, type EndpointInput, resolveEndpoints } from "../../../tools/sandbox/docker-endpoint.js";

const key = (name: string): string => createHash("sha256").update(name).digest("hex");
const input = (env: EndpointInput["env"], files: Record<string, string> = {}): EndpointInput => ({
  env,
  home: "/home/me",
  uid: 1000,
  read: (path) => files[path] ?? null,
});
const meta = (name: string, host: string): Record<string, string> => ({
  [`/home/me/.docker/contexts/meta/${key(name)}/meta.json`]: JSON.stringify({ Name: name, Endpoints: { docker: { Host: host } } }),
});

describe("where the Docker engine is looked for", () => {
  it("DOCKER_HOST is the only place when it is set", () => {
    const found = resolveEndpoints(input({ DOCKER_HOST: "tcp://far:2375", DOCKER_CONTEXT: "colima" }, meta("colima", "unix:///c.sock")));
    expect(found).toEqual([{ url: "tcp://far:2375", why: "DOCKER_HOST" }]);
  });
  it("DOCKER_HOST with DOCKER_TLS_VERIFY takes its certificates from DOCKER_CERT_PATH", () => {
    expect(resolveEndpoints(input({ DOCKER_HOST: "tcp://far:2376", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/certs" }))[0]?.tlsDir).toBe(
      "/certs",
    );
  });
  it("the current context of config.json is the only place when it is not the default", () => {
    const files = { "/home/me/.docker/config.json": '{"currentContext":"colima"}', ...meta("colima", "unix:///colima.sock") };
    expect(resolveEndpoints(input({}, files))).toEqual([{ url: "unix:///colima.sock", why: 'docker context "colima"' }]);
  });
  it("DOCKER_CONTEXT wins over config.json, and DOCKER_CONFIG moves the folder", () => {
    const files = {
      "/etc/d/config.json": '{"currentContext":"one"}',
      [`/etc/d/contexts/meta/${key("two")}/meta.json`]: '{"Endpoints":{"docker":{"Host":"ssh://me@box"}}}',
    };
    expect(resolveEndpoints(input({ DOCKER_CONTEXT: "two", DOCKER_CONFIG: "/etc/d" }, files))[0]?.url).toBe("ssh://me@box");
  });
  it("a context with certificates says where they are", () => {
    const tls = `/home/me/.docker/contexts/tls/${key("remote")}/docker`;
    const files = { ...meta("remote", "tcp://far:2376"), [`${tls}/ca.pem`]: "CA" };
    expect(resolveEndpoints(input({ DOCKER_CONTEXT: "remote" }, files))[0]?.tlsDir).toBe(tls);
  });
  it("a context that does not exist is an error that names it", () => {
    expect(() => resolveEndpoints(input({ DOCKER_CONTEXT: "gone" }))).toThrow(/"gone" does not exist/);
  });
  it("a broken config.json is an error that names the file", () => {
    expect(() => resolveEndpoints(input({}, { "/home/me/.docker/config.json": "{" }))).toThrow(/config\.json is not JSON/);
  });
  it("without a word of the user the known sockets are tried, the system's first", () => {
    const found = resolveEndpoints(input({ XDG_RUNTIME_DIR: "/run/user/7", DOCKER_CONTEXT: "default" }));
    expect(found.map((endpoint) => endpoint.url)).toEqual(
      expect.arrayContaining([
        "unix:///var/run/docker.sock",
        "unix:///home/me/.docker/run/docker.sock",
        "unix:///home/me/.colima/default/docker.sock",
        "unix:///run/user/7/docker.sock",
        "unix:///run/user/7/podman/podman.sock",
        "unix:///run/podman/podman.sock",
      ]),
    );
    expect(found[0]).toEqual({ url: "unix:///var/run/docker.sock", why: "known socket (system engine)" });
  });
});

describe("what dockerode gets", () => {
  const read = (path: string): string | null => (path.startsWith("/certs/") ? path.slice(7) : null);
  it("a socket path, and nothing that docker-modem could fill in from the process's environment", () => {
    const options = dockerOptions({ url: "unix:///run/x.sock", why: "" }, read);
    expect(options).toMatchObject({ socketPath: "/run/x.sock", protocol: "http" });
    for (const name of ["host", "port", "ca", "cert", "key"]) expect(Object.hasOwn(options, name)).toBe(true);
  });
  it("host and port, with the default port of its kind", () => {
    expect(dockerOptions({ url: "tcp://far", why: "" }, read)).toMatchObject({
      host: "far",
      port: 2375,
      protocol: "http",
      socketPath: undefined,
    });
    expect(dockerOptions({ url: "tcp://[::1]:99", why: "" }, read)).toMatchObject({ host: "::1", port: "99" });
  });
  it("certificates make it https", () => {
    expect(dockerOptions({ url: "tcp://far:2376", why: "", tlsDir: "/certs" }, read)).toMatchObject({
      protocol: "https",
      ca: "ca.pem",
      cert: "cert.pem",
      key: "key.pem",
    });
  });
  it("ssh keeps its user", () => {
    expect(dockerOptions({ url: "ssh://me@far:2222", why: "" }, read)).toMatchObject({
      protocol: "ssh",
      host: "far",
      username: "me",
      port: "2222",
    });
  });
  it.each(["npipe:////./pipe/docker_engine", "nonsense"])("%s is refused with its source", (url) => {
    expect(() => dockerOptions({ url, why: "DOCKER_HOST" }, read)).toThrow(/DOCKER_HOST is/);
  });
});
