"""Loops do not wait for a GPU: what would is counted on a CPU, for every method and every measurement."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from waits import CORE, Waits

from rurk_core.data.recipes import TrainConfig
from rurk_core.measure.radius import smallest_radii
from rurk_core.measure.relearn import relearn
from rurk_core.measure.verdicts import count_verdicts
from rurk_core.models import create_model
from rurk_core.training import loop
from rurk_core.training.fit import fit
from rurk_core.training.references import fit_stacked
from rurk_core.unlearning import METHODS, importance, method_config
from rurk_core.unlearning.conformance import small_setting

EPOCHS = 6
ONCE = 12
"""Waits before and after a loop, at most: fewer than there are steps in any."""
DECIDES = {"mu_mis": 1, "ga, ceiling": 1, "ga, stop": 1}
"""Waits in a step of methods that must know a number to go on: whether the loss of a batch is high enough."""
SEARCHES = {"amun": "attack", "cr": "Newton steps"}
"""Methods that search before they train, with waits of their own; see the tests of those."""


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch):
    monkeypatch.setitem(loop.READ_EVERY, "cpu", loop.READ_EVERY["cuda"])
    monkeypatch.setattr(importance, "sample_chunk", lambda *_: 2)  # as many passes as there are of large sets


@pytest.fixture(scope="module")
def setting():
    return small_setting()


def settings_of(key):
    """The settings under which a method is held to the law; of GA also those with which it has to look."""
    method = METHODS[key]
    known = {field.name for field in method.config.settings()}
    short = {"epochs": EPOCHS, "repair_epochs": EPOCHS, "batch": 8, "forget_batch": 8, "k": 2, "noise_steps": 5}
    short = {name: value for name, value in short.items() if name in known}
    more = {"ceiling": {"ceiling": 100.0}} | ({"stop": {"stop": 1e3}} if key == "ga" else {})
    yield key, method_config(method, **short)
    for name, setting in more.items():
        if name in known:
            yield f"{key}, {name}", method_config(method, **short, **setting)


@pytest.mark.slow
@pytest.mark.parametrize("name,config", [pair for key in METHODS if key not in SEARCHES for pair in settings_of(key)])
def test_a_step_of_a_method_waits_for_nothing(name, config, setting):
    steps = []
    generator = torch.Generator().manual_seed(5)
    run = METHODS[name.split(",")[0]].run
    with Waits() as waits:
        run(setting.original, setting.retain, setting.forget, config, generator=generator,
            on_step=lambda done, total, loss: steps.append(total))  # fmt: skip
    waited = sum(waits.seen.values())
    assert waited <= ONCE + DECIDES.get(name, 0) * steps[-1] + steps[-1] / loop.READ_EVERY["cuda"] + 1, waits.seen


@pytest.mark.slow
def test_the_attack_of_amun_waits_twice_a_step(setting):
    config = method_config(METHODS["amun"], steps=10, epochs=0)
    with Waits() as waits:
        METHODS["amun"].run(setting.original, setting.retain, setting.forget, config,
                            generator=torch.Generator().manual_seed(0))  # fmt: skip
    assert sum(waits.seen.values()) <= ONCE + 2 * 8 * 10, waits.seen  # at most 8 radii


@pytest.mark.slow
def test_trainings_wait_for_nothing():
    labels = torch.arange(64) % 4
    images = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    config = TrainConfig(epochs=10, batch=8, augment="crop_flip", optimizer="muon")

    def build(seed):
        return create_model("resnet9:2", (1, 8, 8), 4, seed=seed)

    with Waits() as alone:
        fit(build(0), images, labels, config, seed=0)
    with Waits() as together:
        list(fit_stacked(build, images, labels, config, seeds=(0, 1)))
    assert sum(alone.seen.values()) == sum(together.seen.values()) == 80 / loop.READ_EVERY["cuda"]


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["gaussian", "uniform_l2", "fgsm", "pgd", "brightness"])
def test_verdicts_are_fetched_at_the_end_alone(setting, attack):
    models = {"m": setting.original, "reference-1": create_model("resnet9:4", (1, 8, 8), 4, seed=2).eval()}
    seen = []
    for taus in ((0.0, 0.1), (0.0, 0.1, 0.2, 0.3)):
        with Waits() as waits:
            count_verdicts(
                models, ["reference-1"], setting.forget.images, setting.forget.labels, range(20), attack=attack,
                taus=taus, draws=8, seed=0, classes=4, source="m", batch=16,
            )  # fmt: skip
        seen.append(sum(waits.seen.values()))
    assert seen[0] == seen[1]


def test_relearning_reads_one_loss_an_epoch(setting):
    model = create_model("resnet9:4", (1, 8, 8), 4, seed=3)
    with Waits() as waits:
        relearn(model, setting.forget.images.repeat(20, 1, 1, 1), setting.forget.labels.repeat(20), 0.0, limit=3)
    assert sum(waits.seen.values()) == 4  # before the first, and after each of three


@pytest.mark.slow
def test_the_search_of_a_radius_waits_twice_a_step(setting):
    with Waits() as waits:
        smallest_radii(setting.original, setting.forget.images, setting.forget.labels, range(20), norm="linf", steps=10)
    in_attack = [count for at, count in waits.seen.items() if at.startswith("measure/radius.py")]
    assert max(in_attack) <= 2 * 11 * 12, waits.seen


def test_waits_are_seen():
    x = torch.arange(6.0)

    def core(code):  # a line that seems to be of the core
        exec(compile(code, f"{CORE}/made_up.py", "exec"), {"x": x.clone(), "torch": torch, "F": F})

    waiting = ["x.max().item()", "bool((x > 2).any())", "x[x > 2]", "x.tolist()", "x.cpu()", "x.nonzero()",
               "x[x > 2] = x[:3].clone()", "float(x[0])", "x.unique()", "x.numpy()"]  # fmt: skip
    free = ["x[x > 2] = 0.0", "x[torch.arange(3)]", "x.sort()", "torch.where(x > 2, x, 0.0)", "x.topk(2)",
            "F.one_hot(x.long(), 6)"]  # fmt: skip
    for code in waiting:
        with Waits() as waits:
            core(code)
        assert dict(waits.seen) == {"made_up.py:1": 1}, code
    for code in free:
        with Waits() as waits:
            core(code)
        assert not waits.seen, code
