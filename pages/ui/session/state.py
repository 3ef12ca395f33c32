"""What is in view: the store, the experiment, and the choices that live in the URL.

Everything cached here is keyed by names of stored entries, whose content never changes.
"""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Callable, Container, Sequence
from typing import Any

import streamlit as st

from rurk_core import bundled_stores, default_store
from rurk_core.errors import RurkError, UsageError
from rurk_core.store.index import Entry
from rurk_core.store.store import Store
from ui.text import distinct, plain

BUNDLED = bundled_stores()


# --- results ------------------------------------------------------------------------------------------------


def store() -> Store:
    """The user's results (the variable RURK_STORE, or ``rurk-store``), and the bundled experiment behind them."""
    return _store(default_store(), tuple(BUNDLED))


@st.cache_resource(show_spinner=False)
def _store(url: str, bundled: tuple[str, ...]) -> Store:
    return Store(url, bundled=bundled)


def runs(newest: int = -1) -> list[Entry]:
    """Finished experiments, all or the newest: the user's own, newest first, then the bundled one."""
    return sorted(store().list("run", newest=newest), key=lambda entry: entry.bundled)


def names_of(entries: Sequence[Entry]) -> dict[str, str]:
    """Key → title; equal ones begin with the facts in which they differ, for the end is cut off beside a page.

    Where these are the same too, the time and the end of the key stand behind (see :func:`ui.text.distinct`).
    """
    alike: dict[str, list[Entry]] = {}
    for entry in entries:
        alike.setdefault(entry.title, []).append(entry)
    names = {}
    for title, group in alike.items():
        facts = [facts_of(entry.key) for entry in group] if len(group) > 1 else [()]
        differs = [len(set(each)) > 1 for each in zip(*facts, strict=True)]
        for entry, each in zip(group, facts, strict=True):
            own = [fact for fact, told in zip(each, differs, strict=True) if fact and told]
            names[entry.key] = " · ".join([*own, title])
    times = [f"{entry.created[5:16].replace('T', ' ')} · {entry.key[-4:]}" for entry in entries]
    return dict(
        zip([entry.key for entry in entries], distinct([names[entry.key] for entry in entries], times), strict=True)
    )


def facts_of(key: str) -> tuple[str, ...]:
    """Seed, re-trained models and unlearned ones of an experiment in words; empty where it cannot be read."""
    try:
        result = result_of(key)
    except RurkError:
        return "", "", ""
    roles = Counter(row["role"] for row in result["models"])
    return f"seed {result['seed']}", f"{roles['reference']} re-trained", f"{roles['unlearned']} unlearned"


def result_of(key: str) -> dict[str, Any]:
    """The result document of a finished run; read only."""
    return _result(store().url, key)


@st.cache_resource(max_entries=256, show_spinner=False)
def _result(url: str, key: str) -> dict[str, Any]:
    from rurk_core.run.result import load_result

    return load_result(store(), key)


def origin_of(key: str) -> list[str]:
    """What is to be said of who made a run: imported, by different versions, by code that has changed since."""
    return _origin(store().url, key)


@st.cache_resource(max_entries=64, show_spinner=False)
def _origin(url: str, key: str) -> list[str]:
    from rurk_core.run.provenance import makers, words

    return words(makers(store(), result_of(key)))


def verdicts_of(key: str):
    """Verdict counts of a finished run; read only."""
    return _verdicts(store().url, key)


@st.cache_resource(max_entries=32, show_spinner=False)
def _verdicts(url: str, key: str):
    from rurk_core.run.stored import load_verdicts

    return load_verdicts(store(), key)


@st.cache_resource(max_entries=48, show_spinner=False)
def frozen_model(url: str, key: str):
    """A stored model ready for measuring: eval mode, no gradients, shared by all visitors and never changed."""
    import torch

    from rurk_core.measure.frozen import frozen_copy
    from rurk_core.run.stored import described, load_model

    _, shape, _ = described(store(), key)  # of images it lies in memory as convolutions like it: twice as fast
    return frozen_copy(load_model(store(), key), torch.device("cpu"), torch.empty(1, *shape))


def dataset(name: str):
    """A data set by name or path, under the data root of the sidebar."""
    from ui.session.reading import read

    return read(name, data_root())


def dataset_of(result: dict[str, Any]) -> Any:
    """The data of a run, if they can be read and are the same; a sentence on the page and None otherwise."""
    from rurk_core.run.stored import data_of

    try:
        found = data_of(result, load=lambda name, root: dataset(name))
    except RurkError as error:
        st.warning(
            f"{plain(str(error))} Counts and curves are shown without pictures; the data root is under Settings in the "
            "sidebar.",
            icon=":material/image_not_supported:",
        )
        return None
    if found.fingerprint != result["dataset"]["fingerprint"]:
        st.warning(
            f"The data set “{plain(found.name)}” here is not the one this experiment ran on (fingerprint "
            f"{found.fingerprint}, not {result['dataset']['fingerprint']}), so its pictures are not shown.",
            icon=":material/image_not_supported:",
        )
        return None
    return found


def data_root() -> str:
    """Where data sets lie: the sidebar's setting, else the variable RURK_DATA."""
    return (st.session_state.get("data_root") or os.environ.get("RURK_DATA") or "").strip()


# --- choices, in the session and in the URL -----------------------------------------------------------------


def choice(name: str, default: Any, valid: Callable[[str], Any], *, always: bool = False) -> Any:
    """A choice as a link restores it: from the URL if it says something new, else from the session.

    Args:
        valid: text → value; raises ValueError where the text does not fit what there is.
        always: put the default into the URL too, so that a copied link shows the same to somebody whose defaults
            differ. It stays a default: it may change with the other choices.
    """
    chosen = st.session_state.setdefault("choices", {})
    written = st.session_state.setdefault("written", {})
    text = st.query_params.get(name)
    if text is not None and text not in (chosen.get(name), written.get(name)):
        try:
            valid(text)
            chosen[name] = text
        except (ValueError, UsageError):
            del st.query_params[name]
            shown = text if len(text) <= 40 else text[:40] + "…"
            note(f"The link's {name} “{shown}” does not exist here; it was left out.")
    try:
        value = valid(chosen[name])
        said = chosen[name]
    except (KeyError, ValueError, UsageError):
        value, said = default, str(default)
        if not always or default is None:
            return value
        written[name] = said
    if st.query_params.get(name) != said:  # a navigation link drops what it does not know
        st.query_params[name] = said
    return value


def choose(name: str, value: Any) -> None:
    """Remember a choice and put it into the URL; a range is written "20-80", and nothing ("") is left out."""
    text = "-".join(map(str, value)) if isinstance(value, tuple) else str(value)
    if not text:
        st.session_state.get("choices", {}).pop(name, None)
        st.query_params.pop(name, None)
        return
    st.session_state.setdefault("choices", {})[name] = text
    if st.query_params.get(name) != text:
        st.query_params[name] = text


def bound(widget: Callable[..., Any], label: str, name: str, value: Any, **options: Any) -> Any:
    """A widget that shows the choice ``name`` and changes it."""
    key = f"view_{name}"
    st.session_state[key] = value
    return widget(label, key=key, on_change=lambda: choose(name, st.session_state[key]), **options)


def one_of(options: Sequence[str]) -> Callable[[str], str]:
    """For :func:`choice`: the text must be one of ``options``."""

    def check(text: str) -> str:
        if text not in options:
            raise ValueError(text)
        return text

    return check


def whole_of(options: Container[int]) -> Callable[[str], int]:
    """For :func:`choice`: the text must be a whole number among ``options``."""

    def check(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) in options):
            raise ValueError(text)
        return int(text)

    return check


def nearest(options: Sequence[float]) -> Callable[[str], float]:
    """For :func:`choice`: a number within the options' range; the nearest of them is taken."""

    def check(text: str) -> float:
        number = float(text)
        if not options[0] - 1e-9 <= number <= options[-1] + 1e-9:
            raise ValueError(text)
        return min(options, key=lambda option: abs(option - number))

    return check


def run_in_view() -> str | None:
    """The key of the experiment in view, or None while there is none."""
    chosen, written = (st.session_state.setdefault(which, {}) for which in ("choices", "written"))
    before = chosen.get("run") or written.get("run")  # a run that ends meanwhile does not push itself into view
    if before and _is_finished(before):
        return choice("run", before, _finished, always=True)
    latest = store().own("run", newest=1) or runs(newest=1)
    if before:
        for of in (chosen, written, st.query_params):
            of.pop("run", None)
        another = "; this is another one" if latest else ""
        note(f"The experiment that was in view is gone, deleted or moved{another}.")
    return choice("run", latest[0].key if latest else None, _finished, always=True)


def _is_finished(key: str) -> bool:
    return key.startswith("run-") and store().has(key)


def _finished(key: str) -> str:
    if not _is_finished(key):
        raise ValueError(key)
    return key


def result_in_view() -> dict[str, Any] | None:
    """The experiment in view, or None while there is none that can be read."""
    key = run_in_view()
    try:
        return result_of(key) if key else None
    except RurkError:  # damaged; the pages that show it say so
        return None


def open_run(key: str) -> None:
    """Put a finished run in view and go to its neighbourhoods."""
    for name in ("sample", "tau", "method", "attack"):
        st.session_state.get("choices", {}).pop(name, None)
        st.session_state.pop(f"view_{name}", None)
    st.session_state.setdefault("choices", {})["run"] = key
    st.switch_page("neighbourhood.py", query_params={"run": key})


def dataset_choice() -> str:
    """The data set to choose from: a registered name (also from a link), or a path typed in this session.

    A link never names a path: it comes from somebody else.
    """
    from rurk_core.data import DATASETS

    typed = st.session_state.get("typed_dataset")
    known = [st.session_state.get(which, {}).get("data") for which in ("choices", "written")]
    if typed and st.query_params.get("data") in (None, *known):
        st.query_params.pop("data", None)
        return typed
    st.session_state.pop("typed_dataset", None)
    result = result_in_view()
    default = result["spec"]["dataset"] if result else "digits"
    return choice("data", default if default in DATASETS else "digits", one_of(list(DATASETS)), always=True)


# --- sentences ---------------------------------------------------------------------------------------


def note(text: str) -> None:
    """A sentence for the top of the page, shown once."""
    st.session_state.setdefault("notes", []).append(text)


def show_notes() -> None:
    """All of them in one box, a line each."""
    texts = list(dict.fromkeys(st.session_state.pop("notes", [])))
    if texts:
        st.warning("  \n".join(map(plain, texts)), icon=":material/info:")


def show_remarks(texts: Sequence[str]) -> None:
    """What was noticed when an experiment was made, of its data and its models."""
    if texts:
        with st.expander("Remarks from when it was made", icon=":material/sticky_note_2:"):
            for text in texts:
                st.markdown(plain(text))


def show(error: BaseException) -> None:
    """An error as one sentence; what nobody foresaw gets one too, and its details go to the server's log."""
    if isinstance(error, RurkError):
        st.error(plain(str(error)), icon=":material/error:")
        return
    traceback.print_exception(error)
    st.error(
        f"Something unexpected happened ({type(error).__name__}); reload the page, and if it happens again look at "
        "the server's log.",
        icon=":material/error:",
    )
