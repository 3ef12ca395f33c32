"""The command line without rich, and what is missing where optional packages are."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from rurk_core.commands.plain import Console, Table
from rurk_core.errors import UsageError, need

OPTIONAL = ("rich", "streamlit", "plotly", "pandas", "umap", "optuna", "ray")


def test_a_table_is_aligned_and_keeps_cells_of_two_lines():
    table = Table(title="Models", title_justify="left", caption="That is all.")
    table.add_column("name")
    table.add_column("n", justify="right")
    table.add_row("one", "1\n(+0)", end_section=True)
    table.add_section()
    table.add_row("fourteen", "14")
    assert str(table).splitlines() == [
        "Models",
        "name         n",
        "one          1",
        "          (+0)",
        "fourteen    14",
        "That is all.",
    ]


def test_a_table_without_a_header_needs_no_columns(capsys):
    table = Table(show_header=False, box=None)
    table.add_row("✓", "Python", "3.11")
    table.add_row("", "packages")
    Console().print(table, highlight=False)
    assert capsys.readouterr().out.splitlines() == ["✓  Python    3.11", "   packages"]


WITHOUT = f"""
import sys

class Hiding:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, *rest):
        return None if name.partition(".")[0] in {OPTIONAL!r} else self.finder.find_spec(name, *rest)

sys.meta_path[:] = map(Hiding, sys.meta_path)
from rurk_core.cli import main
sys.exit(max(main(line.split()) for line in sys.argv[1:]))
"""


def without_optional(*lines: str) -> subprocess.CompletedProcess[str]:
    """These command lines of ``rurk``, one after another, where none of the optional packages is found."""
    return subprocess.run([sys.executable, "-c", WITHOUT, *lines], capture_output=True, text=True)


@pytest.mark.slow
def test_a_run_needs_none_of_the_optional_packages(tmp_path):
    store = f"--store {tmp_path}/store"
    small = "--methods gd:epochs=1 --references 2 --tau 0,0.3 --draws 10 --relearn 0 --train epochs=1"
    done = without_optional(
        f"run {small} {store}", f"evidence latest {store}", f"report latest --out {tmp_path}/report {store}"
    )
    assert done.returncode == 0, done.stderr
    for name in ("Original", "GD", "Re-trained 1", "Re-trained 2"):
        assert re.search(rf"^{name} ", done.stdout, re.MULTILINE)
    assert re.search(r"^GD .*\d+/\d+ = \d", done.stdout, re.MULTILINE)
    assert (tmp_path / "report" / "report.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "package"),
    [("app", "streamlit"), ("tune gd --store {}", "optuna"), ("run --engine ray --store {}", "ray")],
)
def test_what_is_missing_is_named(line, package, tmp_path):
    done = without_optional(line.format(tmp_path))
    assert done.returncode == 2 and f"pip install {package}" in done.stderr
    assert "Traceback" not in done.stderr


def test_need_says_what_pip_calls_it():
    need("json", "Everything")
    with pytest.raises(UsageError, match=r"^A map needs the package no-such-thing, .*: pip install no-such-thing$"):
        need("no_such_thing", "A map", "no-such-thing")
