"""Runs at the start of every process whose PYTHONPATH has this folder."""

from tests.rigs.mutants.planting import plant_chosen

plant_chosen()
