"""`python -m suites.device_check`: what `make device-check` runs."""

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from harness.cli import ended
from harness.commands import options
from harness.commands.values import Place, Words
from harness.errors import InvalidEnvironmentError, StoreError
from harness.model import Environment
from harness.model.units import parse_duration
from harness.show.table import pretty_json
from harness.store.places import RUNS
from suites.device_check.carry_out import PROGRAMS, DeviceCheck, Ended
from suites.device_check.plan import Extent, plan
from suites.device_check.summary import FILE, SummaryPage


class Machine(msgspec.Struct, frozen=True):
    """As much of what `bitbench env` prints as is read."""

    environment: Environment


@click.command("device-check", cls=options.Command)
@click.option("--out", type=Place(), default=None, metavar="DIR", help="The folder for runs, report and summary.")
@click.option("--budget", type=Words(), default="8m", show_default=True, metavar="TIME", help="For all of it.")
@click.option("--device", type=Words(), default="cuda", show_default=True, metavar="NAME", help="cuda, cpu or mps.")
def command(out: Path | None, budget: str, device: str) -> int:
    """Show all that only a GPU can show, and write a summary of one page after every step.

    Exit codes: 0 all is shown and every goal is held, 1 something is wrong or a goal is missed, 3 something was not
    shown, 4 there is no such device, 5 nothing was measured.
    """
    place = out or RUNS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-device"
    code = check(place, parse_duration(budget), device)
    click.echo((place / FILE).read_text())
    click.echo(place)
    return code


def check(
    out: Path,
    budget: float,
    device: str,
    programs: Mapping[str, tuple[str, ...]] = PROGRAMS,
    extent: Extent | None = None,
) -> int:
    """Carry out the check within `budget` seconds and leave everything in the folder `out`; the exit code.

    `programs` are those that its steps run, `extent` says how much is asked. Raises InvalidEnvironmentError where there
    is no such device, StoreError for a folder that holds a check.
    """
    end = time.monotonic() + budget
    if (out / FILE).exists():
        raise StoreError(f"{out} holds an earlier check: choose another --out")
    here, stages = _machine(programs["bitbench"], device), plan(device, extent)
    out.mkdir(parents=True, exist_ok=True)
    (out / "machine.json").write_text(pretty_json(here) + "\n")
    codes = [SummaryPage(out, here, stages, ()).write()]

    def told(so_far: Sequence[Ended]) -> None:
        codes.append(SummaryPage(out, here, stages, so_far).write())
        last = so_far[-1]
        click.echo(f"{last.step}: {last.outcome} after {last.seconds:.0f} s  {last.reason}".rstrip(), err=True)

    DeviceCheck(out, stages, end - time.monotonic(), told, programs).carry_out()
    return codes[-1]


def _machine(bitbench: Sequence[str], device: str) -> Environment:
    """What machine this is. Raises InvalidEnvironmentError where it cannot be told, or has no such device."""
    done = subprocess.run([*bitbench, "env", "--format", "json"], capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"`bitbench env` ended with {done.returncode}"]
        raise InvalidEnvironmentError(said[-1].removeprefix("bitbench: "))
    found = msgspec.json.decode(done.stdout, type=Machine).environment
    if device == "cuda" and found.driver == "none":
        raise InvalidEnvironmentError(
            f"torch {found.torch} finds no CUDA device here, and only a GPU can show what is to be shown; install a"
            " CUDA build of torch on a machine with a GPU"
        )
    return found


def _interrupt(*_: object) -> NoReturn:
    """Whoever ends the check by SIGTERM wants its steps to end, too."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(ended(command, "device-check", sys.argv[1:]))
