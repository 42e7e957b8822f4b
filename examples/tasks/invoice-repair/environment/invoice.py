"""Invoices from orders. Reads JSON on standard input, writes JSON on standard output."""

import json
import sys
from datetime import date, timedelta

RATES = {"DE": 19, "AT": 20, "CH": 8.1}


def read_orders(text):
    orders = json.loads(text)
    seen = {}
    for order in orders:
        seen[order["id"]] = order
    return list(seen.values())


def cents(value):
    return round(float(value), 2)


def percent(text):
    return float(text.strip("%")) / 100 if text else 0


def merge(items, merged=[]):
    """Items of the same sku become one line."""
    for item in items:
        for line in merged:
            if line["sku"] == item["sku"] and line["price"] == item["price"]:
                line["quantity"] += item["quantity"]
                break
        else:
            merged.append(item)
    return merged


def due_date(day, terms):
    if terms == "end of month":
        return day.replace(day=30)
    number, unit = terms.split()
    if unit == "months":
        month = day.month + int(number)
        return day.replace(year=day.year + month // 12, month=month % 12, day=min(day.day, 28))
    return day + timedelta(days=int(number) - 1)


def invoice(order, rates=None):
    if rates:
        RATES.update(rates)
    lines, net, tax = [], 0, 0
    rate = RATES.get(order["country"], 0) / 100
    for item in merge(order["items"]):
        amount = cents(float(item["price"]) * (1 - percent(item.get("discount"))))
        amount = amount * item["quantity"]
        lines.append({"sku": item["sku"], "quantity": item["quantity"], "amount": "%.2f" % amount})
        net += amount
        tax += cents(amount * rate)
    net -= float(order.get("voucher", 0))
    if net < 0:
        net = 0
    day = date(*[int(part) for part in order["date"].split("-")])
    return {
        "id": order["id"],
        "lines": lines,
        "net": "%.2f" % net,
        "tax": "%.2f" % tax,
        "total": "%.2f" % (net + tax),
        "due": str(due_date(day, order["terms"])),
    }


def main():
    print("[")
    for order in read_orders(sys.stdin.read()):
        print(json.dumps(invoice(order)), ",")
    print("]")


main()
