#!/bin/bash
set -e
cp /solution/invoice.py /app/invoice.py
