"""The answers of the report: of one contest, of a whole layer, and where only schemes compete."""
