"""A worker that makes its answers up and starts at once: `python -m tests.harness.fakes.swift_worker SUITES LIMIT`."""

import sys
import time

from harness.model.codec import decode, encode
from harness.model.messages import (
    Answer,
    Describe,
    Description,
    MeasureCeilings,
    ObserveMachine,
    Prepare,
    Question,
    Time,
)
from tests.harness.fakes.steadfast import NAMES


def answer(question: Question) -> Answer | Description:
    match question:
        case Describe():
            return Description({}, dict.fromkeys(NAMES, ""), {}, {"cpu": ""})
        case MeasureCeilings():
            return Answer(values={"memory_bandwidth": (1e12,), "float32": (1e15,)})
        case ObserveMachine():
            return Answer(noise={"canary": 1.0})
        case Prepare(case, _) if case.implementation == "elsewhere":
            return Answer("skipped", "it is elsewhere")
        case Prepare():
            return Answer(values={"prepare": (0.1,), "weight_bytes": (10.0,), "agreement_sqnr": (140.0,)})
        case Time(_, iterations, samples):
            time.sleep(0.001)
            return Answer(values={"latency": (0.001 / iterations,) * samples})
    return Answer()


def main() -> None:
    for line in sys.stdin.buffer:
        number, _, question = line.partition(b" ")
        reply = encode(answer(decode(question, Question)))  # type: ignore[arg-type]  # a union is no type to mypy
        sys.stdout.buffer.write(number + b" " + reply + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
