"""Runs on many machines: one whole `bitbench run` a machine, by Dask distributed, and their records in one place.

Dask knows of runs and of no sample: controller and workers stay on their machine. It never tries anything again; the
fleet does, because only the fleet knows that a run goes on from its records and belongs to one machine.
"""
