/** The six evidence blocks of spark.md section 2. */
export interface DistillUserInput {
  task: string;
  /** Task Pattern. */
  instruction: string;
  /** Execution Chain: verified commands in full with exit codes and the files they produced, failing ones marked. */
  executionChain: string;
  /** Verification: what the verifier confirmed. */
  verification: string;
  /** Lessons: the memo in force, and how the failed attempts ended. */
  lessons: string;
  /** Environment. */
  environment: string;
  /** Raw Support Tail: the end of the agent's output. */
  rawTail: string;
  /** Findings of the gate on the version before, empty on the first. */
  findings: string;
  /** Why the reply before was refused, empty on the first try. */
  refused: string;
}

/** User message of the distillation. */
export const distillUser = (input: DistillUserInput): string => `## Task: ${input.task}

### Task Pattern
${input.instruction}

### Execution Chain
${input.executionChain}

### Verification
${input.verification}

### Lessons
${input.lessons || "(solved at the first attempt)"}

### Environment
${input.environment}

### Raw Support Tail
${input.rawTail || "(none)"}
${input.findings === "" ? "" : `\n### Why the version before was not published\n${input.findings}\n\nMend exactly this and keep the rest.\n`}${
  input.refused === "" ? "" : `\nYour previous reply was refused: ${input.refused}. Answer with the whole file.\n`
}
Write the SKILL.md.`;
