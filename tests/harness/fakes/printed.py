"""`bitbench show` as a call, and what it prints."""

import pytest

from harness import cli


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert cli.main(["show", *arguments]) == code
    return capsys.readouterr().out
