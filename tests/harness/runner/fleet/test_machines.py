"""Which machines are meant, which are fit, and that what runs on them is one program."""

from collections.abc import Mapping

import msgspec
import pytest

from harness.errors import InvalidEnvironmentError, UsageError
from harness.model import Revision
from harness.runner.fleet import quiet
from harness.runner.fleet.cluster import opened
from harness.runner.fleet.machines import Machine, is_meant, parse_tags, require_apart, require_known, unfit
from harness.runner.fleet.on_machine import Survey
from harness.runner.fleet.same_code import Code, digest_of_sources, versions
from tests.harness.data.factories import make_environment

AT = make_environment(cpu_model="AMD EPYC 9555", gpu="NVIDIA H200", machine="aaaa", labels={"rack": "3"})
OURS = Code(Revision("a" * 40), "digest", {"torch": "2.13.0"})
FIT = Survey(environment=AT, code=OURS)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("cpu=epyc", True),
        ("cpu=EPYC,gpu=h200", True),
        ("gpu=h100", False),
        ("isa=avx512_vnni", True),
        ("cores=2", True),
        ("cores=20", False),
        ("rack=3", True),
        ("rack=30", False),
        ("rack=", None),
        ("epyc", None),
        ("cpu=a,cpu=b", None),
    ],
)
def test_machines_are_named_by_what_they_are(text: str, meant: bool | None) -> None:
    if meant is None:
        with pytest.raises(UsageError, match="--on"):
            parse_tags((text,))
    else:
        assert is_meant(AT, parse_tags((text,))) == meant


def test_a_tag_that_no_machine_has_is_no_wish() -> None:
    require_known({"rack": "7"}, [AT])
    with pytest.raises(UsageError, match=r"--on rakc: no machine has such a label; .*rack"):
        require_known({"rakc": "3"}, [AT])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"refusal": "torch cannot be imported"}, "torch cannot be imported"),
        (
            {"code": Code(Revision("b" * 40), "other", OURS.packages)},
            "bitbench is at aaaaaaa here and at bbbbbbb there",
        ),
        ({"code": Code(OURS.revision, "other", OURS.packages)}, "files of bitbench differ"),
        ({"code": Code(OURS.revision, "digest", {"torch": "2.12.0"})}, "torch is 2.13.0 here and 2.12.0 there"),
        ({"code": Code(OURS.revision, "digest", {})}, "torch is 2.13.0 here and missing there"),
        ({"has_nanny": True}, "has a nanny"),
        ({"threads": 2}, "more than one run at once"),
        ({"machines": 0.0}, "more than one run at once"),
        ({"loud": ("distributed.admin.tick.interval",)}, "is not quiet (distributed.admin.tick.interval)"),
        ({"environment": make_environment()}, "it has no identity"),
    ],
)
def test_what_is_not_fit_is_said_with_its_cure(changes: Mapping[str, object], words: str) -> None:
    said = unfit(msgspec.structs.replace(FIT, **changes), OURS)
    assert words in said
    assert bool(said) == bool(words)


def test_two_workers_of_one_machine_would_disturb_each_other() -> None:
    with pytest.raises(InvalidEnvironmentError, match=r"two workers are of machine aaaa .*BITBENCH_MACHINE"):
        require_apart([Machine("tcp://a:1", AT), Machine("tcp://a:2", AT)])


def test_a_run_inherits_nothing_from_dask_and_keeps_what_is_the_users() -> None:
    kept = {"PATH": "/bin", "OMP_NUM_THREADS": "8", "LD_PRELOAD": "libjemalloc.so"}
    of_dask = {"MALLOC_TRIM_THRESHOLD_": "65536", "MKL_NUM_THREADS": "1", "DASK_INTERNAL_INHERIT_CONFIG": "x"}
    assert quiet.clean_environment({**kept, **of_dask}) == kept


def test_settings_reach_the_processes_of_dask() -> None:
    dask = pytest.importorskip("dask")
    pytest.importorskip("distributed")
    told = quiet.as_variables(quiet.QUIET, quiet.STRICT)
    read = dask.config.collect_env(told)
    with dask.config.set(read):
        assert quiet.loud_settings() == []
        assert dask.config.get("distributed.scheduler.allowed-failures") == 0
    assert set(quiet.loud_settings()) == set(quiet.QUIET)


def test_code_is_compared_by_its_files_and_by_what_it_measures_with() -> None:
    assert digest_of_sources() == digest_of_sources()
    assert "torch" in versions()
    assert "ruff" not in versions()


@pytest.mark.parametrize(
    "spec", ["", "tcp://host", "local:", "local:0", "ssh:", "slurm:debug", "kubernetes:x", "host:8786"]
)
def test_what_names_no_cluster_is_one_line(spec: str) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(UsageError, match=r"^--cluster ") as refused, opened(spec):
        pass
    assert "\n" not in str(refused.value)
