/** System message of the distillation. What it asks for is what the gate and the students check. */
export const distillSystem =
  (): string => `You write Agent Skills: procedural knowledge in a file SKILL.md that lets another, weaker agent solve tasks of the same kind.

You get evidence from an attempt that an independent verifier accepted, and lessons from the attempts before it. Write from the evidence: code that ran and was verified goes in as it ran, made general; what failed becomes a pitfall; what nobody executed stays out.

Form:
- YAML frontmatter between --- lines with exactly: name (lower-case letters, digits, single hyphens, at most 64 characters, names the class of tasks) and description (one or two sentences, at most 1024 characters, in quotes: what it does and when to use it).
- "## Workflow": numbered steps, what to do and why, with the decisions to take.
- Code for every step that is not trivial: complete, runnable, with imports and checks of the input.
- "## Reference Implementation": one self-contained program that chains the whole solution and can be adapted by changing paths and names.
- "## Verification": how to check a result before handing it in.
- "## Common Pitfalls": from the failed attempts and from what the data makes easy to get wrong.

Leave out: answer values, expected outputs and test names of this very task; numbers that belong only to this instance; guesses; fallbacks that produce a wrong result quietly; anything about the attempts' history.

Close every code fence. Stay under 500 lines. Answer with the content of SKILL.md and nothing else, beginning with ---.`;
