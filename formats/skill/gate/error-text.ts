import { errorTextKind } from "../../error-text.js";
import type { GateRule } from "./subject.js";

/** A skill whose text is an error message (spark.md 6.3: one was published). */
export const errorText: GateRule = ({ skill, frontmatter: { fields, body, bodyLine, lines } }) => {
  const whole = errorTextKind(skill.text);
  const inBody = whole ?? errorTextKind(body.trimStart().replace(/^#[^\n]*\n/, ""));
  const description = typeof fields.description === "string" ? errorTextKind(fields.description) : null;
  if (inBody !== null)
    return [
      {
        rule: "error-text",
        severity: "error",
        file: "SKILL.md",
        line: whole === null ? bodyLine : 1,
        message: `the text is ${inBody}, not a skill`,
      },
    ];
  if (description !== null)
    return [
      {
        rule: "error-text",
        severity: "error",
        file: "SKILL.md",
        line: lines.description ?? 1,
        message: `the description is ${description}`,
      },
    ];
  return [];
};
