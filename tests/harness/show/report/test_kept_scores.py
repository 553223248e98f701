"""The sentence of a model's scores: the fewest bytes that keep them all, or the scheme that loses least."""

import msgspec
import pytest

from harness import frames
from harness.analysis.view import View
from harness.model import Case, StoredRun
from harness.model.metrics import Exact, Paired
from harness.show.report import page
from harness.show.report.kept_scores import score_answers
from tests.harness.data.factories import make_record, make_run
from tests.harness.fakes.html_page import Page

KL = Paired(name="kl_divergence", title="divergence", heading="KL", unit="nat", better="lower", tolerance=0.01)
HITS = Paired(name="recall_at_1", title="recall", heading="recall@1", better="higher", tolerance=0.01)
BYTES = Exact(name="packed_bytes", unit="B", better="lower")


def scored(scheme, bits, size, kl, hits, layers="all"):
    params = {"model": "path/to/toy", "scheme": scheme, "layers": layers}
    values = {"kl_divergence": kl, "recall_at_1": hits, "packed_bytes": size}
    return make_record(Case.of("quality", "contract", params), 0, values, facts={"weight_bits": bits})


FULL = scored("w16a16-nonorm", 16, 1600 << 10, (0.0, 0.001, 0.0), (0.9, 0.91, 0.9))
GOOD = scored("w8a8-nonorm", 8, 800 << 10, (0.002, 0.001, 0.002), (0.9, 0.91, 0.9))
FAIR = scored("w4a8-nonorm", 4, 400 << 10, (0.30, 0.31, 0.32), (0.8, 0.81, 0.79))
POOR = scored("w2a8-nonorm", 2, 450 << 10, (3.0, 3.1, 3.2), (0.1, 0.12, 0.1))


def run_of(*records):
    run = msgspec.structs.replace(make_run(["quality"]), metrics=(KL, HITS, BYTES))
    return StoredRun(run, records)


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ((FULL, GOOD, FAIR), "For toy, w8a8 answers as full precision does, in 800 KiB and not 1.56 MiB."),
        (
            (FULL, POOR, FAIR),
            "For toy, no scheme is known to answer as full precision does."
            " Nearest is w4a8, in 400 KiB and not 1.56 MiB.",
        ),
    ],
)
def test_the_model_has_its_sentence_and_no_question_that_its_suite_does_not_ask(records, sentence):
    stored = run_of(*records)
    (answer,) = score_answers(View.of(stored), "quality")
    assert answer.sentence == sentence
    assert "recall@1" in answer.more[0]
    view = View.of(stored)
    text = Page(page.render([view], dict, frames.summary(view))).text
    assert sentence in text
    assert "Fastest" not in text.partition("Machine CPU")[0]


def test_without_full_precision_there_is_nothing_to_say():
    assert score_answers(View.of(run_of(GOOD, FAIR)), "quality") == []


def test_of_layers_that_were_quantised_alone_the_dearest_is_told():
    kinds = {"*.q_proj": 0.1, "*.up_proj": 0.4}
    records = [scored("w3a8-nonorm", 3, 400, (kl, kl, kl), (0.9, 0.9, 0.9), kind) for kind, kl in kinds.items()]
    (answer,) = score_answers(View.of(run_of(*records)), "quality")
    assert answer.sentence == "Layers of toy that cost most, quantised alone: up_proj with w3a8 (KL 0.400 nat)."
