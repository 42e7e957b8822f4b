import type { Finding } from "../../../state/skill.js";
import { skillMetadataSchema } from "../../../state/skill.js";
import type { GateRule } from "./subject.js";

const allowedFields = Object.keys(skillMetadataSchema.shape);

/** The Agent Skills specification: readable frontmatter, only its fields, legal values, the folder's name, a body. */
export const specification: GateRule = ({ skill, frontmatter }) => {
  const { fields, lines, body, bodyLine, problems } = frontmatter;
  const findings = problems.map(
    ({ line, message }): Finding => ({ rule: "frontmatter", severity: "error", file: "SKILL.md", line, message }),
  );
  const report = (field: string, message: string): void => {
    findings.push({ rule: "specification", severity: "error", file: "SKILL.md", line: lines[field] ?? 1, message });
  };
  if (Object.keys(fields).length > 0) {
    for (const field of ["name", "description"])
      if (!(field in fields)) report(field, `the field ${field} is missing: the specification demands it`);
    for (const field of Object.keys(fields).filter((name) => !allowedFields.includes(name)))
      report(field, `the field ${field} is not in the specification (${allowedFields.join(", ")}): remove it or put it under metadata`);
    for (const issue of skillMetadataSchema.safeParse(fields).error?.issues ?? []) {
      const field = String(issue.path[0]);
      if (field in fields) report(field, illegal(field, fields[field], issue.path.length > 1));
    }
    const { name, description } = fields;
    if (typeof description === "string" && description !== "" && description.trim() === "")
      report("description", illegal("description", "", false));
    if (typeof name === "string" && name !== skill.directory)
      report("name", `the name ${shown(name)} differs from the folder's name ${shown(skill.directory)}: make them equal`);
    if (body.trim() === "")
      findings.push({
        rule: "specification",
        severity: "error",
        file: "SKILL.md",
        line: bodyLine,
        message: "nothing stands behind the frontmatter: write the skill's text",
      });
  }
  return findings;
};

function illegal(field: string, value: unknown, nested: boolean): string {
  const length = typeof value === "string" ? value.length : 0;
  switch (field) {
    case "name":
      return length > 64
        ? `the name has ${length} characters, at most 64 are allowed`
        : `the name ${shown(value)} is not legal: lower-case letters, digits and single hyphens, none at its ends, 1 to 64 characters`;
    case "description":
      return length > 1024
        ? `the description has ${length} characters, at most 1024 are allowed`
        : "the description is empty or not text: say in one or two sentences what the skill does and when to use it";
    case "compatibility":
      return length > 500 ? `compatibility has ${length} characters, at most 500 are allowed` : "compatibility is not text";
    case "metadata":
      return nested
        ? "a value under metadata is not text: metadata maps names to texts, without lists or further levels"
        : "metadata is not a mapping of names to texts";
    case "allowed-tools":
      return "allowed-tools is neither text nor a list of texts";
    default:
      return `${field} is not text`;
  }
}

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? "";
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
};
