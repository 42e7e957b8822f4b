"""Reads the rotated access log and writes the report."""

import json
import math
import re
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from urllib.parse import unquote

DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s)")


def parse(line):
    """(id, hour, path, status, milliseconds), or None for a malformed line."""
    fields = line.split()
    if len(fields) != 6:
        return None
    time, request, _method, target, status, duration = fields
    try:
        moment = datetime.fromisoformat(time.replace("Z", "+00:00"))
    except ValueError:
        return None
    length = DURATION.fullmatch(duration)
    if moment.tzinfo is None or not re.fullmatch(r"\d{3}", status) or not length:
        return None
    milliseconds = Decimal(length[1]) * (1000 if length[2] == "s" else 1)
    path = unquote(target.split("?", 1)[0]).rstrip("/") or "/"
    hour = moment.astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
    return request, hour, path, int(status), int(milliseconds.quantize(Decimal(1), ROUND_HALF_UP))


def p95(durations):
    return sorted(durations)[math.ceil(len(durations) * 95 / 100) - 1] if durations else None


requests, lines, malformed = {}, 0, 0
for name in ("access.log.2", "access.log.1", "access.log"):
    for line in Path("/app/logs", name).read_text(encoding="utf-8").splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        parsed = parse(line)
        if parsed is None:
            malformed += 1
            continue
        lines += 1
        requests[parsed[0]] = parsed[1:]

by_hour, by_path = defaultdict(list), defaultdict(list)
for hour, path, status, milliseconds in requests.values():
    by_hour[hour].append((status, milliseconds))
    by_path[path].append(milliseconds)

hours, hour = [], min(by_hour)
while hour <= max(by_hour):
    found = by_hour.get(hour, [])
    hours.append({
        "hour": hour.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "requests": len(found),
        "errors": sum(status >= 500 for status, _ in found),
        "p95_ms": p95([milliseconds for _, milliseconds in found]),
    })
    hour += timedelta(hours=1)

slowest = [{"path": path, "requests": len(found), "p95_ms": p95(found)} for path, found in by_path.items() if len(found) >= 5]
slowest.sort(key=lambda entry: (-entry["p95_ms"], entry["path"]))
report = {"requests": len(requests), "repeated": lines - len(requests), "malformed": malformed, "hours": hours, "slowest": slowest[:3]}
Path("/app/report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
