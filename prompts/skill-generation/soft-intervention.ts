/** Soft intervention: question what is assumed. It names no metric and no value (spark.md section 2). */
export const softIntervention = (): string => `### Before you begin this attempt

The last attempts carried the same assumptions forward and changed only details. Before your first command:

- Which of the "Verified Facts" did a test or a program's output really confirm, and which were only assumed from the wording of the task? Treat the second kind as open questions and test them first.
- Read the failing tests' messages again, word by word. They may point to another cause than the one you have been treating.
- Name at least one explanation of the failure that none of the attempts has tried, and look for evidence for it.

Then go a clearly different way from the last attempt.`;
