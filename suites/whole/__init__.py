"""Suites about whole models."""
