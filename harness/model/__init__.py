"""The nouns of the harness: frozen records, in base units (second, byte, 1).

Everything that is written to disk or sent between processes is one of these. Nothing here imports more than the
standard library and msgspec, so that stored runs can be read on a machine without torch.
"""

from harness.model.case import Case, Params, Value, normalise_value
from harness.model.ceilings import Ceilings
from harness.model.environment import COMPARABLE_FIELDS, Environment, comparable, differences
from harness.model.metrics import Exact, Metric, Paired, Sampled
from harness.model.record import ROLE, SUMMARY, Amount, Count, Measurement, Outcome, Record, Role, role_of
from harness.model.rules import Allowance, Rules, RunRules
from harness.model.run import SCHEMA_VERSION, Aim, Budget, Origin, Request, Revision, Run, Side, known_metrics
from harness.model.stored_run import StoredRun

__all__ = [
    "COMPARABLE_FIELDS",
    "ROLE",
    "SCHEMA_VERSION",
    "SUMMARY",
    "Aim",
    "Allowance",
    "Amount",
    "Budget",
    "Case",
    "Ceilings",
    "Count",
    "Environment",
    "Exact",
    "Measurement",
    "Metric",
    "Origin",
    "Outcome",
    "Paired",
    "Params",
    "Record",
    "Request",
    "Revision",
    "Role",
    "Rules",
    "Run",
    "RunRules",
    "Sampled",
    "Side",
    "StoredRun",
    "Value",
    "comparable",
    "differences",
    "known_metrics",
    "normalise_value",
    "role_of",
]
