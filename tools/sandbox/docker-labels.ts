import type { CreateOptions } from "./sandbox.js";

/** Everything of ours carries this label; nothing without it is ever touched. */
const own = "spark-skills";
const hourMs = 3_600_000;
/** No lease keeps a container longer: a root process inside can forge beats. */
const containerLifeMs = 24 * hourMs;
const snapshotLifeMs = 7 * 24 * hourMs;

/** How containers, snapshot images and built images are recognised. */
export const labels = {
  own,
  run: `${own}.run`,
  name: `${own}.name`,
  kind: `${own}.kind`,
  /** Hard end, ISO 8601. What has passed it may be reaped by any run. */
  expires: `${own}.expires`,
  /** Filter for the engine's lists. */
  filter: (more: Record<string, string> = {}): { label: string[] } => ({
    label: [own, ...Object.entries(more).map(([key, value]) => `${key}=${value}`)],
  }),
  ofContainer: (options: Pick<CreateOptions, "run" | "name">, now: Date): Record<string, string> => ({
    [own]: "1",
    [`${own}.kind`]: "container",
    [`${own}.run`]: options.run,
    [`${own}.name`]: options.name,
    [`${own}.expires`]: new Date(now.getTime() + containerLifeMs).toISOString(),
  }),
  ofSnapshot: (options: { run: string; name: string }, now: Date): Record<string, string> => ({
    [own]: "1",
    [`${own}.kind`]: "snapshot",
    [`${own}.run`]: options.run,
    [`${own}.name`]: options.name,
    [`${own}.expires`]: new Date(now.getTime() + snapshotLifeMs).toISOString(),
  }),
  /** A built image is a cache and has no end. */
  ofImage: (): Record<string, string> => ({ [own]: "1", [`${own}.kind`]: "image" }),
} as const;

/** Whether the hard end in these labels has passed. No label, no end. */
export const hasExpired = (found: Readonly<Record<string, string>> | null | undefined, now: Date): boolean => {
  const end = Date.parse(found?.[labels.expires] ?? "");
  return found?.[own] !== undefined && Number.isFinite(end) && end <= now.getTime();
};
