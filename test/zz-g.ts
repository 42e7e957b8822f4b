import { createGraph } from "../graphs/skill-generation.js";
const g = createGraph();
for (const xray of [undefined, true]) {
const d = await g.getGraphAsync({ xray } as never);
console.log("drawn");
const j = d.toJSON();
console.log(JSON.stringify(j).length, JSON.stringify(j).slice(0,3000));
}
