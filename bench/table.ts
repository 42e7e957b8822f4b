/** Prints rows as a Markdown table, so that a figure can be pasted into docs/performance.md as it was seen. */
export function printTable(title: string, rows: readonly Record<string, string | number>[]): void {
  const columns = Object.keys(rows[0] ?? {});
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |`;
  process.stdout.write(
    [
      `\n${title}`,
      "",
      line(columns),
      line(columns.map(() => "---")),
      ...rows.map((row) => line(columns.map((column) => row[column] ?? ""))),
    ].join("\n"),
  );
  process.stdout.write("\n");
}

export const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/** Milliseconds of one piece of work. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
