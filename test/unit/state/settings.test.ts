import { describe, expect, it } from "vitest";
import { z } from "zod";
import { SparkError } from "../../../state/errors.js";
import { settingsOf } from "../../../state/settings.js";
import { skillGenerationSettingsSchema, trialSettingsSchema } from "../../../state/skill-generation.js";

const schema = z.object({ steps: z.number().int().positive().default(7), nested: z.object({ on: z.boolean() }).default({ on: true }) });

describe("settingsOf", () => {
  it("gives defaults where neither context nor configurable says anything", () => {
    expect(settingsOf(schema, {})).toEqual({ steps: 7, nested: { on: true } });
    expect(settingsOf(schema, { configurable: {}, context: {} })).toEqual({ steps: 7, nested: { on: true } });
  });

  it("reads what Studio puts into configurable, and lets the context win", () => {
    expect(settingsOf(schema, { configurable: { steps: 3 } }).steps).toBe(3);
    expect(settingsOf(schema, { configurable: { steps: 3 }, context: { steps: 4 } }).steps).toBe(4);
    expect(settingsOf(schema, { configurable: { steps: 3 }, context: { steps: undefined } }).steps).toBe(3);
  });

  it("takes no notice of keys of another context: an exported node works in any graph", () => {
    expect(settingsOf(schema, { configurable: { thread_id: "x" }, context: { mood: 1 } })).toEqual({ steps: 7, nested: { on: true } });
  });

  it("names the field, the fault and what to do", () => {
    for (const [context, field] of [
      [{ steps: -1 }, "steps"],
      [{ nested: { on: 3 } }, "nested.on"],
    ] as const) {
      const thrown = (() => {
        try {
          return settingsOf(schema, { context });
        } catch (error) {
          return error;
        }
      })();
      expect(SparkError.isInstance(thrown) && thrown.code).toBe("settings");
      expect((thrown as Error).message).toMatch(new RegExp(`^setting ${field.replace(".", "\\.")}: .+; correct the value`));
    }
  });

  it("knows the defaults that the command promises", () => {
    expect(settingsOf(skillGenerationSettingsSchema, {})).toMatchObject({
      maxAttempts: 3,
      pdi: "on",
      pdiMethod: "token_overlap",
      sandbox: "auto",
      verifier: "auto",
      preflight: true,
      maxSteps: 100,
      maxAttemptTokens: 2_000_000,
      attemptTimeoutSec: 1800,
      leaseSec: 600,
      showVerifier: false,
    });
  });

  it("has settings that are all optional and survive JSON, so they can be saved and shown as a form", () => {
    for (const settings of [trialSettingsSchema, skillGenerationSettingsSchema]) {
      const defaults = settings.parse({});
      expect(settings.parse(JSON.parse(JSON.stringify(defaults)))).toEqual(defaults);
      expect(z.toJSONSchema(settings, { io: "input" }).required ?? []).toEqual([]);
    }
  });
});
