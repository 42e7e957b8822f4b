#!/bin/bash
set -e
cp /solution/decode.py /app/decode.py
python3 /app/decode.py /app/data/flight.tlm /app/flight.json
