"""Invoices from orders. Reads JSON on standard input, writes JSON on standard output."""

import calendar
import json
import re
import sys
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext

RATES = {"DE": "19", "AT": "20", "CH": "8.1"}


class OrderError(ValueError):
    """An order that cannot become an invoice; the message names its id."""


def read_orders(text):
    orders = json.loads(text)
    seen = set()
    for order in orders:
        if order["id"] in seen:
            raise OrderError(f"order {order['id']} stands in the input twice")
        seen.add(order["id"])
    return orders


def cents(value):
    with localcontext() as context:
        context.prec = 60
        rounded = value.quantize(Decimal("0.01"), ROUND_HALF_UP)  # half up in Decimal means away from zero
    return abs(rounded) if rounded == 0 else rounded


def percent(text):
    return Decimal(text.strip().rstrip("%")) / 100 if text else Decimal(0)


def merge(items):
    """One line for each sku, price and discount: [sku, price, discount, quantity], in the order of their first items."""
    lines = {}
    for item in items:
        key = (item["sku"], Decimal(item["price"]), percent(item.get("discount")))
        lines[key] = lines.get(key, 0) + item["quantity"]
    return [(*key, quantity) for key, quantity in lines.items() if quantity != 0]


def due_date(day, terms):
    def month_end(year, month):
        return calendar.monthrange(year, month)[1]

    if terms == "end of month":
        return day.replace(day=month_end(day.year, day.month))
    match = re.fullmatch(r"(\d+) (days|months)", terms)
    if not match:
        raise ValueError(f"unknown terms {terms!r}")
    number = int(match[1])
    if match[2] == "days":
        return day + timedelta(days=number)
    years, month = divmod(day.month - 1 + number, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, month_end(year, month)))


def invoice(order, rates=None):
    known = {**RATES, **{country.upper(): rate for country, rate in (rates or {}).items()}}
    lines, net = [], Decimal(0)
    for sku, price, discount, quantity in merge(order["items"]):
        amount = cents(price * quantity * (1 - discount))
        lines.append({"sku": sku, "quantity": quantity, "amount": str(amount)})
        net += amount
    if net > 0:
        net = max(Decimal(0), net - Decimal(order.get("voucher") or 0))
    net = cents(net)
    tax = cents(net * Decimal(known.get(order["country"].upper(), "0")) / 100)
    try:
        due = due_date(date.fromisoformat(order["date"]), order["terms"])
    except ValueError as error:
        raise OrderError(f"order {order['id']}: {error}") from error
    return {"id": order["id"], "lines": lines, "net": str(net), "tax": str(tax), "total": str(cents(net + tax)), "due": due.isoformat()}


def main():
    try:
        invoices = [invoice(order) for order in read_orders(sys.stdin.read())]
    except OrderError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(json.dumps(invoices, indent=2))


if __name__ == "__main__":
    main()
