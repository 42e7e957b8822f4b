"""Grades the three files in /app/out. The expected matching is computed here from the input, by a second, independent reading."""

import csv
import hashlib
import io
import json
import os
import re
from datetime import date
from decimal import Decimal

DATA = "/app/data"
OUT = "/app/out"
DIGESTS = {"bank.csv": "be7b254a562fae218d287343ad8f3304fe02161c3e58b490be603c446b51addb", "ledger.csv": "340739c4ff055cd296a2760ed3554c29d71e09b38bc123c0100b4345c6da32c8"}


def raw(folder, name):
    path = os.path.join(folder, name)
    assert os.path.isfile(path), f"{path} does not exist"
    with open(path, "rb") as file:
        return file.read()


def money(text, german):
    text = text.strip()
    sign = -1 if text[-1] == "-" or text[0] == "(" else 1
    digits = re.sub(r"[()-]", "", text)
    digits = digits.replace(".", "").replace(",", ".") if german else digits.replace(",", "")
    return sign * int(Decimal(digits) * 100)


def bank_lines():
    rows = csv.reader(io.StringIO(raw(DATA, "bank.csv").decode("cp1252"), newline=""), delimiter=";")
    next(rows)
    found = {}
    for number, booked, text, amount in rows:
        day, month, year = booked.split(".")
        found[int(number)] = (date(int(year), int(month), int(day)), money(amount, True), text)
    return found


def ledger_entries():
    rows = csv.reader(io.StringIO(raw(DATA, "ledger.csv").decode("utf-8-sig"), newline=""))
    next(rows)
    return {int(number): (date(*map(int, day.split("-"))), money(amount, False), memo) for number, day, account, memo, amount in rows if account == "1200"}


def expected_pairs():
    bank, ledger = bank_lines(), ledger_entries()
    pairs = {}
    for distance in range(4):
        for line in sorted(set(bank) - set(pairs)):
            for entry in sorted(set(ledger) - set(pairs.values())):
                if bank[line][1] == ledger[entry][1] and abs((ledger[entry][0] - bank[line][0]).days) == distance:
                    pairs[line] = entry
                    break
    return pairs


def shown(value):
    return f"{Decimal(value) / 100:.2f}"


def rows(name, header):
    data = raw(OUT, name)
    assert not data.startswith(b"\xef\xbb\xbf"), f"{name} begins with a byte order mark"
    assert b"\r" not in data, f"{name} has carriage returns: lines end with \\n"
    found = list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))
    assert found and found[0] == header, f"the header of {name} must be {','.join(header)}, found {found[:1]}"
    return found[1:]


def matched():
    return rows("matched.csv", ["line", "entry", "amount", "days"])


def unmatched():
    return rows("unmatched.csv", ["side", "number", "date", "amount", "text"])


def test_the_input_is_untouched():
    matched()
    for name, digest in DIGESTS.items():
        assert hashlib.sha256(raw(DATA, name)).hexdigest() == digest, f"/app/data/{name} was changed"


def test_the_right_pairs_are_matched():
    wanted = {(str(line), str(entry)) for line, entry in expected_pairs().items()}
    found = {(row[0], row[1]) for row in matched()}
    missing, extra = sorted(wanted - found), sorted(found - wanted)
    assert not missing and not extra, f"{len(missing)} pairs are missing and {len(extra)} are wrong, for example {(missing + extra)[0]}: closest dates first, each side once, numbers compared as numbers"


def test_matched_rows_are_in_order_and_formatted():
    bank, ledger = bank_lines(), ledger_entries()
    wanted = [[str(line), str(entry), shown(bank[line][1]), str((ledger[entry][0] - bank[line][0]).days)] for line, entry in sorted(expected_pairs().items())]
    for found, row in zip(matched(), wanted):
        assert found == row, f"matched.csv has {found} where line {row[0]} is due: order by bank line number, two decimals, days = ledger date - bank date"
    assert len(matched()) == len(wanted), f"matched.csv has {len(matched())} rows, not {len(wanted)}"


def test_unmatched_bank_lines():
    used = expected_pairs()
    wanted = [["bank", str(number), day.isoformat(), shown(amount), " ".join(text.split())] for number, (day, amount, text) in sorted(bank_lines().items()) if number not in used]
    found = [row for row in unmatched() if row[0] == "bank"]
    assert [row[1] for row in found] == [row[1] for row in wanted], "the left over bank lines are not the right ones or not in the order of their numbers"
    assert found == wanted, "a left over bank line has a wrong date, amount or text (the file is Windows-1252)"


def test_unmatched_ledger_entries():
    used = set(expected_pairs().values())
    wanted = [["ledger", str(number), day.isoformat(), shown(amount), " ".join(memo.split())] for number, (day, amount, memo) in sorted(ledger_entries().items()) if number not in used]
    found = [row for row in unmatched() if row[0] != "bank"]
    assert [row[1] for row in found] == [row[1] for row in wanted], "the left over ledger entries are not the right ones (account 1200 only) or not in the order of their numbers"
    assert found == wanted, "a left over ledger entry has a wrong date, amount or text (white space becomes one space)"


def test_bank_comes_before_ledger():
    sides = [row[0] for row in unmatched()]
    assert sides == sorted(sides), "all bank lines stand before all ledger entries"


def test_summary():
    bank, ledger, pairs = bank_lines(), ledger_entries(), expected_pairs()
    wanted = {
        "matched": len(pairs),
        "matched_cents": sum(bank[line][1] for line in pairs),
        "bank_unmatched": len(bank) - len(pairs),
        "ledger_unmatched": len(ledger) - len(pairs),
        "difference_cents": sum(row[1] for row in bank.values()) - sum(row[1] for row in ledger.values()),
    }
    found = json.loads(raw(OUT, "summary.json").decode("utf-8"))
    assert set(found) == set(wanted), f"keys are {sorted(found)}"
    for key, value in wanted.items():
        assert found[key] == value and type(found[key]) is int, f"{key} is wrong (found {found[key]!r})"
