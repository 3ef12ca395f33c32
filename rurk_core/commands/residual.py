"""``rurk residual``: an audit whose result is printed and not kept."""

from __future__ import annotations

import argparse
import secrets

from . import Command
from .audit import audit_flags, audited
from .output import where


def register(command: Command) -> None:
    residual = command("residual", _residual, "Residual knowledge of checkpoints made elsewhere, printed and not kept.")
    audit_flags(residual, references="+")
    where(residual, store=False)


def _residual(options: argparse.Namespace) -> int:
    return audited(options, f"memory://residual-{secrets.token_hex(8)}")
