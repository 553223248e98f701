"""How long a large history takes: `python docs/experiments/history/large.py FOLDER [QUESTION...]`.

Makes in FOLDER, unless they are there, a history of 1,000 runs of 100 cases (by the real `add`) and a run of a million
records, as JSON lines and as Parquet; then asks each question in a process of its own and prints seconds of CPU,
seconds and peak memory. Needs 2 GB of disk, and a quarter of an hour the first time.
"""

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from harness import store
from harness.analysis.history.rows import identity, rows
from harness.model import Case, Measurement, Record, Run, StoredRun
from harness.model.codec import encode
from harness.store.history import add
from tests.harness.data.factories import make_records, make_run

RUNS, CASES, ROUNDS, SAMPLES, RECORDS = 1000, 100, 3, 8, 1_000_000
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


def many_runs(folder: Path) -> None:
    """Two a day; a third of the cases changes once."""
    random = np.random.default_rng(0)
    names = ("native", "int8", "eager", "compiled", "packed")
    point = {"k": 2560, "m": 1, "scheme": "w1.58a8", "threads": 2}
    cases = [Case.of("quick", names[i % 5], {**point, "n": 1024 * (1 + i // 5)}) for i in range(CASES)]
    levels = np.tile(10.0 ** random.uniform(-5, -3, CASES), (RUNS, 1))
    for i in range(0, CASES, 3):
        levels[int(random.uniform(0.2, 0.9) * RUNS) :, i] *= random.choice([1.05, 1.1, 0.92, 1.2])
    for number in range(RUNS):
        at = BEGIN + timedelta(hours=12 * number)
        commit = f"{number:07x}".ljust(40, "0")
        run = msgspec.structs.replace(
            make_run(run_id=f"{at:%Y%m%dT%H%M%SZ}-quick", commit=commit), started=f"{at:%FT%TZ}"
        )
        noise = np.exp(0.02 * random.standard_normal((ROUNDS, CASES)))
        samples = levels[number] * noise * np.exp(0.005 * random.standard_normal((SAMPLES, ROUNDS, CASES)))
        records = [
            Record(
                case, turn, "measured", measurements=(Measurement("latency", tuple(samples[:, turn, i].tolist()), 10),)
            )
            for turn in range(ROUNDS)
            for i, case in enumerate(cases)
        ]
        add(folder, run.id, identity(run), len(records), rows(StoredRun(run, tuple(records), ()), at))


def many_records() -> Iterator[Record]:
    """200 cases, round after round. No value comes twice, as then the file would be a twentieth of what it is."""
    random = np.random.default_rng(1)
    shapes = [(1024 * n, 1024 * k) for n in range(1, 6) for k in range(1, 5)]
    made = make_records(shapes=shapes, rounds=4, troubles=False)
    by_round = [[record for record in made if record.round == turn] for turn in range(4)]
    for turn in range(math.ceil(RECORDS / len(by_round[0]))):
        for record in by_round[0 if turn == 0 else 1 + turn % 3]:
            taken = tuple(_anew(one, random) for one in record.measurements)
            yield msgspec.structs.replace(record, round=turn, measurements=taken)


def _anew(taken: Measurement, random: np.random.Generator) -> Measurement:
    """With noise of its own."""
    factors = np.exp(0.01 * random.standard_normal(len(taken.values)))
    return msgspec.structs.replace(taken, values=tuple((factors * taken.values).tolist()))


def large_run(folder: Path) -> None:
    """As JSON lines."""
    folder.mkdir()
    with (folder / store.FILE_NAME).open("wb") as file:
        messages: Iterator[Run | Record] = iter((make_run(),))
        file.writelines(encode(one) + b"\n" for group in (messages, many_records()) for one in group)


def large_table(folder: Path) -> None:
    """The same as Parquet."""
    stored = store.load(folder.parent / "run")
    add(folder, stored.run.id, identity(stored.run), len(stored.records), rows(stored))


def load_series(folder: Path) -> object:
    """The series of latencies, without their change points."""
    from harness.commands.history.reading import chosen_series

    return len(chosen_series(folder / "history", (), None, None))


def draw_page(folder: Path) -> object:
    """The whole page: load, change points, figure, tables."""
    from harness.cli import main

    return main(["history", "report", str(folder / "history"), "-o", str(folder / "history.html")])


def mean_by_duckdb(folder: Path) -> object:
    """A mean per case over the million."""
    import duckdb

    where = f"from '{folder}/table/*.parquet' where metric = 'latency' group by \"case\""
    return len(duckdb.sql(f'select "case", avg(value) {where}').fetchall())


def mean_by_polars(folder: Path) -> object:
    """The same."""
    import polars as pl

    lazy = pl.scan_parquet(folder / "table/*.parquet").filter(metric="latency")
    return lazy.group_by("case").agg(pl.col("value").mean()).collect().height


def mean_by_pandas(folder: Path) -> object:
    """The same, by `harness.store.history.read`."""
    from harness.store.history import arrow_field, read

    frame = read(folder / "table", ("case", "value"), arrow_field()("metric") == "latency")
    return len(frame.groupby("case", observed=True)["value"].mean())


def load_lines(folder: Path) -> object:
    """The million lines as records."""
    return len(store.load(folder / "run").records)


QUESTIONS: dict[str, Callable[[Path], object]] = {
    function.__name__: function
    for function in (load_series, draw_page, mean_by_duckdb, mean_by_polars, mean_by_pandas, load_lines)
}
MAKERS = {"history": many_runs, "run": large_run, "table": large_table}


def ask(name: str, folder: Path) -> None:
    """One question in this process. Imports of libraries count."""
    began = time.perf_counter(), time.process_time()
    answer = QUESTIONS[name](folder)
    wall, cpu = time.perf_counter() - began[0], time.process_time() - began[1]
    # Not ru_maxrss, which begins with that of the process that started this one.
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("VmHWM"))
    peak = int(line.split()[1]) / 2**20
    print(f"| {name.replace('_', ' ')} ({answer}) | {cpu:.2f} | {wall:.2f} | {peak:.2f} |", flush=True)


def main() -> None:
    """Make what is missing, then ask."""
    folder, asked = Path(sys.argv[1]), sys.argv[2:] or [*QUESTIONS]
    folder.mkdir(exist_ok=True)
    for name, make in MAKERS.items():
        if not (folder / name).exists():
            make(folder / name)
    print("| question (answer) | CPU, s | time, s | peak memory, GiB |\n|---|---|---|---|", flush=True)
    for name in asked:
        code = (
            f"import sys; sys.path[0] = {str(Path(__file__).parent)!r}; import large; from pathlib import Path;"
            f" large.ask({name!r}, Path({str(folder)!r}))"
        )
        subprocess.run((sys.executable, "-c", code), check=True)


if __name__ == "__main__":
    main()
