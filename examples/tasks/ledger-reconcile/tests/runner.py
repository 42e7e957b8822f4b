"""Runs the test functions of test_outputs.py with the standard library alone.

Writes /logs/verifier/ctrf.json (Common Test Report Format) and /logs/verifier/reward.txt (1 when every test passes, else 0).
A test is a function whose name begins with test_; its docstring is shown when it fails without a message of its own.
"""

import contextlib
import importlib
import io
import json
import os
import sys
import time
import traceback

LOGS = os.environ.get("VERIFIER_LOGS", "/logs/verifier")
MODULE = "test_outputs"


def milliseconds():
    return int(time.time() * 1000)


def run_one(name, function):
    started = milliseconds()
    captured = io.StringIO()
    result = {"name": f"{MODULE}.py::{name}", "status": "passed"}
    try:
        with contextlib.redirect_stdout(captured):
            function()
    except BaseException as error:  # also SystemExit: a test that leaves has not passed
        result["status"] = "failed"
        result["message"] = (str(error) or function.__doc__ or type(error).__name__).strip()[:2000]
        result["trace"] = traceback.format_exc()[-6000:]
    result["duration"] = milliseconds() - started
    if captured.getvalue():
        result["stdout"] = captured.getvalue().splitlines()[-50:]
    return result


def main():
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    started = milliseconds()
    try:
        module = importlib.import_module(MODULE)
        tests = [(name, value) for name, value in vars(module).items() if name.startswith("test_") and callable(value)]
        results = [run_one(name, function) for name, function in tests]
    except BaseException as error:
        results = [{"name": f"{MODULE}.py", "status": "failed", "message": f"the tests could not be loaded: {error}", "trace": traceback.format_exc(), "duration": 0}]
    count = {status: sum(result["status"] == status for result in results) for status in ("passed", "failed")}
    for result in results:
        print(f"{result['status'].upper():6} {result['name']}" + (f": {result['message']}" if result["status"] == "failed" else ""))
    print(f"{count['passed']} passed, {count['failed']} failed")
    summary = {"tests": len(results), **count, "pending": 0, "skipped": 0, "other": 0, "start": started, "stop": milliseconds()}
    os.makedirs(LOGS, exist_ok=True)
    with open(os.path.join(LOGS, "ctrf.json"), "w", encoding="utf-8") as file:
        json.dump({"results": {"tool": {"name": "standard-library runner"}, "summary": summary, "tests": results}}, file, indent=2)
    reward = 1 if results and count["failed"] == 0 else 0
    with open(os.path.join(LOGS, "reward.txt"), "w", encoding="utf-8") as file:
        file.write(f"{reward}\n")


main()
