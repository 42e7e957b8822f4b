"""Grades /app/report.json. The expected values are computed here from the log itself, by a second, independent reading."""

import hashlib
import json
import os
import re
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from urllib.parse import unquote_to_bytes

LOGS = "/app/logs"
FILES = ("access.log.2", "access.log.1", "access.log")
DIGEST = "d7dd0abc1f4ecfd384ccffab326fde8ad6b852e734ddd68de4d3b1c184a433af"
LINE = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+([0-9]{3})\s+([0-9]+(?:\.[0-9]+)?)(ms|s)")
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:Z|([+-])(\d\d):(\d\d))")


def log_lines():
    for name in FILES:
        with open(os.path.join(LOGS, name), encoding="utf-8") as file:
            yield from file.read().split("\n")


def read_line(line):
    match = LINE.fullmatch(line.strip())
    time = match and TIME.fullmatch(match[1])
    if not time:
        return None
    try:
        moment = datetime(*(int(part) for part in time.groups()[:6]), tzinfo=timezone.utc)
    except ValueError:
        return None
    if time[7]:
        shift = timedelta(hours=int(time[8]), minutes=int(time[9]))
        moment += -shift if time[7] == "+" else shift
    exact = Fraction(match[6]) * (1000 if match[7] == "s" else 1)
    path = unquote_to_bytes(match[4].partition("?")[0]).decode("utf-8")
    while len(path) > 1 and path.endswith("/"):
        path = path[:-1]
    return match[2], (moment.strftime("%Y-%m-%dT%H:00:00Z"), path, int(match[5]), int(exact + Fraction(1, 2)))


def expected():
    last, well_formed, malformed = {}, 0, 0
    for line in log_lines():
        if line.strip() == "" or line.startswith("#"):
            continue
        read = read_line(line)
        if read is None:
            malformed += 1
        else:
            well_formed += 1
            last[read[0]] = read[1]
    return last, well_formed, malformed


def percentile(values):
    ordered = sorted(values)
    return ordered[-(-95 * len(ordered) // 100) - 1] if ordered else None


def report():
    assert os.path.isfile("/app/report.json"), "/app/report.json does not exist"
    with open("/app/report.json", encoding="utf-8") as file:
        found = json.load(file)
    assert isinstance(found, dict), f"the report must be a JSON object, not {type(found).__name__}"
    return found


def test_the_log_is_untouched():
    """The report is about the log as it was given."""
    report()
    digest = hashlib.sha256()
    for name in FILES:
        with open(os.path.join(LOGS, name), "rb") as file:
            digest.update(file.read())
    assert digest.hexdigest() == DIGEST, "a file in /app/logs was changed"


def test_the_report_has_exactly_the_named_keys():
    assert set(report()) == {"requests", "repeated", "malformed", "hours", "slowest"}, f"keys are {sorted(report())}"


def test_requests_count_once():
    last, _, _ = expected()
    assert report()["requests"] == len(last), f"requests: a request id that stands in several places counts once (found {report()['requests']})"


def test_repeated_lines_are_counted():
    last, well_formed, _ = expected()
    assert report()["repeated"] == well_formed - len(last), f"repeated is wrong (found {report()['repeated']})"


def test_malformed_lines_are_counted():
    assert report()["malformed"] == expected()[2], f"malformed is wrong (found {report()['malformed']})"


def test_hours_are_utc_and_without_gaps():
    last, _, _ = expected()
    names = sorted({hour for hour, *_ in last.values()})
    moment, end, wanted = (*(datetime.strptime(name, "%Y-%m-%dT%H:%M:%SZ") for name in (names[0], names[-1])), [])
    while moment <= end:
        wanted.append(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
        moment += timedelta(hours=1)
    found = [entry["hour"] for entry in report()["hours"]]
    assert found == wanted, f"hours must be the UTC hours from the first to the last request, every one of them; found {found}"


def each_hour():
    last, _, _ = expected()
    for entry in report()["hours"]:
        yield entry, [(status, duration) for hour, _, status, duration in last.values() if hour == entry["hour"]]


def test_requests_and_errors_of_each_hour():
    for entry, found in each_hour():
        assert entry["requests"] == len(found), f"requests of {entry['hour']} are wrong (found {entry['requests']})"
        assert entry["errors"] == sum(status >= 500 for status, _ in found), f"errors of {entry['hour']} are wrong (found {entry['errors']})"


def test_percentile_of_each_hour():
    for entry, found in each_hour():
        wanted = percentile([duration for _, duration in found])
        assert entry["p95_ms"] == wanted and type(entry["p95_ms"]) is type(wanted), f"p95_ms of {entry['hour']} is wrong (found {entry['p95_ms']!r}): nearest rank, whole milliseconds, null without requests"


def test_slowest_paths():
    last, _, _ = expected()
    durations = {}
    for _, path, _, duration in last.values():
        durations.setdefault(path, []).append(duration)
    ranked = sorted(((-percentile(values), path) for path, values in durations.items() if len(values) >= 5))[:3]
    wanted = [{"path": path, "requests": len(durations[path]), "p95_ms": -value} for value, path in ranked]
    assert report()["slowest"] == wanted, f"slowest is wrong (found {report()['slowest']}): paths are normalised before they are grouped"
