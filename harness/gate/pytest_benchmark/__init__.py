"""Any project's pytest-benchmark tests, as two revisions of it have them: measured turn by turn, judged as any gate."""
