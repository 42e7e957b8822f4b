export interface ReflectUserInput {
  task: string;
  instruction: string;
  /** The memo in force, empty before the first. */
  memo: string;
  status: string;
  reward: number;
  /** From 1. */
  attempt: number;
  failedAttempts: number;
  passed: number;
  total: number;
  commands: string;
  testSummary: string;
  /** Why the attempt ended early, empty when it did not. */
  stop: string;
  /** Why the reply before was refused, empty on the first try. */
  refused: string;
}

/** User message of the reflection: the attempt that just failed, beside the memo so far. */
export const reflectUser = (input: ReflectUserInput): string => `## Task: ${input.task}

### Instruction
${input.instruction}

### Memo so far
${input.memo || "(none: this is the first failed attempt)"}

### This attempt: ${input.status}, attempt #${input.attempt}, reward ${input.reward}
Tests: ${input.passed} of ${input.total} passed.${input.stop === "" ? "" : `\nThe attempt was stopped: ${input.stop}`}

### Commands of this attempt
${input.commands || "(none)"}

### Test summary
${input.testSummary || "(the verifier gave no test results)"}

Rewrite the memo. Its title says ${input.failedAttempts} failed attempts.${
  input.refused === "" ? "" : `\n\nYour previous reply was refused: ${input.refused}. Answer with the whole memo and all five sections.`
}`;
