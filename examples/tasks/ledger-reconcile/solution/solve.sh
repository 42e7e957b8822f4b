#!/bin/bash
set -e
python3 /solution/reconcile.py
