"""`python stand_in.py PROGRAM WORD...`: in the place of the programs that a device check runs. Needs none of ours.

STAND_IN says what becomes of the steps that it names, as in `latency=hangs memory=crashes`; the others end well at
once. What goes on and on names a process in CHILD.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MACHINE = {"environment": {"cpu_model": "Example CPU", "gpu": "Example GPU", "driver": "made up", "torch": "2.13.0"}}


def step_of(words: list[str]) -> str:
    """The last folder in its words: only some steps have an --out."""
    places = [Path(words[index + 1]).name for index, word in enumerate(words) if word == "--out"]
    return places[-1] if places else words[0]


def main() -> int:
    program, *words = sys.argv[1:]
    if words[0] == "env":
        print(json.dumps(MACHINE))
        return 0
    step = "kernels" if program == "pytest" else step_of(words)
    print(f"{step} was given {' '.join(words)}", file=sys.stderr, flush=True)
    deeds = dict(deed.split("=") for deed in os.environ.get("STAND_IN", "").split())
    match deeds.get(step):
        case "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hangs":
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            with subprocess.Popen(("sleep", "60"), start_new_session=True) as child:
                Path(os.environ["CHILD"]).write_text(str(child.pid))
                time.sleep(60)
        case "waits":
            Path(os.environ["CHILD"]).write_text(str(os.getpid()))
            time.sleep(60)
        case "nothing":
            print("bitbench: nothing was measured: there is none", file=sys.stderr)
            return 5
        case "refuses":
            print("bitbench: unknown suite", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
