"""Prefect: says when, where and how many; what runs stands in dvc.yaml alone."""
