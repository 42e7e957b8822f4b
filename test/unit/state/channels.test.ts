import { START, StateGraph } from "@langchain/langgraph";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { field, reduced, upsert, upsertById } from "../../../state/channels.js";

const record = fc.record({ id: fc.constantFrom(..."abcdef"), value: fc.integer() });
const records = fc.array(record, { maxLength: 8 });
const ids = (list: readonly { id: string }[]): string[] => list.map(({ id }) => id);

describe("upsert", () => {
  it("changes nothing when the same write is applied again, as a retry or a resume does", () => {
    fc.assert(
      fc.property(records, records, (before, written) => {
        const once = upsert(before, written);
        expect(upsert(once, written)).toEqual(once);
      }),
    );
  });

  it("keeps every record's place and appends new ones in the order they came", () => {
    fc.assert(
      fc.property(fc.uniqueArray(record, { selector: ({ id }) => id }), records, (before, written) => {
        const after = ids(upsert(before, written));
        const fresh = [...new Set(ids(written))].filter((id) => !ids(before).includes(id));
        expect(after).toEqual([...ids(before), ...fresh]);
      }),
    );
  });

  it("takes the last record of an identity and leaves the others as they are", () => {
    fc.assert(
      fc.property(records, records, (before, written) => {
        for (const found of upsert(before, written)) expect(found).toBe([...before, ...written].findLast(({ id }) => id === found.id));
      }),
    );
  });

  it("gives the same whether writes come one by one, together, or again in part", () => {
    fc.assert(
      fc.property(records, records, records, fc.nat(8), (before, first, second, repeated) => {
        const together = upsert(before, [...first, ...second]);
        expect(upsert(upsert(before, first), second)).toEqual(together);
        expect(second.reduce((state, one) => upsert(state, one), upsert(before, first))).toEqual(together);
        // A crash in the middle of the second write: its first part is applied, then all of it.
        expect(upsert(upsert(upsert(before, first), second.slice(0, repeated)), second)).toEqual(together);
        expect(upsert(upsert(before, upsert(first, second)), [])).toEqual(upsert(before, upsert(first, second)));
      }),
    );
  });

  it("does not touch its inputs", () => {
    fc.assert(
      fc.property(records, records, (before, written) => {
        const copies = structuredClone([before, written]);
        upsert(Object.freeze(before), Object.freeze(written));
        expect([before, written]).toEqual(copies);
      }),
    );
  });
});

describe("the channels in a graph", () => {
  const state = z.object({
    name: field(z.string(), () => "nobody"),
    list: upsertById(z.object({ id: z.string(), n: z.number() })),
    sum: reduced(
      z.number(),
      z.number(),
      () => 0,
      (before, written) => before + written,
    ),
  });

  it("start with their defaults also where the input names none of them", async () => {
    const input = z.object({ sum: z.number().optional() });
    const seen: unknown[] = [];
    const graph = new StateGraph({ state, input })
      .addNode("look", (now) => {
        seen.push(structuredClone(now));
        return {};
      })
      .addEdge(START, "look")
      .compile();
    await graph.invoke({});
    expect(seen).toEqual([{ name: "nobody", list: [], sum: 0 }]);
  });

  it("take one record or several, replace by identity, and keep the last plain value", async () => {
    const graph = new StateGraph(state)
      .addNode("one", () => ({ list: { id: "a", n: 1 }, name: "x", sum: 1 }))
      .addNode("more", () => ({
        list: [
          { id: "b", n: 2 },
          { id: "a", n: 3 },
        ],
        name: "y",
        sum: 2,
      }))
      .addEdge(START, "one")
      .addEdge("one", "more")
      .compile();
    expect(await graph.invoke({})).toEqual({
      name: "y",
      list: [
        { id: "a", n: 3 },
        { id: "b", n: 2 },
      ],
      sum: 3,
    });
  });

  it("keep their reducers when they are spread into somebody's own state", async () => {
    const foreign = z.object({ ...state.shape, mood: z.string().default("fine") });
    const graph = new StateGraph(foreign)
      .addNode("one", () => ({ list: { id: "a", n: 1 } }))
      .addNode("two", () => ({ list: { id: "b", n: 2 } }))
      .addEdge(START, "one")
      .addEdge("one", "two")
      .compile();
    expect((await graph.invoke({ mood: "good" })).list).toEqual([
      { id: "a", n: 1 },
      { id: "b", n: 2 },
    ]);
  });
});
