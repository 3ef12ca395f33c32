"""What a reviewer says of a sample: buttons, a note, and what was said before."""

from __future__ import annotations

import getpass

import streamlit as st

from rurk_core.errors import RurkError
from rurk_core.evidence.findings import Finding
from rurk_core.evidence.reviews import MAX_AUTHOR, MAX_NOTE, VERDICTS, WITHDRAWN, Judgement, judge
from ui.sections.queue import WORDS, Queue
from ui.session import state
from ui.text import plain

ICONS = {
    "clear": ":material/check_circle:",
    "residual": ":material/visibility:",
    "over_forgotten": ":material/visibility_off:",
    "cannot_tell": ":material/help:",
}


def judging(queue: Queue, finding: Finding, here: int) -> None:
    """Verdict buttons with keys 1 to 4, a note, and who judges."""
    found = queue.said.get(finding.sample)
    note_key = f"note-{queue.run}-{queue.method}-{finding.sample}"
    st.session_state.setdefault(note_key, found.note if found else "")

    def keep(verdict: str) -> None:
        judgement = Judgement(
            finding.sample,
            queue.method,
            verdict,
            note=st.session_state.get(note_key, ""),
            author=st.session_state.get("reviewer", ""),
        )
        try:
            judge(state.store(), queue.run, judgement)
        except RurkError as error:
            state.note(str(error))
            return
        if verdict != WITHDRAWN:
            onward(queue, here, {**queue.said, finding.sample: judgement})

    with st.container(horizontal=True, gap="small", key="verdicts"):
        for number, (name, word) in enumerate(WORDS.items(), 1):
            st.button(
                word,
                key=f"verdict_{name}",
                shortcut=str(number),
                icon=ICONS[name],
                type="primary" if found and found.verdict == name else "secondary",
                help=VERDICTS[name][0].upper() + VERDICTS[name][1:] + ".",
                on_click=keep,
                args=(name,),
            )
        if found:
            st.button("Take back", key="take_back", type="tertiary", on_click=keep, args=(WITHDRAWN,))
    one, two = st.columns([3, 1], gap="medium")
    one.text_area("Note, kept with the verdict", key=note_key, max_chars=MAX_NOTE, height=80)
    with two:
        st.session_state.setdefault("reviewer", _user())
        st.text_input("Reviewer", key="reviewer", max_chars=MAX_AUTHOR, persist_state="session")
        if found:
            st.caption(f"Judged by {plain(found.author or 'nobody named')}, {found.time[:16].replace('T', ' ')} UTC")
    before = [j for j in queue.past if j.sample == finding.sample and j.method == queue.method]
    if len(before) > 1:
        with st.expander(f"{len(before)} judgements so far", icon=":material/history:"):
            for past in reversed(before):
                word = WORDS.get(past.verdict, "taken back").lower()
                who = plain(past.author or "nobody named")
                st.markdown(f"{past.time[:16].replace('T', ' ')} UTC · **{word}** · {who}  \n{plain(past.note)}")


def onward(queue: Queue, here: int, said: dict[int, Judgement]) -> None:
    """Go to the next sample of the queue that nobody has judged, or to the next one."""
    after = [*queue.shown[here + 1 :], *queue.shown[:here]]
    following = next((finding for finding in after if finding.sample not in said), after[0] if after else None)
    if following:
        state.choose("sample", following.sample)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
