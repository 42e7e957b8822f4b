/** The commands of the scripted teacher, an attempt a list. They really run, and what they write is really judged. */

const file = (path: string, text: string): string => `cat > ${path} <<'PROGRAM'\n${text}\nPROGRAM`;

const look = "ls -l /app/logs && head -n 4 /app/logs/access.log";

/** Takes every line for a request, hours as they are written, durations as floats, paths as they come. */
const firstProgram = `import json

rows, malformed = [], 0
for name in ("access.log", "access.log.1", "access.log.2"):
    for line in open("/app/logs/" + name, encoding="utf-8"):
        parts = line.split()
        if not parts or line.startswith("#"):
            continue
        try:
            stamp, ident, method, target, status, took = parts
            ms = float(took[:-2]) if took.endswith("ms") else float(took[:-1]) * 1000
            rows.append((stamp[:13], ident, target, int(status), round(ms)))
        except ValueError:
            malformed += 1

seen, repeated = {}, 0
for row in rows:
    if row[1] in seen:
        repeated += 1
    else:
        seen[row[1]] = row
hours, paths = {}, {}
for stamp, ident, target, status, ms in seen.values():
    hours.setdefault(stamp, []).append((status, ms))
    paths.setdefault(target.split("?")[0], []).append(ms)

def p95(values):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * 0.95))]

report = {
    "requests": len(seen), "repeated": repeated, "malformed": malformed,
    "hours": [{"hour": hour + ":00:00Z", "requests": len(found), "errors": sum(s >= 500 for s, _ in found), "p95_ms": p95([ms for _, ms in found])} for hour, found in sorted(hours.items())],
    "slowest": sorted(({"path": path, "requests": len(found), "p95_ms": p95(found)} for path, found in paths.items()), key=lambda each: -each["p95_ms"])[:3],
}
json.dump(report, open("/app/report.json", "w"), indent=2)
print(len(seen), "requests,", repeated, "repeated,", malformed, "malformed,", len(hours), "hours")`;

/** The same program with other details: nothing that the failing tests name has changed. */
const secondProgram = firstProgram.replace(
  "min(len(values) - 1, int(len(values) * 0.95))",
  "min(len(values) - 1, round(len(values) * 0.95))",
);

/** Follows the rules one by one. */
const thirdProgram = String.raw`import json
import math
import re
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from urllib.parse import unquote

OLDEST_FIRST = ["access.log.2", "access.log.1", "access.log"]


def read_duration(text):
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s)", text)
    if match is None:
        raise ValueError(text)
    exact = Decimal(match[1]) * {"ms": 1, "s": 1000}[match[2]]
    return int(exact.to_integral_value(rounding=ROUND_HALF_UP))


def read_request(line):
    stamp, ident, _verb, target, status, took = line.split()
    moment = datetime.fromisoformat(stamp)
    if moment.tzinfo is None or re.fullmatch("[0-9]{3}", status) is None:
        raise ValueError(line)
    utc = moment.astimezone(timezone.utc)
    path = unquote(target.partition("?")[0])
    while path.endswith("/") and path != "/":
        path = path[:-1]
    return ident, {"hour": datetime(utc.year, utc.month, utc.day, utc.hour), "path": path, "error": int(status) >= 500, "ms": read_duration(took)}


def nearest_rank(values, share):
    if not values:
        return None
    return sorted(values)[math.ceil(Decimal(share) * len(values)) - 1]


final, read, malformed = {}, 0, 0
for name in OLDEST_FIRST:
    with open(f"/app/logs/{name}", encoding="utf-8", newline="\n") as log:
        for line in log:
            if line.strip() == "" or line.startswith("#"):
                continue
            try:
                ident, request = read_request(line)
            except ValueError:
                malformed += 1
                continue
            read += 1
            final[ident] = request

hours = []
moment, end = min(each["hour"] for each in final.values()), max(each["hour"] for each in final.values())
while moment <= end:
    here = [each for each in final.values() if each["hour"] == moment]
    hours.append({"hour": f"{moment:%Y-%m-%dT%H}:00:00Z", "requests": len(here), "errors": sum(each["error"] for each in here), "p95_ms": nearest_rank([each["ms"] for each in here], "0.95")})
    moment += timedelta(hours=1)

paths = {}
for each in final.values():
    paths.setdefault(each["path"], []).append(each["ms"])
ranking = [{"path": path, "requests": len(found), "p95_ms": nearest_rank(found, "0.95")} for path, found in paths.items() if len(found) >= 5]
ranking.sort(key=lambda entry: (-entry["p95_ms"], entry["path"]))

with open("/app/report.json", "w", encoding="utf-8") as out:
    json.dump({"requests": len(final), "repeated": read - len(final), "malformed": malformed, "hours": hours, "slowest": ranking[:3]}, out, indent=2, ensure_ascii=False)
print(len(final), "requests,", read - len(final), "repeated,", malformed, "malformed,", len(hours), "hours")`;

/** What the teacher does in an attempt: one reply a list element, each with its commands; then it says that it is done. */
export interface DemoAttempt {
  replies: readonly { text: string; commands: readonly string[] }[];
  done: string;
}

export const demoAttempts: readonly DemoAttempt[] = [
  {
    replies: [
      { text: "I look at the log first.", commands: [look] },
      {
        text: "Six fields a line. I group the lines by hour and by path.",
        commands: [file("/app/make_report.py", firstProgram), "python3 /app/make_report.py"],
      },
    ],
    done: "The report is written to /app/report.json.",
  },
  {
    replies: [
      {
        text: "I go on with the plan: the same program with another percentile.",
        commands: [file("/app/make_report.py", secondProgram), "python3 /app/make_report.py"],
      },
    ],
    done: "The report is written again, with the percentile changed.",
  },
  {
    replies: [
      {
        text: "I drop what I assumed about the lines and test it: offsets, repeated ids and odd lines.",
        commands: [look, "grep -c . /app/logs/access.log; cut -c 20-25 /app/logs/access.log | sort | uniq -c | sort -rn | head -n 5"],
      },
      {
        text: "Offsets differ and ids come back. I write it anew, rule by rule.",
        commands: [file("/app/make_report.py", thirdProgram), "python3 /app/make_report.py"],
      },
      { text: "An independent look at the result.", commands: ["head -c 600 /app/report.json"] },
    ],
    done: "Every rule of the statement has its own place in the program: the last line of an id wins, hours are UTC without gaps, percentiles are nearest-rank, paths are normalised.",
  },
];

/** The verified program made general, for the skill. */
export const referenceProgram = thirdProgram
  .replace(
    'OLDEST_FIRST = ["access.log.2", "access.log.1", "access.log"]',
    "LOGS, REPORT = sys.argv[1:-1], sys.argv[-1]  # logs oldest first, then the report",
  )
  .replace("import re\n", "import re\nimport sys\n")
  .replace('for name in OLDEST_FIRST:\n    with open(f"/app/logs/{name}"', "for name in LOGS:\n    with open(name")
  .replace('with open("/app/report.json", "w"', 'with open(REPORT, "w"');
