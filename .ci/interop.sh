#!/usr/bin/env bash
# interop.sh [runs directory]: real Harbor against this package; needs an engine and `npm run build`. Skips aloud, with exit 0, where Harbor cannot be had.
# A few tasks only: INTEROP_ARGS="--only cpus,workdir" bash .ci/interop.sh
set -uo pipefail
cd "$(dirname "$0")/.."
up=../shared/tools/harbor-up.sh
if [ ! -f "$up" ]; then echo "SKIPPED: interop with real Harbor: $up is missing"; exit 0; fi
log=$(mktemp); lines=$(bash "$up" 2>"$log"); status=$?
cat "$log" >&2
if [ $status -eq 77 ]; then echo "SKIPPED: interop with real Harbor: $(tail -1 "$log")"; rm -f "$log"; exit 0; fi
rm -f "$log"
if [ $status -ne 0 ]; then echo "harbor-up.sh ended with $status" >&2; exit 1; fi
dist=${INTEROP_DIST:-$PWD/dist}
if [ ! -f "$dist/cli/main.js" ]; then echo "$dist/cli/main.js is missing: build the package first" >&2; exit 1; fi
harbor=$(sed -n 's/^HARBOR=//p' <<<"$lines"); skills=$(sed -n 's/^SKILLS_REF=//p' <<<"$lines")
# shellcheck disable=SC2086
exec node .ci/interop.mjs --harbor "$harbor" --skills-ref "$skills" --dist "$dist" ${1:+--runs "$1"} ${INTEROP_ARGS:-}
