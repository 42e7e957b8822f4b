import { z } from "zod";
import { attemptRecordSchema } from "../../state/attempt.js";
import { upsert } from "../../state/channels.js";
import { pdiRecordSchema } from "../../state/pdi.js";
import { gateReportSchema, skillRecordSchema } from "../../state/skill.js";
import { guidanceRecordSchema, memoRecordSchema } from "../../state/skill-generation.js";
import type { LoggedState } from "./log-lines.js";

const LISTS = ["attempts", "memos", "pdi", "guidance"] as const;
const SINGLES = ["skill", "gateReport"] as const;

const many = <T extends z.ZodType>(schema: T) => z.union([z.array(schema), schema.transform((value) => [value])]);
const updateSchema = z.object({
  attempts: many(attemptRecordSchema).optional().catch(undefined),
  memos: many(memoRecordSchema).optional().catch(undefined),
  pdi: many(pdiRecordSchema).optional().catch(undefined),
  guidance: many(guidanceRecordSchema).optional().catch(undefined),
  skill: skillRecordSchema.nullable().optional().catch(undefined),
  gateReport: gateReportSchema.nullable().optional().catch(undefined),
});

/** Our records in what any node returned, known by their shape; whatever else it holds is left out. */
export function recordsOf(outputs: unknown): LoggedState {
  const parsed = updateSchema.safeParse(outputs);
  return parsed.success ? (parsed.data as LoggedState) : {};
}

/** Names of the records in a state or an update. */
export const keysOf = (state: LoggedState): string[] => [
  ...LISTS.flatMap((kind) => (Array.isArray(state[kind]) ? state[kind].map(({ id }) => `${kind}:${id}`) : [])),
  ...SINGLES.flatMap((kind) => (state[kind] ? [`${kind}:${state[kind].id}`] : [])),
];

/** The records whose names are not in `seen`. */
export function unseen(update: LoggedState, seen: ReadonlySet<string>): LoggedState {
  const left: Record<string, unknown> = {};
  for (const kind of LISTS) {
    const records = update[kind]?.filter(({ id }) => !seen.has(`${kind}:${id}`)) ?? [];
    if (records.length > 0) left[kind] = records;
  }
  for (const kind of SINGLES) if (update[kind] && !seen.has(`${kind}:${update[kind].id}`)) left[kind] = update[kind];
  return left;
}

/** A state after an update, as the channels' reducers make it. */
export function merged(state: LoggedState, update: LoggedState): LoggedState {
  const lists = Object.fromEntries(LISTS.map((kind) => [kind, upsert<{ id: string }>(state[kind] ?? [], update[kind] ?? [])]));
  return { ...state, ...update, ...lists } as LoggedState;
}
