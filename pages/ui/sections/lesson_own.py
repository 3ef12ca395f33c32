"""What the models of the experiment in view make of pictures that somebody brings, and of what lies around them."""

from __future__ import annotations

import secrets
from typing import Any

import streamlit as st

from rurk_core.apart.reading import Reading
from rurk_core.data.decoding import SUFFIXES
from rurk_core.errors import RurkError
from rurk_core.explore.own import LARGEST, MOST, Own, inverted, own_scene, read_own, shape_of
from rurk_core.explore.scene import CUTS, Scene
from rurk_core.report.stages import described
from ui.components.stage import stage
from ui.figures.look import looks_of
from ui.jobs.runs import empty_state
from ui.sections.lesson import said
from ui.session import state
from ui.session.served import images_at
from ui.session.stages import show_own
from ui.session.view import choose_method, tables_of
from ui.text import plain

KEPT = "own_pictures"
"""What the session keeps: pictures by the file that they came in, and the scene that was made of them."""
PLANES = ("adversarial", "copies")
"""The third goes through two other samples, and there may be none."""


def own() -> None:
    st.header("What do they say of your picture?", anchor=False)
    run = state.run_in_view()
    if run is None:
        empty_state()
        return
    result = state.result_of(run)
    kept = st.session_state.setdefault(KEPT, {"read": {}, "scene": (None, None)})
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium", key="own_controls"):
        files = st.file_uploader(
            "Drop pictures here",
            type=[suffix.removeprefix(".") for suffix in SUFFIXES],
            accept_multiple_files=True,
            max_upload_size=LARGEST // 10**6,
            key="own_files",
            help="They are looked at in the memory of the server and never stored; taking them out forgets them.",
        )
        method = choose_method(result, looks_of(result["models"]), width=260)
        swap = st.toggle(
            "Swap dark and light",
            key="own_swap",
            help="Many data sets have light things on a dark ground; ink on paper is the other way round.",
        )
    pictures = read(files[:MOST], shape_of(state.store(), result), kept["read"])
    if len(files) > MOST:
        st.caption(f"The first {MOST} are shown, of {len(files)}.")
    asked = (run, method, swap, tuple(kept["read"]))
    if not pictures:
        kept.update(scene=(None, None), before=None)
    elif kept["scene"][0] != asked:
        kept["before"] = kept["scene"][1]  # a browser may still ask for its parts
        kept["scene"] = (asked, made(result, [inverted(one) if swap else one for one in pictures], method))
    if pictures:
        show()
    said(
        "whatever a model is shown, it says one of its classes, and how surely; around it lie borders, which differ "
        "from one training to the next.",
        "draw a shape on paper, photograph it, drop it above. Do the unlearned and the re-trained models agree on it "
        "as far as they do on what they were trained on?",
    )


def read(files: list[Any], shape: tuple[int, ...], kept: dict[str, Own | str]) -> list[Own]:
    """The pictures of the files, with a sentence each on what was done to it, or why it cannot be shown.

    Args:
        kept: what was read before, by file and shape; what is gone from the page is taken out.
    """
    names = {f"{file.file_id} {shape}": file for file in files}
    for name in set(kept) - set(names):
        del kept[name]
    with Reading() as reading:
        for name, file in names.items():
            if name not in kept:
                try:
                    kept[name] = read_own(reading, file.name, file.getvalue(), shape)
                except RurkError as error:
                    kept[name] = str(error)
    pictures = [found for name in names if isinstance(found := kept[name], Own)]
    wrong = [found for name in names if isinstance(found := kept[name], str)]
    if pictures:
        st.caption("  \n".join(plain(picture.words) for picture in pictures))
    if wrong:
        st.error("  \n".join(map(plain, wrong)), icon=":material/error:")
    return pictures


def made(result: dict[str, Any], pictures: list[Own], method: str) -> Scene:
    keys = {row["name"]: row["key"] for row in result["models"] if row.get("key")}
    url, attack = state.store().url, next(attack for attack, name in tables_of(result) if name == method)
    return own_scene(
        state.store(),
        result,
        pictures,
        method=method,
        name=f"own-{secrets.token_hex(12)}",
        attack=attack,
        model=lambda name: state.frozen_model(url, keys[name]),
    )


@st.fragment
def show() -> None:
    """The stage of the pictures, which the session alone keeps."""
    scene: Scene = st.session_state[KEPT]["scene"][1]
    name = scene.data.fingerprint
    show_own(name, scene)
    about = described(scene, name)
    about["cuts"] = {key: CUTS[key] for key in PLANES}
    first = about["samples"][0][0]
    start = {"sample": first, "t": scene.telling(first), "chosen": False, "copy": None, "cut": PLANES[0]}
    places = {"place": f"stages/{name}", "pictures": f"{images_at(scene.data)}/train", "live": True, "hand": True}
    stage("own_stage", {**about, **places, "start": start})
