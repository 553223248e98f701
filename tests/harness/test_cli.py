"""The command line itself: exit codes of errors, and nothing slow imported to say what there is."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from harness import cli
from harness.commands import options
from harness.commands.options import as_recorded, parse_axes
from harness.commands.values import NewFile, Place, Threads, Whole, Words
from harness.errors import BitbenchError, UsageError
from harness.model import normalise_value
from harness.model.units import parse_duration, parse_names, parse_share, parse_size, parse_whole
from harness.store import files


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("1h30m", 5400), ("1.5h", 5400), ("2m30s", 150)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "soon", "-5m", "5 minutes", "m", "٥m", "1_0s", "1.2.3s", ".s", "1e3s", "nan", "9000h", "9" * 400]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UsageError, match="write 90s, 5m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "share"), [("2%", 0.02), ("0.02%", 0.0002), (" 5 % ", 0.05), (".5%", 0.005), ("100%", 1.0)]
)
def test_shares(text: str, share: float) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize(
    "text", ["", "0", "0%", "101%", "200", "-1%", "two", "2%%", "2 % or so", "nan", "inf%", "\u0663%", "1_0%", "1e-999"]
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


@pytest.mark.parametrize(
    "text", ["", "0", "-1GiB", "lots", "4i", "GiB", "1e9", "4GiBs", "9999999999TiB", "nan", "٤GiB", "4\u212aB"]
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError, match="write 4GiB, 500MB or none"):
        parse_size(text)


def test_axes_may_be_given_several_times_and_together() -> None:
    given = parse_axes(("m=1,128", "shape=4096x4096", "m=512,1,1.0"))
    assert given == {"m": (1, 128, 512), "shape": ("4096x4096",)}


@pytest.mark.parametrize("text", ["٣", "1_0", "\N{SUPERSCRIPT TWO}", "1" * 101, "nan", "inf"])
def test_only_the_digits_from_0_to_9_make_a_number(text: str) -> None:
    with pytest.raises(UsageError, match="is not a whole number from 0 to 9"):
        parse_whole(text, 0, 9)
    assert normalise_value(text[:100]) == (text if len(text) < 100 else int(text[:100]))


def test_names_are_joined_from_all_places_and_none_is_empty() -> None:
    assert parse_names("--impl", ("a, b", "c", "a")) == ("a", "b", "c")
    for text in ("a,", ",a", "a,,b", ","):
        with pytest.raises(UsageError, match=r"--impl .* has an empty name"):
            parse_names("--impl", ("c", text))


@pytest.mark.parametrize("text", ["m", "m=", "=1", "m=,", "m=1,", "m=1,,2"])
def test_what_is_no_axis(text: str) -> None:
    with pytest.raises(UsageError, match="not of the form"):
        parse_axes((text,))


def commands_of(command: click.Command) -> list[click.Command]:
    if not isinstance(command, click.Group):
        return [command]
    context = click.Context(command)
    named = (command.get_command(context, name) for name in command.list_commands(context))
    return [leaf for one in named if one for leaf in commands_of(one)]


def test_every_option_that_takes_a_value_refuses_an_empty_one_and_a_second_one() -> None:
    lax = (click.types.StringParamType, click.types.IntParamType, click.IntRange, click.Path)
    for command in commands_of(cli.bitbench):
        assert isinstance(command, options.Command), command.name
        for option in command.params:
            if (
                isinstance(option, click.Option) and not option.is_flag and option.opts != ["--reason"]
            ):  # says so itself
                assert type(option.type) not in lax, f"{command.name} {option.opts[0]}: an empty value passes"


@pytest.mark.parametrize(("text", "threads"), [("all", 0), ("0", 0), (" 2 ", 2)])
def test_threads_are_a_number_or_all(text: str, threads: int) -> None:
    assert Threads(1, 9).convert(text, None, None) == threads


@pytest.mark.parametrize("kind", [Words(), Place(), Whole(1, 9), NewFile(), Threads(1, 9)])
@pytest.mark.parametrize("text", ["", " ", "\t\n"])
def test_an_empty_value_is_no_value(kind: click.ParamType[object], text: str) -> None:
    with pytest.raises(click.BadParameter):
        kind.convert(text, None, None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "quick", "-k", "eager", "-k", "int8"), "-k is given 2 times; give it once"),
        (("run", "quick", "--seed=1", "--seed", "2"), "--seed is given 2 times; give it once"),
        (("run", "quick", "--threads", "٢"), "'٢' is not a whole number from 1"),
        (("run", "quick", "--seed", "-1"), "'-1' is not a whole number from 0"),
        (("run", "quick", "--rounds", "99999999999999999999"), "is not a whole number from 1 to 10000"),
        (("run", "quick", "-k", "a\udcff"), "'a\\udcff' is no text in UTF-8"),
        (("run", "quick", "--out", ""), "it is empty; name a place, `.` for the current folder"),
        (("run", "quick", "--impl", "eager,"), "--impl 'eager,' has an empty name"),
        (("run", "quick", "--threads", "99999"), "99999 is not a number of threads on"),
        (("run", "quick", "--threads", "1", "--axis", "threads=1"), "--threads 1 and --axis threads=...: give one of"),
        (("run", "overhead", "--device", "cpu"), "--device cpu: overhead knows no device; leave it out"),
        (("gate", "x", "y", "--impl", "native"), "--impl: for what is measured now; give --base REV, or leave it out"),
        (("selftest", "gate", "--aa", "1", "--times", "2"), "--times: says how to inject; give --inject 5% too"),
        (("report", "x", "-o", "."), "cannot write .: it is a directory; name a file in it"),
        (("plot", "x", "y", "-o", "/no/such/z.svg"), "cannot write /no/such/z.svg: /no/such does not exist"),
        (("report", "x", "-o", "x.html", "--figures", __file__), "it is no directory; name one"),
        (("show", ""), "it is empty; name a place"),
        (("explain", "x", "y", ""), "it is empty; name a place"),
    ],
)
def test_what_would_be_dropped_or_misread_is_refused(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_what_is_no_ordinary_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE)
    files.replace(pipe, b"content")
    assert read.communicate(timeout=30)[0] == b"content"
    assert pipe.is_fifo()
    with pytest.raises(IsADirectoryError):
        files.replace(tmp_path, b"content")


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
