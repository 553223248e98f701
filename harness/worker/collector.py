"""Python's garbage collector, which takes a tenth of a second to go through all that torch has imported."""

import gc


def settle_collector() -> None:
    """Collect now and exempt what survives, mostly torch itself: later collections then take no time."""
    gc.collect()
    gc.freeze()


class Collector:
    """Exempts what is there while bytes are counted, for which garbage is looked for again and again."""

    def __init__(self) -> None:
        self._has_cases = False

    def settle(self) -> None:
        """Exempt the cases, too, that are prepared now."""
        settle_collector()
        self._has_cases = True

    def release(self) -> None:
        """The cases have been let go of: what of them only a cycle holds is collected, though it was exempt."""
        if self._has_cases:
            gc.unfreeze()
            self._has_cases = False
        settle_collector()
