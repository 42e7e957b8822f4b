"""Turns a telemetry recording into JSON: decode.py INPUT OUTPUT."""

import json
import sys
import zlib

LEVELS = ("info", "warning", "error")


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return (value >> 1) ^ -(value & 1), at


def decimal(value, exponent):
    if exponent >= 0:
        return str(value * 10**exponent)
    digits = str(abs(value)).rjust(1 - exponent, "0")
    return f"{'-' if value < 0 else ''}{digits[:exponent]}.{digits[exponent:]}"


def frames(data, at):
    """Payloads of valid frames, and None for each corrupt one."""
    while (marker := data.find(b"\xa5\x5a", at)) >= 0:
        length = int.from_bytes(data[marker + 2 : marker + 4], "little")
        end = marker + 4 + length
        body, checksum = data[marker + 2 : end], data[end : end + 4]
        if len(checksum) == 4 and length >= 4 and zlib.crc32(body) == int.from_bytes(checksum, "little"):
            yield body[2:]
            at = end + 4
        else:
            yield None
            at = marker + 1


def decode(data):
    start = int.from_bytes(data[8:16], "little")
    sensors, at = {}, 16
    for _ in range(data[5]):
        number, exponent, length = data[at], int.from_bytes(data[at + 1 : at + 2], "little", signed=True), data[at + 2]
        sensors[number] = (data[at + 3 : at + 3 + length].decode("utf-8"), exponent)
        at += 3 + length
    count = {"valid": 0, "corrupt": 0, "unknown": 0, "skipped": 0}
    samples, events, values = [], [], None
    clock, sequence = 0, None
    for payload in frames(data, at):
        if payload is None:
            count["corrupt"] += 1
            continue
        count["valid"] += 1
        kind = payload[0]
        clock += (int.from_bytes(payload[2:4], "little") - clock) % 65536
        if sequence is not None and payload[1] != (sequence + 1) % 256:
            values = None
        sequence = payload[1]
        if kind == 3:
            events.append({"t_ms": start + clock, "level": LEVELS[payload[4]], "text": payload[5:].decode("utf-8")})
        elif kind not in (1, 2):
            count["unknown"] += 1
        elif kind == 1 and values is None:
            count["skipped"] += 1
        else:
            values = {} if kind == 2 else values
            position = 4
            while position < len(payload):
                sensor = payload[position]
                number, position = varint(payload, position + 1)
                values[sensor] = number + (values[sensor] if kind == 1 else 0)
                name, exponent = sensors[sensor]
                samples.append({"t_ms": start + clock, "sensor": name, "value": decimal(values[sensor], exponent)})
    return {"start_ms": start, "sensors": [{"id": number, "name": name} for number, (name, _) in sensors.items()], "samples": samples, "events": events, "frames": count}


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        result = decode(file.read())
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(result, file, ensure_ascii=False, indent=1)
