"""Matches bank lines with ledger entries and writes the three result files."""

import csv
import json
from datetime import date, datetime
from pathlib import Path

DATA, OUT = Path("/app/data"), Path("/app/out")


def cents(text, thousands, decimal):
    """An amount in cents; a minus behind the number or parentheses around it make it negative."""
    text = text.strip()
    negative = text.endswith("-") or text.startswith("(")
    whole, _, fraction = text.strip("()-").replace(thousands, "").partition(decimal)
    value = int(whole) * 100 + int(fraction.ljust(2, "0") or 0)
    return -value if negative else value


def euros(value):
    return f"{'-' if value < 0 else ''}{abs(value) // 100}.{abs(value) % 100:02d}"


with open(DATA / "bank.csv", encoding="cp1252", newline="") as file:
    bank = [(int(row["Line"]), datetime.strptime(row["Booked"], "%d.%m.%Y").date(), cents(row["Amount"], ".", ","), row["Text"]) for row in csv.DictReader(file, delimiter=";")]
with open(DATA / "ledger.csv", encoding="utf-8-sig", newline="") as file:
    ledger = [(int(row["entry"]), date.fromisoformat(row["date"]), cents(row["amount"], ",", "."), row["memo"]) for row in csv.DictReader(file) if row["account"] == "1200"]

candidates = sorted(
    (abs((entry[1] - line[1]).days), line[0], entry[0])
    for line in bank
    for entry in ledger
    if line[2] == entry[2] and abs((entry[1] - line[1]).days) <= 3
)
pairs, used_lines, used_entries = [], set(), set()
for _, line, entry in candidates:
    if line not in used_lines and entry not in used_entries:
        pairs.append((line, entry))
        used_lines.add(line)
        used_entries.add(entry)

lines, entries = {row[0]: row for row in bank}, {row[0]: row for row in ledger}
OUT.mkdir(parents=True, exist_ok=True)


def write(name, rows):
    with open(OUT / name, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


write("matched.csv", [("line", "entry", "amount", "days")] + [(line, entry, euros(lines[line][2]), (entries[entry][1] - lines[line][1]).days) for line, entry in sorted(pairs)])
left_bank = sorted(row for row in bank if row[0] not in used_lines)
left_ledger = sorted(row for row in ledger if row[0] not in used_entries)
left = [("bank", *row) for row in left_bank] + [("ledger", *row) for row in left_ledger]
write("unmatched.csv", [("side", "number", "date", "amount", "text")] + [(side, number, day.isoformat(), euros(amount), " ".join(text.split())) for side, number, day, amount, text in left])
summary = {
    "matched": len(pairs),
    "matched_cents": sum(lines[line][2] for line, _ in pairs),
    "bank_unmatched": len(left_bank),
    "ledger_unmatched": len(left_ledger),
    "difference_cents": sum(row[2] for row in bank) - sum(row[2] for row in ledger),
}
(OUT / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
