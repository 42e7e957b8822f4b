export interface RetryInjectionInput {
  /** The memo in force, without its Next Strategy section after a strong intervention; empty when no reflection succeeded. */
  memo: string;
  /** The last attempt's test summary, shown only when there is no memo. */
  testSummary: string;
  /** The attempt that begins, from 1. */
  attempt: number;
  maxAttempts: number;
  /** Text of an intervention, else empty. */
  intervention: string;
  /** Whether the memo's Next Strategy was withheld. */
  strategyWithheld: boolean;
}

const urgency = (left: number): string => {
  if (left <= 1)
    return "This is the LAST attempt. Put everything that is known to work together, verify each requirement of the instruction yourself, and leave the best result you can.";
  if (left === 2) return "Two attempts are left. Prefer what is confirmed over what is new, and check the result before you finish.";
  return `${left} attempts are left, this one included.`;
};

/** What the teacher is told from the second attempt on: the memo, how many attempts are left, the intervention, a footer. */
export const retryInjection = (input: RetryInjectionInput): string => {
  const left = input.maxAttempts - input.attempt + 1;
  const known =
    input.memo !== ""
      ? input.memo
      : `No memo could be written. The verifier's summary of the attempt before:\n\n${input.testSummary || "(the verifier gave no test results)"}`;
  return `---
## What earlier attempts found

${known}

---
This is attempt ${input.attempt} of ${input.maxAttempts}. ${urgency(left)}
${input.intervention === "" ? "" : `\n---\n${input.intervention}\n`}
---
The container is new: nothing of earlier attempts is in it. ${
    input.strategyWithheld
      ? "Choose your own approach from the statement and the failing tests."
      : 'Follow "Next Strategy" where it still fits what you see.'
  } Do not repeat an approach that already failed.`;
};
