import type { ReplayDifference } from "../../formats/replay-report.js";
import type { Recording } from "../../formats/trajectory/read-recording.js";
import type { Replayed } from "./drive.js";

/**
 * The distilled text and whether it was published. Line ends and white space at the end of the file do not count: the release wrote the
 * reply as it came, without the fence around it, ours ends every file with one line end.
 */
export function compareSkill(recording: Recording, { skills, gates }: Replayed): ReplayDifference[] {
  const found: ReplayDifference[] = [];
  const published = gates.at(-1)?.passed === true;
  // What the gate sent back and let pass then is the skill; what it never let pass is judged by the first reply.
  const ours = (published ? skills.at(-1) : skills[0]) ?? null;
  const errors = (gates[0]?.findings ?? []).filter(({ severity }) => severity === "error");
  const refusal =
    ours?.refused != null
      ? `spark.md section 6.3: the reply was refused: ${ours.refused.slice(0, 200)}`
      : errors.length > 0
        ? `spark.md section 6.3: the gate refused it with ${errors.length} error${errors.length === 1 ? "" : "s"}: ${[...new Set(errors.map(({ rule }) => rule))].join(", ")}`
        : null;
  const recorded = recording.skill === null ? null : plain(recording.skill);
  const text = ours?.text == null ? null : plain(ours.text);
  if (recorded !== text) {
    const isRefusedReply = text === null && recorded !== null && ours?.refused != null && plain(ours.reply) === recorded;
    found.push({ where: "skill text", ...firstDifference(recorded, text), because: isRefusedReply ? refusal : null });
  }
  if ((recorded !== null) !== published)
    found.push({ where: "skill published", recorded: recorded !== null, ours: published, because: recorded === null ? null : refusal });
  return found;
}

const plain = (text: string): string => text.replace(/\r\n?/g, "\n").trimEnd();

/** The first line that differs on either side; null on a side that has no text. */
function firstDifference(recorded: string | null, ours: string | null): { recorded: string | null; ours: string | null } {
  const [left, right] = [recorded?.split("\n") ?? null, ours?.split("\n") ?? null];
  const at = (left ?? []).findIndex((line, index) => line !== right?.[index]);
  const line = at === -1 ? (left?.length ?? 0) : at;
  const shown = (lines: string[] | null) => (lines === null ? null : `line ${line + 1}: ${(lines[line] ?? "(ends before)").slice(0, 160)}`);
  return { recorded: shown(left), ours: shown(right) };
}
