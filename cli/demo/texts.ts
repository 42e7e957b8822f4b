import { referenceProgram } from "./commands.js";

const strategy =
  "Keep the program and its reading of the lines; change the position that the percentile takes in the sorted durations until test_percentile_of_each_hour passes, then look at the other tests again.";

const facts = `- a line has six fields, shown by head of access.log
- splitting at white space and grouping by the first 13 characters of the time gives hours, shown by python3 make_report.py
- durations end in ms or s, shown by head`;

/** The scripted memo after a failed attempt, from 1: the second repeats plan and facts of the first, which is what stagnation looks like. */
export const demoMemo = (failures: number): string => `## Exploration Memo (${failures} failed attempts)

### Attempts Log
- #1: one pass over the three files, hours cut from the time text, percentile by position; several tests failed${failures < 2 ? "" : "\n- #2: the same program with a rounded percentile position; the same tests failed"}

### Commands From Last Attempt
python3 /app/make_report.py

### Verified Facts
${facts}${failures < 2 ? "" : "\n- changing the rounding alone moved no test, so the position was assumed right before it was confirmed"}

### Current Error Pattern
counts of requests, hours and percentiles differ from what the tests compute from the log

### Next Strategy
${strategy}`;

/** The scripted skill. */
export const demoSkill = `---
name: rotated-access-log-report
description: "Builds an hourly report with exact percentiles from rotated access logs that repeat request ids, mix UTC offsets and contain malformed lines. Use when a task asks for per-hour or per-path statistics over log files."
---

# Report over a rotated access log

## Workflow

1. Read the statement for the order of the files and for which line of a repeated id counts; then read the files in exactly that order. A later line of an id replaces the earlier one, its hour included.
2. Decide for every line: ignored (empty, comment), malformed (counted), or a request. Let one function raise for anything it cannot read, and count what it raises for.
3. Turn every time into UTC before cutting the hour; two lines with the same clock text can lie in different hours.
4. Keep durations exact (\`Decimal\`) until the one rounding that the statement names. \`round()\` of Python rounds half to even.
5. Normalise paths in the given order: query off, escapes decoded, then the slashes at the end.
6. Fill the gaps between the first and the last hour, then compute nearest-rank percentiles: position \`ceil(share * n)\` counted from 1, with exact numbers.

## Reference Implementation

\`\`\`python
${referenceProgram}
\`\`\`

Run it with the log files, oldest first, and the path of the report:

\`\`\`bash
python3 make_report.py access.log.2 access.log.1 access.log report.json
\`\`\`

## Verification

- The requests of all hours add up to the number of requests; repeated plus requests is the number of well-formed lines.
- The number of hours is the distance between first and last hour plus one, also across a day's end.
- Compute one hour by hand from \`grep\` and compare all of its fields.

## Common Pitfalls

- Cutting the hour out of the text of the time: right only when every line has the offset of UTC.
- Reading the newest file first, or keeping the first line of an id: counts look right and hours are wrong.
- \`int(0.95 * n)\` as a position: off by one for many n, and 0.95 is no exact float.
- Trying another rounding again and again while the reading of the lines is what is wrong: look at which tests fail together.
`;
