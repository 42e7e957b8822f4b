/** Most failed-test lines that a record keeps; a longer list says nothing more about stagnation. */
export const MAX_FAILED_TEST_LINES = 200;

/**
 * The failed-test lines of a test summary, in order, without the cross and the space before them: the set T of spark.md section 3.
 * A line counts when its first character is a cross, after the heading that starts with `FAILED` where the summary has one.
 * A message that stands behind the name on the same line belongs to the line. At most {@link MAX_FAILED_TEST_LINES} come back.
 */
export const failedTestLines = (summary: string): string[] => {
  const lines = summary.split(/\r?\n/);
  const heading = lines.findIndex((line) => line.startsWith("FAILED"));
  const found: string[] = [];
  for (const line of lines.slice(heading + 1)) {
    if (heading !== -1 && line.startsWith("PASSED")) break;
    const failed = /^\s*[✗✘]\s*(\S.*)$/u.exec(line)?.[1];
    if (failed !== undefined) found.push(failed.trimEnd());
  }
  return found.slice(0, MAX_FAILED_TEST_LINES);
};
