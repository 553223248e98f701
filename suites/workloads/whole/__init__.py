"""Workloads of whole models."""
