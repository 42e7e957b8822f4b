"""Grades /app/flight.json, and /app/decode.py on recordings that are made here."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from functools import lru_cache

from recordings import MARKER, Recording, cut, flight, flip, long_length, random_recording

DATA = "/app/data/flight.tlm"
PROGRAM = "/app/decode.py"


def compare(found, wanted):
    assert isinstance(found, dict), "the output must be a JSON object"
    assert set(found) == set(wanted), f"keys are {sorted(found)}, not {sorted(wanted)}"
    for key in ("start_ms", "sensors", "frames"):
        assert found[key] == wanted[key], f"{key} is {found[key]!r}, not {wanted[key]!r}"
    for key in ("samples", "events"):
        for index, (one, other) in enumerate(zip(found[key], wanted[key])):
            assert one == other, f"{key}[{index}] is {one!r}, not {other!r}"
        assert len(found[key]) == len(wanted[key]), f"{len(found[key])} {key}, not {len(wanted[key])}"


def decoded(data):
    assert os.path.isfile(PROGRAM), f"{PROGRAM} does not exist"
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in.tlm"), os.path.join(folder, "out.json")
        with open(source, "wb") as file:
            file.write(data)
        run = subprocess.run([sys.executable, PROGRAM, source, target], capture_output=True, text=True, timeout=60, cwd=folder)
        assert run.returncode == 0, f"decode.py ended with {run.returncode}: {run.stderr[-600:]}"
        assert run.stdout == "", "decode.py printed something"
        with open(target, encoding="utf-8") as file:
            return json.load(file)


@lru_cache
def flight_output():
    assert os.path.isfile("/app/flight.json"), "/app/flight.json does not exist"
    with open("/app/flight.json", encoding="utf-8") as file:
        return json.load(file)


def test_the_recording_is_untouched():
    flight_output()
    with open(DATA, "rb") as file:
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(flight()[0]).digest(), f"{DATA} was changed"


def test_the_flight_is_decoded():
    compare(flight_output(), flight()[1])


def small(**options):
    recording = Recording(1_000_000, [(3, -1, "level"), (4, 0, "count")], **options)
    recording.sample(10, [(3, 100), (4, 7)], key=True)
    return recording


def check(recording):
    data, wanted = recording.finish()
    compare(decoded(data), wanted)


def test_the_clock_wraps_and_frames_of_every_type_carry_it_on():
    recording = small()
    for _ in range(5):
        recording.unknown(60_000, 9, b"xyz")
        recording.event(50_000, 1, "tick")
    recording.sample(65_535, [(3, 1)])
    check(recording)


def test_a_good_frame_inside_the_claimed_length_of_a_damaged_one_is_found():
    recording = small()
    recording.event(1, 0, "gone", long_length)
    for _ in range(30):
        recording.event(5, 2, "here")
    recording.sample(1, [(3, 5), (4, -5)], key=True)
    recording.event(1, 0, "the end is missing", cut)
    check(recording)


def test_deltas_after_a_gap_are_skipped_until_a_key_sample():
    recording = small(sequence=250)
    for _ in range(10):
        recording.sample(3, [(4, 1)])
    recording.sample(3, [(4, 1000)], fate="lost")
    recording.event(3, 0, "not a sample")
    recording.sample(3, [(4, 1), (3, 1)])
    recording.event(3, 1, "damaged", flip)
    recording.sample(3, [(3, 12), (4, 13)], key=True)
    recording.sample(3, [(3, -400), (3, 1)])
    check(recording)


def test_markers_in_noise_and_payloads():
    recording = small()
    recording.noise(b"\xa5" + b"noise")
    recording.event(1, 0, "a valid frame may hold the marker's bytes")
    recording.unknown(1, 77, b"\x01" + MARKER + b"\x05\x00abc")
    recording.noise(b"\xa5")
    recording.event(1, 0, "after half a marker")
    recording.sample(1, [(3, 2**40), (4, -(2**45))])
    check(recording)


def test_values_are_exact_decimals():
    recording = Recording(0, [(0, -20, "tiny"), (255, 3, "huge"), (128, -2, "cents")])
    recording.sample(0, [(0, 1), (255, -9), (128, 0)], key=True)
    recording.sample(1, [(128, -5), (0, 10**21), (255, 10**15), (128, -1195)])
    check(recording)


def test_no_sample_before_the_first_key_sample():
    recording = Recording(5, [(1, 0, "é")])
    recording.sample(0, [(1, 5)])
    recording.event(65_535, 0, "")
    check(recording)


def test_random_recordings():
    for seed in (1, 2):
        check(random_recording(seed, 150, [(5, -3, "a"), (6, 1, "b")], 1_600_000_000_000, largest=60))
