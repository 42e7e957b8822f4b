export interface ExploreTaskInput {
  instruction: string;
  /** What earlier attempts found; empty on the first attempt. */
  injection: string;
  /** Skills the agent may read: name, description and the path of SKILL.md in the container. */
  skills: readonly { name: string; description: string; location: string }[];
  /** The verifier with its expected values removed, when the user asked for it; else empty. */
  verifier: string;
}

const skillList = (skills: ExploreTaskInput["skills"]): string =>
  `\n<available_skills>\n${skills
    .map(
      (s) =>
        `  <skill>\n    <name>${s.name}</name>\n    <description>${s.description}</description>\n    <location>${s.location}</location>\n  </skill>`,
    )
    .join("\n")}\n</available_skills>\n`;

/** First user message of an attempt: the instruction, what may be read, and what is known from before. */
export const exploreTask = (input: ExploreTaskInput): string =>
  [
    input.instruction,
    input.skills.length === 0 ? "" : skillList(input.skills),
    input.verifier === "" ? "" : `\n---\nStructure of the verifier, expected values removed:\n\n${input.verifier}\n`,
    input.injection === "" ? "" : `\n${input.injection}`,
  ]
    .filter((part) => part !== "")
    .join("\n");
