import { type ReducedZodChannel, withLangGraph } from "@langchain/langgraph/zod";
import { z } from "zod";

/** A channel that keeps the last value written and starts as `init()`. A plain `.default()` is applied to the graph's input only. */
export function field<T extends z.ZodType>(schema: T, init: () => z.output<T>): z.ZodDefault<T> {
  return withLangGraph(schema.default(init as never) as never, { default: init as never }) as never;
}

/** A channel whose writes are folded into it by `fold`. */
export function reduced<T extends z.ZodType, U extends z.ZodType>(
  value: T,
  update: U,
  init: () => z.output<T>,
  fold: (before: z.output<T>, written: z.output<U>) => z.output<T>,
): ReducedZodChannel<T, U> {
  return withLangGraph(value as never, { default: init as never, reducer: { schema: update as never, fn: fold as never } }) as never;
}

/** Replaces the record of the same id where it stands, else appends. Safe under retry, resume and subgraphs, where appending doubles. */
export function upsert<R extends { id: string }>(before: readonly R[], written: R | readonly R[]): R[] {
  const byId = new Map(before.map((record) => [record.id, record]));
  for (const record of Array.isArray(written) ? (written as readonly R[]) : [written as R]) byId.set(record.id, record);
  return [...byId.values()];
}

/** A list channel of records with an `id`; a node returns one record or several. */
export const upsertById = <T extends z.ZodType<{ id: string }>>(record: T) => {
  const list = z.array(record);
  return reduced(
    list,
    z.union([record, list]),
    () => [],
    (before, written) => upsert(before as { id: string }[], written as { id: string }) as z.output<typeof list>,
  );
};
