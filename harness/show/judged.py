"""Two runs that were held side by side, as a notebook shows them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.judge.judge import Judgement
from harness.judge.policy import Policy, exit_code
from harness.model import StoredRun
from harness.show.table import Block, html, render
from harness.show.verdicts import comparison_page, gate_page, tidy

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class JudgedRuns:
    """What `bitbench compare` prints of two runs or, where there is a policy, what `bitbench gate` does."""

    base: StoredRun
    head: StoredRun
    judgement: Judgement
    policy: Policy | None = None

    @property
    def exit_code(self) -> int:
        """That of `bitbench gate`: 0 where nothing regressed; under `release` where there is no policy."""
        return exit_code(self.judgement, self.policy or "release")

    def frame(self) -> "pd.DataFrame":
        """One row a case and metric, in base units: both sides, their ratio and its interval, the verdict."""
        import pandas as pd  # late: it takes a second

        return pd.DataFrame(tidy(self.judgement).as_dicts())

    def __repr__(self) -> str:
        return render(self._page(), "text")

    def _repr_html_(self) -> str:
        return html(self._page())

    def _page(self) -> list[Block]:
        if self.policy is None:
            return comparison_page(self.base, self.head, self.judgement)
        return gate_page(self.base, self.head, self.judgement, self.policy)
