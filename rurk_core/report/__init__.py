"""Reports of a run or a sample: one JSON document, one page. Stages to hand on: one page that moves."""

from pathlib import Path

STAGE = Path(__file__).parent / "stage"
"""The scripts and the style of a stage, for pages of the app and for files."""
