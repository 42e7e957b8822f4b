"""Makes recordings together with what they decode to. The truth comes from the making, not from a second decoder."""

import random
import zlib
from decimal import Decimal, localcontext

MARKER = b"\xa5\x5a"
LEVELS = ("info", "warning", "error")


def zigzag(value):
    number = value * 2 if value >= 0 else -value * 2 - 1
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def plain(value, exponent):
    with localcontext() as context:
        context.prec = 60
        return format(Decimal(value) * (Decimal(10) ** exponent if exponent >= 0 else 1) if exponent >= 0 else Decimal(value).scaleb(exponent), "f")


def head(start, sensors):
    data = b"TLM1" + bytes([1, len(sensors)]) + b"\0\0" + start.to_bytes(8, "little")
    for number, exponent, name in sensors:
        text = name.encode("utf-8")
        data += bytes([number, exponent & 255, len(text)]) + text
    return data


class Recording:
    """Frames go in as they happened; `lose`, `damage` and `noise` say what became of them on the medium."""

    def __init__(self, start, sensors, sequence=0):
        self.start, self.sensors, self.sequence = start, sensors, sequence
        self.pieces = []
        self.clock = 0
        self.values = {number: 0 for number, _, _ in sensors}
        self.names = {number: (name, exponent) for number, exponent, name in sensors}
        self.known = False
        self.gap = False
        self.expected = {"start_ms": start, "sensors": [{"id": number, "name": name} for number, _, name in sensors], "samples": [], "events": []}
        self.count = {"valid": 0, "corrupt": 0, "unknown": 0, "skipped": 0}

    def frame(self, kind, wait, content, fate="kept", results=()):
        self.clock += wait
        payload = bytes([kind, self.sequence]) + (self.clock % 65536).to_bytes(2, "little") + content
        self.sequence = (self.sequence + 1) % 256
        body = len(payload).to_bytes(2, "little") + payload
        whole = MARKER + body + zlib.crc32(body).to_bytes(4, "little")
        if fate == "lost":
            self.gap = True
        elif fate == "kept":
            self.pieces.append(whole)
            self.count["valid"] += 1
            if self.gap:
                self.known, self.gap = False, False
            return True
        else:
            self.pieces.append(fate(whole))
            self.count["corrupt"] += 1
            self.gap = True
        return False

    def sample(self, wait, changes, key=False, fate="kept"):
        content = b""
        for number, change in changes:
            self.values[number] = change if key else self.values[number] + change
            content += bytes([number]) + zigzag(change)
        if not self.frame(2 if key else 1, wait, content, fate):
            return
        if key:
            self.known = True
        if not self.known:
            self.count["skipped"] += 1
            return
        running = dict(self.values)
        rows = []
        for number, change in reversed(changes):
            rows.append({"t_ms": self.start + self.clock, "sensor": self.names[number][0], "value": plain(running[number], self.names[number][1])})
            running[number] -= change
        self.expected["samples"] += reversed(rows)

    def event(self, wait, level, text, fate="kept"):
        if self.frame(3, wait, bytes([level]) + text.encode("utf-8"), fate):
            self.expected["events"].append({"t_ms": self.start + self.clock, "level": LEVELS[level], "text": text})

    def unknown(self, wait, kind, content):
        if self.frame(kind, wait, content):
            self.count["unknown"] += 1

    def noise(self, data):
        self.pieces.append(data)

    def finish(self):
        return head(self.start, self.sensors) + b"".join(self.pieces), {**self.expected, "frames": self.count}


def flip(whole):
    """One wrong bit in the payload."""
    return whole[:9] + bytes([whole[9] ^ 16]) + whole[10:]


def long_length(whole):
    """A length that reaches over the frames that follow."""
    return whole[:2] + b"\x40\x01" + whole[4:]


def cut(whole):
    """The end is missing; the next frame follows at once."""
    return whole[:-5]


def random_recording(seed, frames, sensors, start, largest=4000):
    random_ = random.Random(seed)
    recording = Recording(start, sensors, sequence=random_.randrange(256))
    numbers = [number for number, _, _ in sensors]

    def step():
        # No byte A5 may arise by chance in a damaged frame, or it would hide a second marker; small steps keep that away.
        return random_.randint(-largest, largest)

    recording.sample(random_.randint(1, 60000), [(numbers[0], 5)])
    for index in range(frames):
        wait = random_.choice((1, 20, 250, 1000, 9000, 40000, 64000))
        fate = random_.choices(("kept", "lost", flip, long_length, cut), (86, 5, 4, 3, 2))[0]
        if fate not in ("kept", "lost"):
            recording.event(0, 0, "damaged frame", fate)
            wait = min(wait, 1000)
            fate = "kept"
        elif fate == "lost":
            wait = min(wait, 500)
        kind = random_.random()
        if index % 12 == 0:
            recording.sample(wait, [(number, random_.randint(-(10**5), 10**5)) for number in numbers], key=True)
        elif kind < 0.75:
            chosen = [random_.choice(numbers) for _ in range(random_.randint(1, 4))]
            recording.sample(wait, [(number, step()) for number in chosen], fate=fate)
        elif kind < 0.9:
            recording.event(wait, random_.randrange(3), random_.choice(("valve öffnet", "ok", "°C over limit", "")), fate)
        else:
            recording.unknown(wait, random_.choice((0, 4, 200)), bytes(random_.randrange(128) for _ in range(random_.randrange(9))))
        if random_.random() < 0.05:
            recording.noise(bytes(random_.randrange(128) for _ in range(random_.randrange(1, 30))))
    return recording


FLIGHT = dict(seed=11, frames=420, start=1_742_860_800_123, sensors=[(1, -2, "temperature °C"), (7, 0, "rpm"), (9, -3, "pressure bar"), (20, 2, "altitude")])


def flight():
    return random_recording(**FLIGHT).finish()
