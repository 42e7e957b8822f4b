#!/bin/bash
# Always leaves a reward: 0 until the runner has counted.
mkdir -p /logs/verifier
echo 0 > /logs/verifier/reward.txt
python3 -B /tests/runner.py
exit 0
