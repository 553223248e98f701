"""The command line itself: exit codes of errors, and nothing slow imported to say what there is."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from harness import cli
from harness.commands.options import as_recorded
from harness.errors import BitbenchError, UsageError
from harness.spelling import parse_axes, parse_duration, parse_share, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("1.5h", 5400), ("2m30s", 150)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "soon", "-5m", "5 minutes", "m"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="write 90s, 5m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "share"), [("2%", 0.02), ("0.02%", 0.0002), (" 5 % ", 0.05), (".5%", 0.005), ("100%", 1.0)]
)
def test_shares(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize(
    "text", ["", "0", "0%", "101%", "200", "-1%", "two", "2%%", "2 % or so", "nan", "inf%", "\u0663%"]
)
def test_what_is_no_share(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no share above 0% and at most 100%: write it in per cent, as 2%"):
        parse_share(text)


@pytest.mark.parametrize(
    ("text", "cure"),
    [("3", "write 3%"), ("0.03", "write 3%, or 0.03% if that is meant"), ("1", "write 100%, or 1% if")],
)
def test_a_share_without_its_unit_could_be_two(text: str, cure: str) -> None:
    with pytest.raises(UsageError, match=f"has no unit: {cure}"):
        parse_share(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("4GiB", 2**32), ("4 gib", 2**32), ("500MB", 5e8), ("2g", 2e9), ("1.5k", 1500), ("1TiB", 2**40)),
        *(("4096", 4096), ("12B", 12), ("none", 0)),
    ],
)
def test_sizes(text: str, size: float) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1GiB", "lots", "4i", "GiB", "1e9", "4GiBs", "9999999999TiB", "nan"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="write 4GiB, 500MB or none"):
        parse_size(text)


def test_axes_may_be_given_several_times_and_together() -> None:
    given = parse_axes(("m=1,128", "shape=4096x4096", "m=512"))
    assert given == {"m": (1, 128, 512), "shape": ("4096x4096",)}


@pytest.mark.parametrize("text", ["m", "m=", "=1", "m=,"])
def test_what_is_no_axis(text: str) -> None:
    with pytest.raises(UsageError, match="not of the form"):
        parse_axes((text,))


def test_where_files_lie_is_not_recorded() -> None:
    given = ["gate", "--out", "/home/somebody/x", "--out=/tmp/y", "--rules", "/home/somebody/gate.toml", "-k", "eager"]
    assert as_recorded(given) == ("bitbench", "gate", "-k", "eager")


def test_every_command_exists_and_explains_itself() -> None:
    for name in cli.COMMANDS:
        result = CliRunner().invoke(cli.bitbench, [name, "--help"])
        assert result.exit_code == 0
        assert "Usage:" in result.output


class UnforeseenError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BitbenchError("one line"), 2),
        (click.UsageError("one line"), 2),
        (KeyboardInterrupt(), cli.INTERRUPTED),
        (UnforeseenError("one line"), cli.INTERNAL_ERROR),
    ],
)
def test_an_error_is_one_line_and_a_bug_is_no_verdict(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli.bitbench, "main", fails)
    assert cli.main(["show"]) == code
    said = capsys.readouterr().err
    assert len(said.splitlines()) == (0 if code == cli.INTERRUPTED else 1)


def test_a_reader_that_leaves_early_is_no_error() -> None:
    line = f"{sys.executable} -m harness.cli --help | head -c 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, check=False)
    assert done.stderr == ""
