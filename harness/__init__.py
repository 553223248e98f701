"""The referee: measures, records, compares and reports. Knows nothing of any particular layer."""

from pathlib import Path

HOME = Path(__file__).parent.parent
"""The folder that the packages lie in: a checkout, or where they were installed."""
