"""One look per method for good: whatever else a run holds, and never two models of a run alike."""

from __future__ import annotations

from itertools import combinations

from rurk_core.report.looks import Look, looks_of, method_look
from rurk_core.unlearning import FILES, METHODS


def row(name: str, method: str = "") -> dict:
    return {"name": name, "role": "unlearned", "method": method or name}


def drawn(look: Look) -> tuple[str, str, str, str]:
    return look.letter, look.colour, look.symbol, look.dash


def test_a_method_looks_the_same_in_every_company():
    alone = looks_of([row("ssd")])["ssd"]
    for others in (["gd", "ssd"], ["ssd", "rurk", "gd"], list(METHODS)):
        assert looks_of([row(name) for name in others])["ssd"] == alone


def test_every_method_that_comes_with_the_project_has_letters_and_a_look_of_its_own():
    assert sorted(METHODS[name].place for name in FILES) == list(range(len(FILES))), "take the next place for a new one"
    assert "" not in (letters := {METHODS[name].letters for name in FILES}) and len(letters) == len(FILES)
    looks = [drawn(look) for look in looks_of([row(name) for name in METHODS]).values()]
    assert all(one[0] != other[0] and one[1:3] != other[1:3] for one, other in combinations(looks, 2))


def test_several_models_of_a_method_can_be_told_apart_and_the_plain_name_has_the_plain_look():
    looks = looks_of([row("rurk-paper", "rurk"), row("rurk"), row("rurk-own", "rurk")])
    assert drawn(looks["rurk"]) == method_look("rurk")
    three = [drawn(looks[name]) for name in ("rurk", "rurk-paper", "rurk-own")]
    assert all(len({look[at] for look in three}) == 3 for at in range(4))
    assert list(looks) == ["original", "references", "rurk-paper", "rurk", "rurk-own"]


def test_letters_can_be_read_on_every_colour():
    from rurk_core.report.looks import luminance

    for look in looks_of([row(f"{name}-{n}", name) for name in METHODS for n in range(2)]).values():
        high, low = sorted((luminance(look.colour), 1.0 if look.ink == "#fff" else 0.0), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, look


def test_models_of_an_audit_are_called_as_their_files_and_told_apart_where_those_are_alike():
    files = {"unlearned-1": "a/model.pt", "unlearned-2": "b/model.pt", "unlearned-3": "other.pt"}
    looks = looks_of([{"name": name, "role": "unlearned", "file": file} for name, file in files.items()])
    titles = [looks[name].title for name in files]
    assert titles == ["model · unlearned-1", "model · unlearned-2", "other"]
    assert len({drawn(looks[name]) for name in files}) == 3


def test_the_two_greys_of_findings_are_told_apart_and_both_are_seen_on_light_and_dark():
    from rurk_core.report.looks import FINDING_HUES, luminance

    light, dark = (luminance(FINDING_HUES[name]) + 0.05 for name in ("nothing_to_see", "cannot_tell"))
    assert light / dark >= 3
    assert 1.05 / light > 1.5 and dark / (luminance("#12151C") + 0.05) > 2.5
