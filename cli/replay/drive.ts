import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newTaskToml } from "../../formats/harbor/write-task.js";
import { safeName, TaskDirectory, threadIdOf } from "../../formats/run-directory.js";
import type { RecordedAttempt, Recording } from "../../formats/trajectory/read-recording.js";
import { createSkillGenerationGraph } from "../../graphs/skill-generation.js";
import type { AttemptRecord } from "../../state/attempt.js";
import type { PdiRecord } from "../../state/pdi.js";
import type { GateReport } from "../../state/skill.js";
import {
  type GuidanceRecord,
  type MemoRecord,
  type SkillGenerationContext,
  type SkillGenerationUpdate,
  skillGenerationSettingsSchema,
} from "../../state/skill-generation.js";
import type { Capabilities } from "../../tools/capabilities.js";
import { createReplay } from "../../tools/replay.js";

/** One distillation of the replayed graph. */
export interface ReplayedSkill {
  /** Null when no reply was usable. */
  text: string | null;
  /** The first reply, whether it was used or not. */
  reply: string;
  /** Why the first reply was refused; null when it was used. */
  refused: string | null;
}

/** What the graph made of a recording, every record that it wrote in order. */
export interface Replayed {
  /** The recorded attempts that it asked for; `attempts` has one record for each, and one more when it wanted another. */
  played: readonly RecordedAttempt[];
  attempts: AttemptRecord[];
  memos: MemoRecord[];
  pdi: PdiRecord[];
  guidance: GuidanceRecord[];
  skills: ReplayedSkill[];
  gates: GateReport[];
}

/** Enough supersteps for any recording. */
const RECURSION_LIMIT = 10_000;

/** Runs the real skill-generation graph on a recording, in a temporary folder that is gone afterwards. */
export async function driveGraph(recording: Recording): Promise<Replayed> {
  const root = await mkdtemp(join(tmpdir(), "spark-replay-"));
  try {
    const address = { run: "replay", task: safeName(recording.task) };
    const task = await makeTask(join(root, "tasks", address.task), recording.instruction);
    const runsDir = join(root, "runs");
    const { provider, teacher, summary, played } = createReplay(recording);
    const capabilities: Capabilities = {
      runsDir,
      sandbox: async () => provider,
      model: async (role) => (role === "teacher" ? teacher : summary),
      hostEnvironment: () => ({}),
      ownKeyNames: [],
      redact: (text) => text,
    };
    const graph = createSkillGenerationGraph(capabilities).compile({ name: "replay" });
    const updates = await graph.stream({ task }, {
      configurable: { thread_id: threadIdOf(address) },
      context: settingsFor(recording),
      recursionLimit: RECURSION_LIMIT,
      streamMode: "updates",
    } as never);
    const store = new TaskDirectory(runsDir, address);
    const replayed: Replayed = { played, attempts: [], memos: [], pdi: [], guidance: [], skills: [], gates: [] };
    for await (const chunk of updates as AsyncIterable<Record<string, Partial<SkillGenerationUpdate> | null>>)
      for (const update of Object.values(chunk)) await collect(update ?? {}, replayed, store);
    return replayed;
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** The recording lacks the task directory; the graph needs one that can be read. */
async function makeTask(dir: string, instruction: string): Promise<string> {
  for (const folder of ["environment", "tests"]) await mkdir(join(dir, folder), { recursive: true });
  await writeFile(join(dir, "instruction.md"), `${instruction}\n`);
  await writeFile(join(dir, "task.toml"), newTaskToml({}));
  await writeFile(join(dir, "environment", "Dockerfile"), "FROM recorded\n");
  await writeFile(join(dir, "tests", "test.sh"), "# The recorded verifier's files stand in for what this would write.\n");
  return dir;
}

/** Longer texts than the budgets of today must reach PDI uncut, as they were recorded. */
function settingsFor({ attempts, maxAttempts, model, pdi, pdiMethod, summaryModel }: Recording): SkillGenerationContext {
  const { commandsCharacters } = skillGenerationSettingsSchema.parse({});
  return {
    model,
    summaryModel,
    maxAttempts,
    pdi,
    pdiMethod,
    preflight: false,
    verifier: "fresh",
    commandsCharacters: Math.max(commandsCharacters, ...attempts.map(({ commands }) => commands.length)),
  };
}

async function collect(update: Partial<SkillGenerationUpdate>, replayed: Replayed, store: TaskDirectory): Promise<void> {
  if (update.attempts) replayed.attempts.push(update.attempts);
  if (update.memos) replayed.memos.push(update.memos);
  if (update.pdi) replayed.pdi.push(update.pdi);
  if (update.guidance) replayed.guidance.push(update.guidance);
  if (update.gateReport) replayed.gates.push(update.gateReport);
  if (!update.skill) return;
  const { text, calls } = update.skill;
  const [first] = calls;
  replayed.skills.push({
    text: text === null ? null : await store.text(text),
    reply: first === undefined ? "" : await store.text(first.response),
    refused: first?.refused ?? null,
  });
}
