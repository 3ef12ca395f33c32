"""The stage in a real browser: how fast it answers, that no key is lost, what Back does, what a phone shows."""

from __future__ import annotations

import pytest

from rurk_core.report.share import bundle

from .conftest import settled, written

pytestmark = pytest.mark.e2e
STAGE = "document.querySelector('.rks').stage"


def ready(page) -> None:
    """The fields and the copies of the sample in view are drawn."""
    page.wait_for_selector(".rks[data-drawn='true true']", timeout=60_000)


def fetched(page) -> None:
    """Nothing is asked of the server any more."""
    page.wait_for_function(f"{STAGE}.parts.under.size === 0 && {STAGE}.parts.wishes.length === 0", timeout=60_000)


def in_view(page) -> int:
    return page.evaluate(f"{STAGE}.my.sample")


def order(page) -> list[int]:
    return page.evaluate(f"{STAGE}.sequence.map(at => {STAGE}.data.samples[at][0])")


@pytest.fixture
def stage(server, visit):
    page = visit(f"{server}/neighbourhood?method=gd")
    ready(page)
    return page


@pytest.mark.parametrize("size", [(1440, 900), (1280, 720)])
def test_the_core_question_is_above_the_fold(server, visit, size):
    page = visit(f"{server}/neighbourhood?method=gd", width=size[0], height=size[1])
    ready(page)
    for part in ("finding", "strip", "panels", "tau input", "blocks", "copy", "rows > :last-child"):
        page.locator(f".rks-{part}").first.wait_for()
        box = page.locator(f".rks-{part}").first.bounding_box()
        assert box and box["y"] >= 0 and box["y"] + box["height"] <= size[1] + 1, part
    assert page.locator(".st-key-drawer").bounding_box()["y"] < size[1]
    sides = [canvas.bounding_box()["width"] for canvas in page.locator(".rks-plane canvas").all()]
    assert len(sides) == 3 and min(sides) >= 220


CUT = """(() => { const cut = [];
for (const head of document.querySelectorAll('.rks-head:not([hidden])')) {
  const range = document.createRange();
  range.selectNodeContents(head);
  const [text, box, root] = [range, head, document.querySelector('.rks-blocks')].map(e => e.getBoundingClientRect());
  if (text.top < box.top || text.bottom > box.bottom + 1 || text.right > box.right + 1 || box.right > root.right + 1)
    cut.push(head.textContent);
}
const [side, blocks] = ['.rks-copy', '.rks-blocks'].map(name => document.querySelector(name));
for (const part of [side, blocks])
  if (part.scrollHeight > part.clientHeight + 1)
    cut.push(`${part.className} ${part.scrollHeight} ${part.clientHeight}`);
const { frame, copies } = document.querySelector('.rks').stage;
if (frame.blocks.tiles.length !== copies.count) cut.push('some copies');
return cut; })()"""
RADII = f"""(() => {{ const s = {STAGE}, cut = [];
for (let t = 0; t < s.data.taus.length; t++) {{ s.radius(t, true); s.paint(); cut.push(...{CUT}); }}
return cut; }})()"""


@pytest.mark.parametrize("rows", [0, 1, 2])
@pytest.mark.parametrize("size", [(1440, 900), (1280, 720)])
def test_nothing_is_cut_above_the_rows_of_the_dock(server, visit, size, rows):
    page = visit(f"{server}/neighbourhood?method=gd", width=size[0], height=size[1])
    page.add_style_tag(content=f".stApp {{ --rk-now: {3 * rows}rem !important }}")
    ready(page)
    fetched(page)
    for tab in ("Copy", "Change it yourself"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_function(
            "[...document.querySelectorAll('.rks-rows')].some(e => e.checkVisibility() && e.children.length)"
        )
        settled(page)
        assert page.evaluate(RADII) == []
        box = page.locator(".rks-copy").bounding_box()
        assert box["y"] + box["height"] <= size[1] - 48 * rows


def test_what_is_folded_out_pushes_the_stage_down_and_hides_nothing(stage):
    for summary in stage.locator(".rks-more summary").all():
        summary.click()
    settled(stage)
    assert stage.evaluate(CUT) == []


@pytest.mark.parametrize("size", [(390, 844), (1024, 700), (1440, 2330)])
def test_headings_are_whole_at_any_width(server, visit, size):
    page = visit(f"{server}/neighbourhood?method=gd", width=size[0], height=size[1])
    ready(page)
    fetched(page)
    # in a small window the copy close up and, of many blocks, the blocks scroll
    assert [cut for cut in page.evaluate(RADII) if not cut.startswith(("rks-copy", "rks-blocks"))] == []
    beside = f"{STAGE}.frame.blocks.tiles.filter((one, _, all) => one.y === all[0].y).length"
    assert page.evaluate(beside) > 1, "copies lie beside each other"


def test_what_the_retrained_models_say_adds_up(stage):
    fetched(stage)
    said = stage.evaluate(
        f"""(() => {{ const s = {STAGE}, found = [];
        for (let t = 0; t < s.data.taus.length; t += 3) for (let i = 0; i < s.copies.count; i += 4) {{
            s.radius(t, true); s.my.copy = i; s.paint();
            found.push([...document.querySelectorAll('.rks-one .rks-says')].at(-1).textContent); }}
        return found; }})()"""
    )
    assert all(sum(int(part.split()[0]) for part in each.split(", ")) == 8 for each in said), said


def test_blocks_hold_every_copy_and_say_who_knows_them(stage):
    heads = stage.locator(".rks-head:not([hidden])").all()
    counts = [int(head.locator("b").inner_text()) for head in heads]
    assert sum(counts) == stage.evaluate(f"{STAGE}.copies.count")
    # recount by the models' own words
    telling = stage.evaluate(
        f"""(() => {{ const c = {STAGE}.copies, k = c.data.references.length; let n = 0;
        for (let i = 0; i < c.count; i++) n += c.knows('gd', i) && c.retrained(i) <= k / 2; return n; }})()"""
    )
    said = [int(head.locator("b").inner_text()) for head in stage.locator(".rks-telling:not([hidden])").all()]
    assert sum(said) == telling > 0
    # and numbers over the panels are those of the table that was stored
    number = int(stage.locator(".rks-panels b").last.inner_text())
    assert number == stage.evaluate(f"{STAGE}.copies.base.counts.gd[Math.round({STAGE}.my.t)]")


ORIGINAL, GD, BOTH = ["original"], ["gd"], ["original", "gd"]


@pytest.mark.parametrize(
    ("asked", "who", "retrained", "k", "said"),
    [
        (BOTH, BOTH, None, 0, "known to Original and GD"),
        (ORIGINAL, ORIGINAL, None, 0, "known to Original"),
        (BOTH, [], None, 0, "not known to Original or GD"),
        (BOTH, [*BOTH, "references"], [1, 1], 1, "known to Original, GD and Re-trained"),
        (BOTH, GD, [0, 0], 1, "known to GD, not to Original or Re-trained"),
        (BOTH, [*BOTH, "references"], [2, 2], 2, "known to Original, GD and both re-trained models"),
        (BOTH, BOTH, [0, 1], 2, "known to Original and GD, to at most 1 of 2 re-trained models"),
        (BOTH, BOTH, [1, 1], 2, "known to Original and GD, to 1 of 2 re-trained models"),
        (BOTH, [], [0, 0], 2, "not known to Original, GD or any re-trained model"),
        (BOTH, [*BOTH, "references"], [2, 3], 3, "known to Original, GD and at least 2 of 3 re-trained models"),
        (
            BOTH,
            [*ORIGINAL, "references"],
            [5, 7],
            8,
            "known to Original and at least 5 of 8 re-trained models, not to GD",
        ),
        (BOTH, [*BOTH, "references"], [8, 8], 8, "known to Original, GD and all 8 re-trained models"),
        (BOTH, [], [0, 4], 8, "known to at most 4 of 8 re-trained models, not to Original or GD"),
        (ORIGINAL, ["references"], [5, 5], 8, "known to 5 of 8 re-trained models, not to Original"),
    ],
)
def test_who_knows_a_block_is_true_of_every_model_in_it(browser, asked, who, retrained, k, said):
    titles = {"original": "Original", "gd": "GD", "references": "Re-trained"}
    names = [*asked, "references"] if k else asked
    page = browser.new_page()
    words = page.evaluate(
        f"""({{asked, who, retrained, k}}) => {{ {bundle("stage_copies.js")}
        return wordsOf({{asked, who: asked.filter((one) => who.includes(one.name)), retrained}}, k); }}""",
        {
            "asked": [{"name": name, "look": {"title": titles[name]}} for name in names],
            "who": who,
            "retrained": retrained,
            "k": k,
        },
    )
    page.close()
    assert words == said


def test_copies_that_are_not_those_that_were_counted_are_said_to_be_so(stage):
    fetched(stage)
    note = stage.locator(".rks-key")
    assert "drawn anew" not in note.inner_text()
    shown = "s.close = ''; s.paint(); return document.querySelector('.rks-key').textContent;"
    again = f"(() => {{ const s = {STAGE}; %s; {shown} }})()"
    assert "drawn anew" in stage.evaluate(again % "s.parts.samples.get(s.my.sample).answers[s.copies.k].same = false")
    assert "The first 20 of 500 copies" in stage.evaluate(again % "s.copies.base.draws = 500")


def drag(page, *, drawing: bool = True) -> float:
    """Move the radius to and fro with the mouse; returns the frames a second, drawn or left empty."""
    knob = page.locator(".rks-tau input").bounding_box()
    page.evaluate(
        f"""drawing => {{ const s = {STAGE}, paint = Object.getPrototypeOf(s).paint; window.frames_ = [];
        s.paint = () => {{ s.waiting = 0; drawing ? paint.call(s) : s.frame.radius.show();
            window.frames_.push(performance.now()); }}; }}""",
        drawing,
    )
    y = knob["y"] + knob["height"] / 2
    page.mouse.move(knob["x"] + 0.5 * knob["width"], y)
    page.mouse.down()
    for step in range(160):
        at = 0.5 + 0.45 * (1 - abs(step % 80 - 40) / 20)
        page.mouse.move(knob["x"] + at * knob["width"], y)
    page.mouse.up()
    frames = page.evaluate("window.frames_")
    assert len(frames) > 20
    return (len(frames) - 1) / (frames[-1] - frames[0]) * 1000


def test_dragging_the_radius_draws_at_least_thirty_frames_a_second(stage):
    fetched(stage)
    rates, empty = zip(*[(drag(stage), drag(stage, drawing=False)) for _ in range(4)], strict=True)
    # a busy machine gives fewer, also where nothing is drawn: then at least 2 of 5 that it would give
    assert max(rates) >= min(30, 0.4 * max(empty)), (rates, empty)
    assert stage.evaluate(f"Number.isInteger({STAGE}.my.t)"), "at rest it is a radius that was measured"


def test_no_key_is_lost_and_the_address_is_written_once(stage):
    fetched(stage)
    samples = order(stage)
    stage.evaluate("document.activeElement.blur()")
    before = stage.evaluate("history.length")
    for _ in range(10):
        stage.keyboard.press("ArrowRight")
        stage.wait_for_timeout(60)
    assert in_view(stage) == samples[10]
    stage.wait_for_function(f"location.search.includes('sample={samples[10]}')", timeout=20_000)
    for _ in range(3):
        stage.keyboard.press("ArrowLeft")
    settled(stage)
    assert in_view(stage) == samples[7]
    written(stage, f"sample={samples[7]}")
    assert stage.evaluate("history.length") == before


def test_the_next_sample_is_there_within_fifty_milliseconds(stage):
    took = []
    for n in range(1, 10):
        fetched(stage)
        sample = order(stage)[n]
        stage.wait_for_function(f"Object.values({STAGE}.parts.of({sample}).fields).flat().every(f => !f || f.drawn)")
        took.append(
            stage.evaluate(
                f"""async () => {{ const s = {STAGE}, start = performance.now();
                document.body.dispatchEvent(new KeyboardEvent('keydown', {{ key: 'ArrowRight', bubbles: true }}));
                while (s.root.dataset.sample !== '{sample}' || s.root.dataset.drawn !== 'true true')
                    await new Promise(requestAnimationFrame);
                return performance.now() - start; }}"""
            )
        )
    assert min(took) <= 50, took  # whatever else the machine does


def test_back_takes_one_press_whatever_was_done(server, visit):
    page = visit(server)
    page.locator("[data-testid=stSidebarNavLink]").filter(has_text="Neighbourhood").click()
    ready(page)
    settled(page)
    page.evaluate("document.activeElement.blur()")
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
        page.wait_for_timeout(450)
    page.locator(".rks-tau input").focus()
    page.keyboard.press("End")
    page.locator(".rks-cut select").select_option("copies")
    written(page, "cut=copies")
    settled(page)
    here, url = in_view(page), page.url
    assert "tau=" in url
    page.locator("[data-testid=stSidebarNavLink]").filter(has_text="Compare").click()
    page.get_by_role("heading", name="Compare").first.wait_for()
    settled(page)
    page.go_back()
    page.wait_for_url("**/neighbourhood*")
    ready(page)
    settled(page)
    assert in_view(page) == here and page.evaluate(f"{STAGE}.my.cut") == "copies"
    page.go_back()
    page.get_by_role("heading", name="What does an unlearned model").wait_for(timeout=20_000)


def test_pointing_shows_the_place_in_every_panel_and_a_copy_close_up(stage):
    fetched(stage)
    box = stage.locator(".rks-plane canvas").first.bounding_box()
    stage.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.1 * box["height"])
    stage.wait_for_function(
        "[...document.querySelectorAll('.rks-plane em')].every(e => /, \\d+%$/.test(e.textContent))"
    )
    blocks = stage.locator(".rks-blocks canvas")
    tiles = stage.evaluate(f"{STAGE}.frame.blocks.tiles")
    first, last = tiles[0], tiles[-1]
    blocks.hover(position={"x": last["x"] + 5, "y": last["y"] + 5})
    stage.wait_for_function(
        f"document.querySelector('.rks-copy .rks-title').textContent.startsWith('Copy {last['i'] + 1} of')"
    )
    blocks.click(position={"x": first["x"] + 5, "y": first["y"] + 5})
    stage.mouse.move(5, 5)
    stage.wait_for_function(
        f"document.querySelector('.rks-copy .rks-title').textContent.startsWith('Copy {first['i'] + 1} of')"
    )
    blocks.focus()
    stage.keyboard.press("ArrowRight")
    stage.wait_for_function(
        f"document.querySelector('.rks-copy .rks-title').textContent.startsWith('Copy {tiles[1]['i'] + 1} of')"
    )
    written(stage, f"copy={tiles[1]['i'] + 1}")
    assert "Sample" in stage.locator(".rks-live").inner_text()


def test_a_tapped_copy_answers_within_a_phone(server, browser):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{server}/neighbourhood?method=gd")
    ready(page)
    settled(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 391
    blocks = page.locator(".rks-blocks canvas")
    blocks.scroll_into_view_if_needed()
    tile = page.evaluate(f"{STAGE}.frame.blocks.tiles.at(-1)")
    blocks.tap(position={"x": tile["x"] + 8, "y": tile["y"] + 8})
    page.wait_for_function(
        f"document.querySelector('.rks-copy .rks-title').textContent.startsWith('Copy {tile['i'] + 1} of')"
    )
    box = page.locator(".rks-one .rks-rows").bounding_box()
    assert box["y"] >= 0 and box["y"] + box["height"] <= 845
    context.close()


def test_it_stands_still_where_less_motion_is_asked_for(server, browser):
    context = browser.new_context(reduced_motion="reduce", viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(f"{server}/neighbourhood?method=gd")
    ready(page)
    fetched(page)
    moving = page.evaluate(
        f"""async () => {{ const s = {STAGE}; s.radius(1, true); s.paint(); const a = s.extent, b = s.waiting;
        await new Promise(done => setTimeout(done, 300)); return [a === s.extent, b]; }}"""
    )
    assert moving == [True, 0]
    context.close()


def test_a_sample_is_changed_by_hand_and_every_model_answers(stage):
    fetched(stage)
    stage.get_by_role("tab", name="Change it yourself").click()
    stage.wait_for_function("document.querySelector('.rks-said').textContent.includes('re-trained models')")
    rows = stage.locator(".rks-hand .rks-rows")
    before = rows.inner_text()
    assert rows.locator(".rks-row").count() == 3
    stage.get_by_label("Brighter").focus()
    for _ in range(30):
        stage.keyboard.press("ArrowLeft")
    was = f"document.querySelector('.rks-hand .rks-rows').innerText !== {before!r}"
    stage.wait_for_function(was, timeout=20_000)
    assert in_view(stage) == order(stage)[0], "a key on a knob is no step to another sample"
    canvas = stage.locator(".rks-hand canvas").bounding_box()
    pixels = "[...document.querySelector('.rks-hand canvas').getContext('2d').getImageData(0, 0, 28, 28).data].join()"
    drawn = stage.evaluate(pixels)
    stage.mouse.move(canvas["x"] + 20, canvas["y"] + 20)
    stage.mouse.down()
    stage.mouse.move(canvas["x"] + 60, canvas["y"] + 60, steps=6)
    stage.mouse.up()
    stage.wait_for_function(f"{pixels} !== {drawn!r}", timeout=20_000)
    stage.get_by_role("button", name="Find the strongest").click()
    said = "document.querySelector('.rks-said').textContent"
    stage.wait_for_function(f"{said}.startsWith('The strongest change')", timeout=60_000)
    stage.get_by_role("button", name="Undo all").click()
    stage.wait_for_function(f"!{said}.startsWith('The strongest') && !{said}.startsWith('Trying')", timeout=20_000)
    assert rows.inner_text() == before
