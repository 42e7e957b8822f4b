#!/usr/bin/env bash
# Packs the package and uses it from an empty project with the pinned peers: imports, a drawn graph, the command.
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/.." && pwd); DIR=${1:-$(mktemp -d)}
mkdir -p "$DIR"; cd "$DIR"
pin() { node -p "'$1@' + require('$ROOT/package.json').devDependencies['$1']"; }
TARBALL=$(cd "$ROOT" && npm pack --silent --ignore-scripts --pack-destination "$DIR" | tail -1)
echo '{"name":"consumer","type":"module","private":true}' >package.json
timeout 900 npm i --no-audit --no-fund --silent --ignore-scripts "./$TARBALL" "$(pin @langchain/core)" "$(pin @langchain/langgraph)" "$(pin @langchain/langgraph-checkpoint)" "$(pin @langchain/langgraph-sdk)" "$(pin @langchain/openai)" "$(pin langsmith)" "$(pin zod)"
cat >use.mjs <<'JS'
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createSkillGenerationGraph, SparkError } from "spark-skills";
import { createGraph } from "spark-skills/graphs/skill-generation";
import { createPdiCheck } from "spark-skills/nodes/skill-generation/pdi-check";
import { observePdi } from "spark-skills/metrics/pdi";
import { createScriptedModel } from "spark-skills/testing";
for (const made of [createSkillGenerationGraph, createGraph, createPdiCheck, observePdi, createScriptedModel]) assert.equal(typeof made, "function");
assert.ok(SparkError.isInstance(new SparkError("x", { code: "usage" })));
assert.match((await createGraph().getGraphAsync()).drawMermaid(), /reflect-memo/);
await assert.rejects(import("spark-skills/cli/main.js"), { code: "ERR_PACKAGE_PATH_NOT_EXPORTED" });
const schema = JSON.parse(readFileSync(new URL(import.meta.resolve("spark-skills/schemas/generate.schema.json")), "utf8"));
assert.ok(schema.properties.tasks);
console.log("the packed package works");
JS
node use.mjs
npx --no-install spark-skills --version
npx --no-install spark-skills --help >/dev/null
