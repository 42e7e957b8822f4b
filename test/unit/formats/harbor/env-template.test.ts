import { describe, expect, it } from "vitest";
import { allowedEnvironment, isProviderKey, resolveTemplates } from "../../../../formats/harbor/env-template.js";

describe("resolveTemplates", () => {
  it("fills a value that is a template as a whole and leaves the others literal", () => {
    expect(
      resolveTemplates({ A: "${WORD}", B: "x ${WORD}", C: "$WORD", D: "plain", E: "${WORD}-" }, { WORD: "w" }, "environment.env"),
    ).toEqual({
      A: "w",
      B: "x ${WORD}",
      C: "$WORD",
      D: "plain",
      E: "${WORD}-",
    });
  });

  it("takes the default of a variable that is not allowed or not set, and a set but empty one as it is", () => {
    const table = { A: "${WORD:-a:-b}", B: "${NONE:-}" };
    expect(resolveTemplates(table, {}, "verifier.env")).toEqual({ A: "a:-b", B: "" });
    expect(resolveTemplates(table, { WORD: "" }, "verifier.env")).toEqual({ A: "", B: "" });
  });

  it("refuses a variable that the user did not name, saying how to allow it", () => {
    expect(() => resolveTemplates({ A: "${HOME}" }, {}, "environment.env")).toThrow(
      expect.objectContaining({
        code: "env-refused",
        message: expect.stringMatching(/environment\.env\.A .*HOME.*--allow-env HOME/) as unknown,
      }) as Error,
    );
  });

  it.each(["environment.env", "solution.env"] as const)("refuses a provider's key in %s even when it is allowed", (place) => {
    for (const name of ["OPENAI_API_KEY", "LANGSMITH_API_KEY"])
      for (const template of [`\${${name}}`, `\${${name}:-default}`])
        expect(() => resolveTemplates({ A: template }, { [name]: "k" }, place)).toThrow(
          expect.objectContaining({ code: "env-refused" }) as Error,
        );
  });

  it("gives an allowed provider's key to the verifier, and refuses a key that a models file names", () => {
    expect(resolveTemplates({ KEY: "${OPENAI_API_KEY}" }, { OPENAI_API_KEY: "k" }, "verifier.env")).toEqual({ KEY: "k" });
    expect(() => resolveTemplates({ A: "${HOUSE_PASS}" }, { HOUSE_PASS: "k" }, "environment.env", ["HOUSE_PASS"])).toThrow(
      /provider's key/,
    );
  });

  it("does not take a name of Object's prototype for a variable", () => {
    expect(() => resolveTemplates({ A: "${constructor}" }, {}, "environment.env")).toThrow(
      expect.objectContaining({ code: "env-refused" }) as Error,
    );
  });
});

describe("allowedEnvironment", () => {
  it("holds what the user named and nothing else", () => {
    expect(allowedEnvironment({ A: "1", B: "2", C: "" }, ["A", "C", "NONE"])).toEqual({ A: "1", C: "" });
  });

  it("refuses a provider's key under another name", () => {
    const env = { OPENAI_API_KEY: "secret", ALIAS: "secret", FINE: "other" };
    expect(() => allowedEnvironment(env, ["ALIAS"])).toThrow(
      expect.objectContaining({ code: "env-refused", message: expect.not.stringContaining("secret") as unknown }) as Error,
    );
    expect(allowedEnvironment(env, ["OPENAI_API_KEY", "FINE"])).toEqual({ OPENAI_API_KEY: "secret", FINE: "other" });
  });
});

describe("isProviderKey", () => {
  it.each([
    "OPENAI_API_KEY",
    "LANGSMITH_API_KEY",
    "LANGCHAIN_API_KEY",
    "ANTHROPIC_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "SPARK_SECRET",
  ])("%s is one", (name) => {
    expect(isProviderKey(name)).toBe(true);
  });
  it.each(["OPENAI_BASE_URL", "HF_TOKEN", "MY_API_KEY", "PATH", "SPARK_MODEL"])("%s is none", (name) => {
    expect(isProviderKey(name)).toBe(false);
  });
});
