"""The referee: measures, records, compares and reports. Knows nothing of any particular layer."""
