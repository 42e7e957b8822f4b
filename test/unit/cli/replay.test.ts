import { it } from "vitest";
import { runReplay } from "../../../cli/replay.js";

it("x", async () => {
  for (const r of ["3d-scan-calc", "citation-check", "jax-computing-basics", "lean4-proof", "r2r-mpc-control", "threejs-to-obj"]) {
    const t = Date.now();
    const { text } = await runReplay({ path: `../shared/recorded/runs/${r}` });
    console.log(text, Date.now() - t);
  }
}, 300000);
