"""A worker without torch: `python -m tests.harness.fakes.rogue KIND LIMIT`. Answers, or does what KIND says."""

import os
import signal
import subprocess
import sys
import time

from harness.model.codec import encode
from harness.model.messages import Answer

ANSWER = encode(Answer(values={"latency": (0.5,)}))


def misbehave(kind: str, number: bytes) -> None:
    match kind:
        case "garbage":
            os.write(1, b"\x00\xff{\n")
        case "forged":
            os.write(1, ANSWER + b"\n")
        case "earlier":
            os.write(1, b"0 " + ANSWER + b"\n")
        case "coerced":
            os.write(1, number + b' {"values":{"latency":["1e3"]}}\n')
        case "nested":
            os.write(1, number + b" " + b"[" * 50_000 + b"\n")
        case "endless":
            while True:
                os.write(1, b"0" * 65536)
        case "floods":
            while True:
                os.write(2, b"flood\n" * 10_000)
        case "talks":
            os.write(2, b"a lot\n" * 100_000)
        case "drips":
            while True:
                os.write(1, b"0")
                time.sleep(0.01)
        case "babbles":
            while True:
                os.write(2, b"0")
                time.sleep(0.01)
        case "hangs-up":
            os.close(1)
            time.sleep(60)
        case "hears-nothing":
            os.closerange(0, 3)
            time.sleep(60)
        case "exhausted":
            os.write(2, b"  what():  std::bad_alloc\n")
            os.abort()
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "strange-signal":
            os.kill(os.getpid(), 40)
        case "leaves-a-child":
            child = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            os.write(2, b"%d\n" % child.pid)
            os._exit(1)


def main() -> None:
    for line in sys.stdin.buffer:
        number, _, _ = line.partition(b" ")
        misbehave(sys.argv[1], number)
        os.write(1, number + b" " + ANSWER + b"\n")


if __name__ == "__main__":
    main()
