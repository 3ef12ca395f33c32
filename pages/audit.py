"""Audit: models made elsewhere, checked, measured like those of an experiment, and kept like them."""

from __future__ import annotations

from typing import Any

import streamlit as st
from ui.jobs.runs import jobs_panel, start
from ui.sections.forgotten import what_to_forget
from ui.sections.forms import network_form, perturbation_form
from ui.session import state, uploads
from ui.text import plain

from rurk_core.errors import RurkError, UsageError
from rurk_core.models.checkpoints import SUFFIXES, find_checkpoint

GROUPS = {
    "original": ("Original", "Trained on everything. One file.", 1),
    "unlearned": ("Unlearned", "The models to judge: what unlearning returned.", 32),
    "retrained": (
        "Re-trained (optional)",
        "Trained from scratch without the forget set. Several tell how far honest re-trainings differ; without any, "
        "recognition is counted but nothing says what is residual.",
        64,
    ),
}


def choose_files(group: str) -> list[str]:
    """The checkpoints of a group: paths on the server's machine and uploaded files, each looked at."""
    title, words, most = GROUPS[group]
    st.markdown(f"**{title}**")
    st.caption(words)
    text = st.text_area(
        "Paths, one a line" if most > 1 else "Path",
        key=f"paths-{group}",
        height=68 if most == 1 else 96,
        placeholder="/models/original.safetensors" if most == 1 else "/models/a.safetensors\n/models/b.pt2",
        help=f"Files on the machine the app runs on, ending in {', '.join(SUFFIXES)}.",
        persist_state="session",
    )
    found = [line.strip() for line in text.splitlines() if line.strip()]
    sent = st.file_uploader(
        f"{title.partition(' ')[0]}: or upload safetensors",
        type="safetensors",
        accept_multiple_files=most > 1,
        key=f"upload-{group}",
        help="Only safetensors: a file of numbers that cannot carry a program.",
    )
    files = (sent if isinstance(sent, list) else [sent]) if sent else []
    found += [str(uploads.keep(file.name, file.getvalue())) for file in files]
    for path in found:
        find_checkpoint(path)
    if len(found) > most:
        raise UsageError(f"“{title}” takes {most} file{'s' if most > 1 else ''} at most, not {len(found)}.")
    return found


def new_audit() -> None:
    chosen = what_to_forget()
    if chosen is None:
        return
    name, _, rule = chosen
    files: dict[str, list[str]] = {}
    for group, column in zip(GROUPS, st.columns(len(GROUPS), gap="large"), strict=True):
        with column:
            try:
                files[group] = choose_files(group)
            except RurkError as error:
                state.show(error)
    measurement: dict[str, Any] = {}
    try:
        with st.expander("Network, perturbations, seed", icon=":material/tune:", key="audit_measurement"):
            one, two, _ = st.columns([2, 1, 2], gap="medium")
            measurement["model"] = network_form(name, "", "audit", one, two)
            measurement["normalise"] = st.text_input(
                "Normalisation of state dicts (optional)",
                key="audit_normalise",
                placeholder="0.49,0.48,0.45:0.25,0.24,0.26",
                help="Mean and deviation of pixels from 0 to 1, where the training script took them off outside of the "
                "network and the file brings none. Empty: that of this project's networks.",
                persist_state="session",
            ).strip()
            st.caption("The architecture of state dicts. A program of torch.export (.pt2) brings its own.")
            measurement |= perturbation_form(name, "audit", ["gaussian"], 11, 100)
    except RurkError as error:
        state.show(error)
        return
    title = st.text_input("Title (optional)", key="audit_title", max_chars=120, persist_state="session")
    ready = all(files.get(group) for group in ("original", "unlearned")) and "retrained" in files
    if st.button("Start the audit", type="primary", icon=":material/verified_user:", key="audit", disabled=not ready):
        spec = {
            "dataset": name,
            "forget": rule,
            "original": files["original"][0],
            "unlearned": files["unlearned"],
            "retrained": files["retrained"],
            "title": title.strip(),
            **measurement,
        }
        try:
            start(spec, kind="audit")
        except RurkError as error:
            state.show(error)
            return
        st.rerun()
    if not ready:
        st.caption("An audit needs the Original and at least one unlearned model.")


def main() -> None:
    st.title("Audit", anchor=False)
    st.html(
        '<div class="rk-lead">Judge models that were made elsewhere. Give the Original, the unlearned models and, if '
        "there are any, re-trained ones; they are checked against the data, measured as in an experiment, and open on "
        "the other pages like one.</div>"
    )
    jobs_panel("audit")
    with st.container(border=True, key="new_audit"):
        new_audit()
    with st.expander("What is read, and what is never run", icon=":material/shield:"):
        st.markdown(
            "- **safetensors** and **state dicts** saved with `torch.save(model.state_dict(), …)`: numbers only. A "
            "file that holds anything else is refused.\n"
            "- **Programs of `torch.export`** (`.pt2`, exported after `model.eval()` with a dynamic first dimension): "
            "PyTorch’s own loader can run code from such a file, so it is not used. The graph is read as text and "
            "walked here, with a fixed list of tensor operators; pickled parts are never opened.\n"
            "- Every file is bounded before it is read: size, number of tensors, table of contents, and the size of "
            "every intermediate result.\n"
            f"- Uploads are kept in {plain(str(uploads.folder()))} for a day; the models of a finished audit stay "
            "in the store with their fingerprints."
        )


main()
