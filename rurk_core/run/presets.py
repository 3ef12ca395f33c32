"""Named settings of methods that were found by tuning, kept in a store: ``<store>/presets.json``.

They are names only: an experiment resolves them to settings when it is described, so its keys do not depend on
this file.
"""

from __future__ import annotations

import json
import secrets
from typing import Any

from ..errors import RurkError, UsageError
from ..jobs.processes import locked
from ..store.names import explain
from ..store.store import Store
from ..unlearning import METHODS, Method
from ..unlearning.base import slug
from .spec import Presets

FILE = "presets.json"


def list_presets(store: Store) -> list[dict[str, Any]]:
    """The presets of a store and of those that came along, oldest first.

    Each is ``{"method", "name", "settings", "dataset", "model", "found_by"}``; entries that name no method known
    here, or settings it does not have, are left out.
    """
    found = []
    for place in (*store.bundled, store):
        for entry in _read(place):
            try:
                METHODS[entry["method"]].config.from_dict(dict(entry["settings"]))
                found.append(entry | {"name": str(entry["name"])})
            except (KeyError, TypeError, ValueError, UsageError):
                continue
    return found


def presets_of(store: Store) -> Presets:
    """Method → name → settings, as :func:`~rurk_core.run.spec.make_spec` takes them."""
    found: dict[str, dict[str, Any]] = {}
    for entry in list_presets(store):
        found.setdefault(entry["method"], {})[entry["name"]] = entry["settings"]
    return found


def save_preset(store: Store, entry: dict[str, Any]) -> None:
    """Keep a preset in ``store``; one of that method and name is replaced.

    Processes of one machine may save at the same time; on two machines that share a bucket the later one wins.

    Raises:
        UsageError: the name is that of a preset that comes with the method, or the store is only for reading.
        RurkError: the file cannot be written.
    """
    check_name(METHODS[entry["method"]], entry["name"])
    if store.read_only:
        raise UsageError(f"The store {store.url} is only for reading; choose another one to write to.")
    same = (entry["method"], slug(entry["name"]))
    path, fresh = f"{store.root}/{FILE}", f"{store.root}/.{FILE}.{secrets.token_hex(8)}"
    with locked(store.job_root.with_name(".presets.lock"), "The preset"):
        kept = [other for other in _read(store) if (other.get("method"), slug(str(other.get("name")))) != same]
        data = json.dumps([*kept, entry], indent=1, ensure_ascii=False).encode()
        try:
            store.fs.pipe_file(fresh, data)
            store.fs.mv(fresh, path)
        except OSError as error:
            raise RurkError(explain(error, "The preset", store.url)) from None


def check_name(method: Method, name: str) -> None:
    """Raises UsageError where the name is that of a preset that comes with the method."""
    if slug(name) in map(slug, method.presets):
        raise UsageError(f"'{name}' is a preset that comes with {method.title}; choose another name.")


def _read(store: Store) -> list[dict[str, Any]]:
    try:
        found = json.loads(store.fs.cat_file(f"{store.root}/{FILE}"))
    except (OSError, ValueError, RecursionError):
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
