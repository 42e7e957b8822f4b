"""Grades /app/invoice.py as a program and as a module, always in a process of its own. Amounts are worked out by hand, in the comments where they are not obvious."""

import json
import os
import subprocess
import sys

PROGRAM = "/app/invoice.py"


def run(arguments, text):
    assert os.path.isfile(PROGRAM), f"{PROGRAM} does not exist"
    return subprocess.run([sys.executable, *arguments], input=text, capture_output=True, text=True, timeout=60, cwd="/tmp")


def invoices(*orders):
    result = run([PROGRAM], json.dumps(orders))
    assert result.returncode == 0, f"the program ended with {result.returncode}: {result.stderr[-600:]}"
    try:
        return json.loads(result.stdout)
    except ValueError as error:
        raise AssertionError(f"the output is no JSON ({error}): {result.stdout[:300]!r}") from None


def module(code):
    """Runs code with the module imported; it prints one JSON value."""
    result = run(["-c", f"import sys, json; sys.path.insert(0, '/app'); import invoice as m\n{code}"], "")
    assert result.returncode == 0, f"using the module failed: {result.stderr[-600:]}"
    assert result.stdout.count("\n") == 1, f"importing the module prints something: {result.stdout[:300]!r}"
    return json.loads(result.stdout)


def order(number, *items, **more):
    keys = ("sku", "quantity", "price", "discount")
    return {"id": number, "date": "2024-03-10", "country": "XX", "terms": "0 days", "items": [dict(zip(keys, item)) for item in items], **more}


def amounts(found):
    return [line["amount"] for line in found["lines"]]


def test_the_example_of_the_instruction():
    found = invoices(order("A-17", ("S1", 3, "19.99", "10%"), date="2024-01-31", country="DE", terms="30 days", voucher="5.00"))
    assert found == [{"id": "A-17", "lines": [{"sku": "S1", "quantity": 3, "amount": "53.97"}], "net": "48.97", "tax": "9.30", "total": "58.27", "due": "2024-03-01"}], f"found {found}"


def test_output_is_one_array_in_the_order_of_the_input():
    found = invoices(order("b", ("x", 1, "1")), order("a", ("x", 1, "2")), order("c", ("x", 1, "3")))
    assert [(entry["id"], entry["total"]) for entry in found] == [("b", "1.00"), ("a", "2.00"), ("c", "3.00")], f"found {found}"
    assert invoices() == [], "an empty array gives an empty array"


def test_orders_do_not_leak_into_each_other():
    one, two = invoices(order("1", ("x", 1, "5")), order("2", ("x", 1, "5"), ("y", 1, "1")))
    assert amounts(one) == ["5.00"] and amounts(two) == ["5.00", "1.00"], f"found {one} and {two}"


def test_rounding_is_half_away_from_zero_and_exact():
    (found,) = invoices(order("1", ("a", 1, "0.125"), ("b", -1, "0.125"), ("c", 1, "1.005"), ("d", 1, "2.675"), ("e", 1, "0.135"), ("f", 1, "90071992547409.915")))
    assert amounts(found) == ["0.13", "-0.13", "1.01", "2.68", "0.14", "90071992547409.92"], f"amounts are {amounts(found)}"
    # 0.13 - 0.13 + 1.01 + 2.68 + 0.14 + 90071992547409.92
    assert found["net"] == "90071992547413.75", f"net is {found['net']}"


def test_the_line_is_rounded_after_quantity_and_discount():
    (found,) = invoices(order("1", ("a", 3, "0.333", "12.5%"), ("b", 1000, "0.001"), ("c", 7, "9.99", "33.3%")))
    # 0.999 * 0.875 = 0.874125 and 69.93 * 0.667 = 46.64331
    assert amounts(found) == ["0.87", "1.00", "46.64"], f"amounts are {amounts(found)}"


def test_equal_items_become_one_line_at_the_first_place():
    (found,) = invoices(order("1", ("a", 1, "0.125"), ("b", 1, "1"), ("a", 1, "0.1250"), ("a", 1, "0.125", "10%"), ("a", 2, "0.125", "10.0%"), ("a", 1, "0.13")))
    # 2 * 0.125 is 0.25; 3 * 0.125 * 0.9 is 0.3375
    assert [(line["sku"], line["quantity"], line["amount"]) for line in found["lines"]] == [("a", 2, "0.25"), ("b", 1, "1.00"), ("a", 3, "0.34"), ("a", 1, "0.13")], f"lines are {found['lines']}"


def test_a_line_that_comes_to_nothing_is_left_out():
    (found,) = invoices(order("1", ("a", 2, "3"), ("b", 1, "1"), ("a", -2, "3.00")))
    assert [line["sku"] for line in found["lines"]] == ["b"], f"lines are {found['lines']}"


def test_the_voucher_never_makes_a_sum_negative_and_leaves_a_negative_sum_alone():
    found = invoices(order("1", ("a", 1, "3"), voucher="5.00"), order("2", ("a", -2, "4.10"), voucher="10.00"), order("3", ("a", 1, "3"), voucher="1.5"), order("4"))
    assert [entry["net"] for entry in found] == ["0.00", "-8.20", "1.50", "0.00"], f"net amounts are {[entry['net'] for entry in found]}"


def test_tax_is_computed_once_on_the_sum_after_the_voucher():
    (found,) = invoices(order("1", *[(f"s{index}", 1, "0.02") for index in range(10)], country="DE", voucher="0.07"))
    # 0.13 * 0.19 = 0.0247
    assert (found["net"], found["tax"], found["total"]) == ("0.13", "0.02", "0.15"), f"found {found}"
    (found,) = invoices(order("1", ("a", -1, "0.25"), country="ch"), )
    # -0.25 * 0.081 = -0.02025
    assert (found["tax"], found["total"]) == ("-0.02", "-0.27"), f"found {found}"
    (found,) = invoices(order("1", ("a", -1, "0.02"), country="DE"))
    assert found["tax"] == "0.00", f"-0.0038 rounds to 0.00, found {found['tax']}"


def test_rates_of_countries():
    found = invoices(*(order(country, ("a", 1, "100"), country=country) for country in ("DE", "at", "Ch", "FR")))
    assert [entry["tax"] for entry in found] == ["19.00", "20.00", "8.10", "0.00"], f"taxes are {[entry['tax'] for entry in found]}"


def test_due_dates():
    cases = [
        ("2024-01-31", "30 days", "2024-03-01"), ("2024-02-28", "1 days", "2024-02-29"), ("2024-02-10", "end of month", "2024-02-29"), ("2023-12-05", "end of month", "2023-12-31"),
        ("2024-01-31", "1 months", "2024-02-29"), ("2023-01-31", "1 months", "2023-02-28"), ("2024-10-31", "2 months", "2024-12-31"), ("2024-11-30", "1 months", "2024-12-30"),
        ("2024-08-31", "18 months", "2026-02-28"), ("2024-05-15", "0 days", "2024-05-15"), ("2024-03-31", "1 months", "2024-04-30"), ("2024-12-31", "12 months", "2025-12-31"),
    ]
    found = invoices(*(order(str(index), date=day, terms=terms) for index, (day, terms, _) in enumerate(cases)))
    for (day, terms, due), entry in zip(cases, found):
        assert entry["due"] == due, f"{day} with {terms!r} is due {due}, found {entry['due']}"


def test_errors_name_the_order_and_print_nothing_else():
    for orders, number in (([order("twin-1"), order("other"), order("twin-1")], "twin-1"), ([order("fine"), order("odd-9", terms="soon")], "odd-9"), ([order("odd-8", terms="3 weeks")], "odd-8")):
        result = run([PROGRAM], json.dumps(orders))
        assert result.returncode == 2, f"the exit code must be 2, it is {result.returncode}"
        assert result.stdout == "", f"nothing may be printed, found {result.stdout[:200]!r}"
        lines = result.stderr.strip().split("\n")
        assert len(lines) == 1 and lines[0].startswith("error: ") and number in lines[0], f"standard error must be one line `error: …` with {number}, found {result.stderr[-300:]!r}"


def test_the_module_can_be_imported_and_its_calls_are_independent():
    data = order("1", ("a", 1, "10"), ("a", 1, "10"), country="FR")
    found = module(
        f"import copy; o = {data!r}; before = copy.deepcopy(o)\n"
        "r = [m.invoice(o)['tax'], m.invoice(o, {'FR': '5.5', 'DE': '1'})['tax'], m.invoice(o, rates=None)['tax'], m.invoice({**o, 'country': 'DE'})['tax'], m.invoice(o)['lines'], o == before]\n"
        "print(json.dumps(r))"
    )
    assert found == ["0.00", "1.10", "0.00", "3.80", [{"sku": "a", "quantity": 2, "amount": "20.00"}], True], f"found {found}"
    assert module("print(json.dumps(len(m.read_orders('[{\"id\": \"1\"}, {\"id\": \"2\"}]'))))") == 2
