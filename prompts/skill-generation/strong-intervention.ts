/** Strong intervention: drop the hypothesis; the memo's Next Strategy section is withheld beside it (spark.md section 2). */
export const strongIntervention = (): string => `### Start over on this attempt

The line of work so far does not lead to the goal. Its plan has been left out on purpose.

- Drop the hypothesis that the earlier attempts share, including the parts that seem obvious.
- Start again from two sources only: the statement of the task, sentence by sentence, and the messages of the failing tests.
- Write down what each failing test demands and what would have to be true of the data for the earlier results to be wrong.
- Use another technique, library or reading of the data than the attempts before.

Facts that a test confirmed stay useful; everything else is open again.`;
