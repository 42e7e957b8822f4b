import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRedactor, findSecrets, REDACTED } from "../../../formats/redact.js";

const keyBody = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6";
const pem = (newline: string) =>
  [
    "-----BEGIN RSA PRIVATE KEY-----",
    "MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun",
    "VTLw7onLRnrq0/IzW7yWR7QkrmBL7jTKEn5u",
    "-----END RSA PRIVATE KEY-----",
  ].join(newline);

/** Kind, the text before the secret, the secret, the text after it. */
const shapes: readonly (readonly [string, string, string, string])[] = [
  ["openai-key", "key ", `sk-proj-${keyBody}_${keyBody}`, "."],
  ["openai-key", "export X='", `sk-ant-api03-${keyBody}`, "'"],
  ["langsmith-key", "", `lsv2_pt_${keyBody}_${keyBody.slice(0, 10)}`, ""],
  ["github-token", "token=", `ghp_${keyBody}AbCd`, ","],
  ["github-token", "token=", `gho_${keyBody}AbCd`, ","],
  ["github-token", "token=", `github_pat_11AAAAAAA0${keyBody}_${keyBody}`, ","],
  ["gitlab-token", "token: ", "glpat-a1B2c3D4e5F6g7H8i9J0", "\n"],
  ["aws-access-key", "aws_access_key_id = ", "AKIAIOSFODNN7EXAMPLE", "\n"],
  ["aws-secret-key", "aws_secret_access_key = ", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "\n"],
  ["google-key", "?key=", `AIzaSyA${keyBody}`, "&q=1"],
  ["slack-token", "", "xoxb-123456789012-abcdefABCDEF", " "],
  ["hugging-face-token", "HF ", `hf_${keyBody}`, ""],
  ["bearer-token", "Authorization: Bearer ", `${keyBody}==`, '"'],
  ["basic-credentials", "Authorization: Basic ", "dXNlcjpwYXNzd29yZDEyMw==", "\r\n"],
  ["url-credentials", "postgres://", "admin:hunter2secret", "@db.example/x"],
  ["url-credentials", "https://", "x-access-token:p@ssword9", "@git.example/r.git"],
  ["jwt", "cookie ", `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.${keyBody}`, ";"],
  ["stripe-key", "", `sk_live_${keyBody}`, ""],
  ["private-key", "here:\n", pem("\n"), "\nend"],
];

describe("createRedactor", () => {
  const redact = createRedactor({});

  it.each(shapes)("replaces a %s by its shape and nothing around it: %s", (_kind, before, secret, after) => {
    expect(redact(before + secret + after)).toBe(before + REDACTED + after);
  });

  it.each(shapes)("finds a %s inside a serialised JSON line behind an escaped newline: %s", (_kind, before, secret, after) => {
    const line = JSON.stringify({ a: `first\n${before}${secret}${after}\nlast`, b: 1 });
    expect(JSON.parse(redact(line))).toEqual({ a: `first\n${before}${REDACTED}${after}\nlast`, b: 1 });
  });

  it("replaces a private key whose end was cut off", () => {
    expect(redact(`log\n${pem("\n").slice(0, 120)}`)).toBe(`log\n${REDACTED}`);
  });

  it("replaces values of secret-looking variables in each form, and only those", () => {
    const value = 'p"ä ss/w+\\rd?9';
    const clean = createRedactor({ MY_PASSWORD: value, EDITOR: "emacs-nox" });
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    const forms = [
      value,
      JSON.stringify(value).slice(1, -1),
      encodeURIComponent(value),
      encodeURIComponent(value).toLowerCase(),
      encodeURIComponent(value).replaceAll("%20", "+"),
    ];
    for (const form of forms) expect(clean(`<${form}>`)).toBe(`<${REDACTED}>`);
    for (const prefix of ["", "u", "us", "use", "user"]) expect(clean(base64(`${prefix}:${value}:tail`))).toContain(REDACTED);
    expect(clean(JSON.stringify({ arguments: JSON.stringify({ value }) }))).toBe(
      JSON.stringify({ arguments: JSON.stringify({ value: REDACTED }) }),
    );
    expect(clean("emacs-nox")).toBe("emacs-nox");
  });

  it("knows secret-looking names", () => {
    const names = [
      "OPENAI_API_KEY",
      "apikey",
      "HF_TOKEN",
      "CLIENT_SECRET",
      "DB_PASSWORD",
      "MYSQL_PASSWD",
      "GOOGLE_CREDENTIALS",
      "NPM_CONFIG__AUTH",
    ];
    for (const name of names) expect(createRedactor({ [name]: "zq81-value-x" })("a zq81-value-x b")).toBe(`a ${REDACTED} b`);
  });

  it("takes the password out of an address in any variable", () => {
    expect(createRedactor({ DATABASE_URL: "postgres://me:correcthorse@db/x" })("login correcthorse")).toBe(`login ${REDACTED}`);
  });

  it("leaves short values, counts, settings, authors and paths of secrets alone", () => {
    const text = "short 20000000 disabled Ada Lovelace /home/ada/.netrc /run/agent.sock pc105-layout";
    const env = {
      API_KEY: "short",
      MAX_TOKENS: "20000000",
      AUTH_MODE: "disabled",
      GIT_AUTHOR_NAME: "Ada Lovelace",
      TOKEN_FILE: "/home/ada/.netrc",
      SSH_AUTH_SOCK: "/run/agent.sock",
      KEYBOARD: "pc105-layout",
      EMPTY_KEY: undefined,
    };
    expect(createRedactor(env)(text)).toBe(text);
  });

  it("prefers the longer of two values that overlap", () => {
    expect(createRedactor({ A_KEY: "abcdefgh", B_KEY: "abcdefgh-ijkl" })("abcdefgh-ijkl abcdefgh")).toBe(`${REDACTED} ${REDACTED}`);
  });

  it.each([
    "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "git@github.com:owner/repo.git and https://example.org:8443/a@b",
    "the bearer of bad news; Bearer authentication-mechanism; a task-oriented sk-learn-like-estimator-class",
    "#sk-container-id-1 div.sk-toggleable__content",
    "https://${USER}:${PASSWORD}@host/ and postgres://user:<password>@host",
    "hf_transformers_model_with_a_long_snake_case_name_here",
    `data:image/png;base64,${Buffer.from(Uint8Array.from({ length: 3000 }, (_, index) => (index * 7919 + (index >> 3) * 31) % 256)).toString("base64")}`,
    'python -c "import ssl; print(ssl.OPENSSL_VERSION)" # -----BEGIN PRIVATE KEY----- is its first line',
    "0.68885 ± 0.00012, 1234567890123456, 2026-11-21T13:57:42Z",
  ])("leaves ordinary text alone: %.50s", (text) => {
    expect(redact(text)).toBe(text);
  });

  it("leaves the digits of a number that only contains a secret, and makes a number that is one a string", () => {
    const clean = createRedactor({ PIN_PASSWORD: "12345678" });
    expect(clean('{"a":912345678,"b":12345678,"c":"x12345678"}')).toBe(`{"a":912345678,"b":"${REDACTED}","c":"x${REDACTED}"}`);
  });

  it("keeps the layout of a JSON document and the lines of a JSON-lines text", () => {
    const document = JSON.stringify({ b: "hunter2hunter2", 1: [{ a: "x hunter2hunter2" }] }, null, 2);
    const clean = createRedactor({ A_SECRET: "hunter2hunter2" });
    expect(clean(`${document}\n`)).toBe(`${document.replaceAll("hunter2hunter2", REDACTED)}\n`);
    expect(clean('{"a":"hunter2hunter2"}\n{"b":1}\n')).toBe(`{"a":"${REDACTED}"}\n{"b":1}\n`);
  });

  const secret = fc.oneof(
    fc.constantFrom(...shapes.map(([, before, value, after]) => before + value + after)),
    fc.constantFrom('","a":"x', "nabcdefgh", "u00e9abcd", "\\\\\\\\\\\\\\\\", '""""""""', "]!!!!!!!!", "REDACTED", "12345678", "},{},{},{"),
    fc.string({ minLength: 8, maxLength: 14, unit: fc.constantFrom(...'ab1"\\n-=/+é\n{}:,[]') }),
  );
  const pieces = fc.array(fc.oneof(secret, fc.string(), fc.constantFrom(REDACTED, "\n", '"', "\\", "n", " ")), { maxLength: 12 });
  const env = fc.dictionary(fc.constantFrom("A_KEY", "B_TOKEN", "C_SECRET", "D_PASSWORD"), secret);

  it("changes nothing when it is applied again", () => {
    fc.assert(
      fc.property(env, pieces, (variables, parts) => {
        const clean = createRedactor(variables);
        const once = clean([...parts, ...Object.values(variables)].join(""));
        expect(clean(once)).toBe(once);
      }),
      { numRuns: 800 },
    );
  });

  it("keeps any JSON line valid, with its keys and numbers, and lets no value through", () => {
    fc.assert(
      fc.property(
        env,
        pieces,
        fc.array(fc.oneof(fc.string(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.boolean())),
        (variables, parts, others) => {
          const clean = createRedactor(variables);
          const text = [...parts, ...Object.values(variables)].join(" ");
          const line = JSON.stringify({ text, others, nested: JSON.stringify({ text }) });
          const after = clean(line);
          const parsed = JSON.parse(after) as { text: string; others: unknown[]; nested: string };
          expect(Object.keys(parsed)).toEqual(["text", "others", "nested"]);
          expect(parsed.others.map((value) => typeof value)).toEqual(others.map((value) => typeof value));
          expect(clean(after)).toBe(after);
          for (const value of Object.values(variables)) {
            const trimmed = value.trim();
            if (trimmed.length >= 8 && !REDACTED.includes(trimmed))
              expect(parsed.text.split(REDACTED).some((piece) => piece.includes(trimmed))).toBe(false);
          }
        },
      ),
      { numRuns: 800 },
    );
  });

  it.each([
    "-----BEGIN PRIVATE KEY-----\n",
    "-----BEGIN RSA PRIVATE KEY-----\nAAAAAAAAAAAAAAAAAAAAAAAA\n",
    "eyJhbGciOiJIUzI1NiJ9.",
    "\\neyJaaaaaaaaaaaaa.eyJ",
    "http://a:",
    "https://aaaaaaaaaa",
    "sk-aaaaaaaaaaaaaaaaaaaaaaaaaaaa-",
    "Bearer ",
    "bearer aaaaaaaaaaaaaaaaaaaaaaaaa ",
    "a",
    "\\",
    '"',
  ])("takes time in proportion to the text on %j repeated", (piece) => {
    const clean = createRedactor({ A_KEY: "abcdefghij" });
    const measure = (characters: number): number => {
      const text = piece.repeat(characters / piece.length);
      const times = Array.from({ length: 3 }, () => {
        const start = process.hrtime.bigint();
        clean(text);
        return Number(process.hrtime.bigint() - start);
      });
      return Math.max(Math.min(...times), 200_000);
    };
    measure(20_000);
    // Sixteen times the text: linear is 16, quadratic 256.
    expect(measure(640_000) / measure(40_000)).toBeLessThan(128);
  });
});

describe("findSecrets", () => {
  it.each(shapes)("names a %s and its line: %s", (kind, before, secret, after) => {
    expect(findSecrets(`one\ntwo\n${before}${secret}${after}`)).toEqual([{ line: before.includes("\n") ? 4 : 3, kind }]);
  });

  it("lists several in the order of the lines", () => {
    expect(findSecrets("AKIAIOSFODNN7EXAMPLE\nplain\nxoxb-123456789012-abcdefABCDEF AKIAIOSFODNN7EXAMPLE")).toEqual([
      { line: 1, kind: "aws-access-key" },
      { line: 3, kind: "slack-token" },
      { line: 3, kind: "aws-access-key" },
    ]);
  });

  it("finds nothing in what a redactor made", () => {
    for (const [, before, secret, after] of shapes) expect(findSecrets(createRedactor({})(before + secret + after))).toEqual([]);
  });
});
