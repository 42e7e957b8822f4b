/**
 * Two nodes of spark-skills in a graph of your own, whose state knows nothing of ours: a lens maps your channels to the slice that a node
 * reads, and its update back to yours. `withRunLog` gives each node the log that our own graph would write. Any BaseChatModel will do;
 * this one plays a script, and the sandbox is the embedded one, so neither a key nor Docker is needed.
 *
 * Run: npm run build && npx tsx examples/01-foreign-graph.ts [runs folder]
 */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Annotation, END, type LangGraphRunnableConfig, MemorySaver, START, StateGraph } from "@langchain/langgraph";
import {
  type AttemptRecord,
  createCapabilities,
  createExplore,
  createShellAgentGraph,
  createVerify,
  type Rollout,
  withRunLog,
} from "spark-skills";
import { createScriptedModel } from "spark-skills/testing";

const assignment = join(import.meta.dirname, "tasks/log-report");
const runsDir = process.argv[2] ?? "runs";

/** Somebody else's state: a clerk gets an assignment, does it, and hands in a note about it. */
const ClerkState = Annotation.Root({
  assignment: Annotation<string>,
  work: Annotation<Rollout | null>({ reducer: (_before, now) => now, default: () => null }),
  marks: Annotation<AttemptRecord[]>({ reducer: (before, more) => [...before, ...more], default: () => [] }),
  note: Annotation<string>,
});
type Clerk = typeof ClerkState.State;

/** A node seen through a lens: `into` makes its slice from your state, `back` your update from its own. */
const lens =
  <S, Slice, Update, Yours>(
    node: (slice: Slice, config: LangGraphRunnableConfig) => Promise<Update>,
    into: (state: S) => Slice,
    back: (update: Update) => Yours,
  ) =>
  async (state: S, config: LangGraphRunnableConfig): Promise<Yours> =>
    back(await node(into(state), config));

const program = await readFile(join(assignment, "solution/report.py"), "utf8");
const model = createScriptedModel([
  { text: "First a look at the logs.", commands: ["ls -l logs && head -n 3 logs/access.log"] },
  { text: "Now the report.", commands: [`cat > /tmp/report.py <<'PROGRAM'\n${program}\nPROGRAM`, "python3 /tmp/report.py"] },
  "I wrote /app/report.json.",
]);
const capabilities = createCapabilities({ runsDir, model: async () => ({ model, id: "script", costUsd: () => 0 }) });
const shellAgent = createShellAgentGraph().compile();
const explore = withRunLog(createExplore(capabilities, shellAgent), { runsDir });
const verify = withRunLog(createVerify(capabilities), { runsDir });

const graph = new StateGraph(ClerkState)
  .addNode(
    "do-it",
    lens(
      explore,
      (state: Clerk) => ({ task: state.assignment, attempts: state.marks }),
      ({ rollout }) => ({ work: rollout ?? null }),
    ),
    { subgraphs: [shellAgent] },
  )
  .addNode(
    "have-it-marked",
    lens(
      verify,
      (state: Clerk) => ({ task: state.assignment, rollout: state.work }),
      ({ attempts }) => ({ marks: attempts === undefined ? [] : [attempts] }),
    ),
  )
  .addNode("write-note", ({ marks }) => {
    const [mark] = marks;
    return {
      note: `${mark?.status}: reward ${mark?.reward}, ${mark?.passed} of ${mark?.total} tests, ${mark?.rollout.commandCount} commands`,
    };
  })
  .addEdge(START, "do-it")
  .addEdge("do-it", "have-it-marked")
  .addEdge("have-it-marked", "write-note")
  .addEdge("write-note", END)
  .compile({ checkpointer: new MemorySaver(), name: "clerk" });

// A thread `RUN--TASK` names the folder of the records; our settings travel as context.
const { note } = await graph.invoke(
  { assignment },
  { configurable: { thread_id: "clerk--log-report" }, context: { sandbox: "virtual", preflight: false }, durability: "sync" },
);
console.log(note);
console.log(`the log is in ${join(runsDir, "clerk/log-report/trajectory.jsonl")}`);
