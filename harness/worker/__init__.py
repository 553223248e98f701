"""The process that imports torch: it builds, checks and times contestants, and answers one question at a time.

Nobody imports it but `measure`, `pytest_plugin` and the workloads of suites.
"""
