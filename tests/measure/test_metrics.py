"""Metrics by hand: closed forms, identities, and that one pass says what many would."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rurk_core.compare.spreads import bootstrap_interval, mean_and_deviation, reference_spread, spread_of_apart, within
from rurk_core.data import forget_set, load_dataset, to_pixels
from rurk_core.measure import scores as scores_module
from rurk_core.measure.cost import cost_share, peak_memory
from rurk_core.measure.layers import centred_gram, cka, similarities
from rurk_core.measure.membership import confidence, svc_attack
from rurk_core.measure.metrics import SHARES, average_gap, forgotten_classes, mia_accuracy, others
from rurk_core.measure.relearn import relearn
from rurk_core.measure.scores import score
from rurk_core.models import create_model


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class TestGaps:
    def test_the_papers_own_gap_comes_out(self):
        """CIFAR-10, NegGrad+ of the paper: (0.72 + 4.53 + 1.28 + 4.32) / 4 = 2.64."""
        retrain = dict(zip(SHARES, (1.0, 0.0947, 0.9330, 0.2250), strict=True))
        neggrad = dict(zip(SHARES, (0.9928, 0.14, 0.9202, 0.1818), strict=True))
        assert average_gap(neggrad, [retrain]) == pytest.approx(0.0271, abs=5e-5)

    def test_a_reference_is_held_against_the_others(self):
        a, b = dict.fromkeys(SHARES, 0.5), dict.fromkeys(SHARES, 0.7)
        assert average_gap(a, others([a, b], a)) == pytest.approx(0.2)
        assert average_gap(a, others([a], a)) is None

    def test_what_was_not_measured_has_no_gap(self):
        row = dict.fromkeys(SHARES, 0.5)
        assert average_gap(row | {"mia_accuracy": None}, [row]) is None

    def test_spread_by_hand(self):
        # t of 2 degrees 4.3027, s = √0.07, √(4/3)
        assert reference_spread([0.1, 0.2, 0.6]) == pytest.approx((-1.3145, 1.3145), abs=1e-3)
        # the same three as differences to the mean of the others: −0.3, −0.15, 0.45
        assert spread_of_apart([-0.3, -0.15, 0.45]) == pytest.approx(reference_spread([0.1, 0.2, 0.6]))
        assert spread_of_apart([1.0]) is None
        assert reference_spread([0.3]) is None
        assert within(0.45, (-0.3, 0.45)) is True and within(0.46, (-0.3, 0.45)) is False and within(0.0, None) is None

    def test_one_more_re_training_lies_within_it_in_19_of_20(self):
        rng = np.random.default_rng(0)
        for k in (2, 3, 8):
            values = rng.normal(size=(1500, k + 1))
            inside = [within(row[0] - row[1:].mean(), reference_spread(row[1:])) for row in values]
            assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


class TestIntervals:
    def test_mean_and_deviation(self):
        assert mean_and_deviation([2.0]) == (2.0, None)
        assert mean_and_deviation([1.0, 3.0]) == (2.0, pytest.approx(2**0.5))

    def test_one_seed_alone_has_an_interval_only_as_a_share(self):
        assert bootstrap_interval([0.5]) is None
        low, high = bootstrap_interval([0.5], [100])
        # the binomial's own 95%: 0.5 ± 1.96 · 0.05
        assert low == pytest.approx(0.402, abs=0.02) and high == pytest.approx(0.598, abs=0.02)

    @given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
    @settings(max_examples=30, deadline=None)
    def test_it_lies_within_the_seeds_and_around_their_mean(self, values):
        low, high = bootstrap_interval(values)
        assert min(values) - 1e-9 <= low <= np.mean(values) + 1e-9
        assert np.mean(values) - 1e-9 <= high <= max(values) + 1e-9


def alike(x, y):
    return cka(torch.stack([centred_gram(x), centred_gram(y)]))[0, 1]


class TestCka:
    def test_identity_rotation_scale_and_shift(self):
        x = normal(30, 8)
        rotation = torch.linalg.qr(normal(8, 8, seed=1)).Q
        assert alike(x, x) == pytest.approx(1, abs=1e-6)
        assert alike(x, 3 * x @ rotation + 5) == pytest.approx(1, abs=1e-5)
        assert alike(x, x @ normal(8, 8, seed=2)) < 0.99  # but not under any linear map

    def test_unbiased_hsic_by_its_definition(self):
        """Song et al. 2012, Eq. 5, in full."""

        def hsic(x, y):
            k, m = x @ x.T, y @ y.T
            k, m = k - torch.diag(k.diagonal()), m - torch.diag(m.diagonal())
            n, one = len(x), torch.ones(len(x), dtype=torch.float64)
            return (
                torch.trace(k @ m)
                + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
                - 2 / (n - 2) * (one @ k @ m @ one)
            ) / (n * (n - 3))

        x, y = normal(12, 5).double(), normal(12, 40, seed=1).double()
        expected = hsic(x, y) / (hsic(x, x) * hsic(y, y)).sqrt()
        assert alike(x, y) == pytest.approx(expected.item(), abs=1e-5)

    def test_unrelated_features_have_nothing_in_common_however_many_there_are(self):
        """The biased estimate is near 1 here: 16 samples of 20,000 features each."""
        found = [alike(normal(16, 20_000, seed=s), normal(16, 20_000, seed=s + 100)) for s in range(20)]
        assert abs(np.mean(found)) < 0.05

    def test_features_that_do_not_vary_are_undefined(self):
        assert np.isnan(alike(torch.ones(10, 3), normal(10, 3)))

    def test_too_few_samples(self):
        with pytest.raises(ValueError, match="at least 4"):
            centred_gram(normal(3, 2))


class TestRelearn:
    data = load_dataset("digits")

    def model(self, seed=0):
        return create_model("mlp:16", self.data.input_shape, 10, seed=seed)

    def test_a_target_that_is_met_takes_no_epoch(self):
        images, labels = self.data.train_images[:20], self.data.train_labels[:20]
        model = self.model()
        before = copy.deepcopy(model.state_dict())
        found = relearn(model, images, labels, 1e9)
        assert found.epochs == 0 and len(found.losses) == 1
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())

    def test_epochs_are_those_of_the_loss_curve(self):
        images, labels = self.data.train_images[:20], self.data.train_labels[:20]
        curve = relearn(self.model(), images, labels, 0.0, limit=12).losses
        assert len(curve) == 13 and curve[-1] < curve[0]
        target = curve[7] + 1e-9
        first = next(epoch for epoch, loss in enumerate(curve) if loss <= target)
        found = relearn(self.model(), images, labels, target, limit=12)
        assert found.epochs == first and found.losses == curve[: first + 1]

    def test_never_is_none(self):
        found = relearn(self.model(), self.data.train_images[:20], self.data.train_labels[:20], 0.0, limit=2)
        assert found.epochs is None and found.limit == 2 and found.to_dict()["epochs"] is None

    def test_a_loss_that_is_not_finite_ends_it(self):
        model = self.model()
        with torch.no_grad():
            model.head.weight.fill_(1e38)
        found = relearn(model, self.data.train_images[:20], self.data.train_labels[:20], 0.1)
        assert found.epochs is None and all(np.isfinite(found.losses))


class TestOnePass:
    data = load_dataset("digits")
    forget = forget_set(data, "class:0:0.5")

    def test_every_image_runs_through_the_model_once_and_the_numbers_are_those_of_a_plain_pass(self):
        model = create_model("cnn:4", self.data.input_shape, 10, seed=3)
        rows = []
        handle = model.head.register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
        found, features = score(model, self.data, torch.device("cpu"), self.forget)
        handle.remove()
        assert sum(rows) == len(self.data.train_labels) + len(self.data.test_labels)
        with torch.no_grad():
            for split in ("train", "test"):
                images, labels = getattr(self.data, f"{split}_images"), getattr(self.data, f"{split}_labels")
                logits = model(to_pixels(images))
                assert torch.equal(found[f"{split}_class"].long(), logits.argmax(1))
                of_label = logits.softmax(1).gather(1, labels[:, None])[:, 0]
                assert np.allclose(confidence(found[f"{split}_loss"]), of_label, atol=1e-5)
                kept = features[f"{split}_index"]
                last = model.features(to_pixels(images[kept]))
                assert torch.allclose(features[split].float(), last, atol=2e-2)

    def test_losses_that_decide_the_forget_set_cost_no_second_pass(self):
        """Only the 128 samples whose layers are compared, which nobody knows before, run once more."""
        model = create_model("cnn:4", self.data.input_shape, 10, seed=3)
        rows = []
        handle = model.head.register_forward_hook(lambda module, inputs, output: rows.append(len(output)))
        found, _ = score(
            model, self.data, torch.device("cpu"), lambda losses: forget_set(self.data, "hardest:70", losses=losses)
        )
        handle.remove()
        assert sum(rows) == len(self.data.train_labels) + len(self.data.test_labels) + 128
        chosen = forget_set(self.data, "hardest:70", losses=found["train_loss"])
        plain, _ = score(model, self.data, torch.device("cpu"), chosen)
        assert plain.keys() == found.keys()
        assert all(torch.allclose(plain[name].float(), found[name].float(), atol=1e-3) for name in plain)

    def test_the_forget_set_is_in_the_map_whatever_its_limit(self, monkeypatch):
        monkeypatch.setattr(scores_module, "MAP_TRAIN", 100)
        model = create_model("linear", self.data.input_shape, 10)
        _, features = score(model, self.data, torch.device("cpu"), self.forget)
        assert len(features["train_index"]) == 100 and set(self.forget.indices) <= set(features["train_index"].tolist())

    def test_similarities_of_models(self):
        models = {name: create_model("cnn:4", self.data.input_shape, 10, seed=s) for s, name in enumerate("ab")}
        found = similarities(
            {name: score(model, self.data, torch.device("cpu"), self.forget)[0] for name, model in models.items()}
        )
        assert found["models"] == ["a", "b"] and found["blocks"] == ["conv1", "conv2", "hidden", "head"]
        assert found["samples"] == {"forget": 64, "retain": 64}
        for kind in ("forget", "retain"):
            matrices = np.array(found[kind])
            assert np.allclose(matrices[:, 0, 0], 1) and np.allclose(matrices, matrices.transpose(0, 2, 1))
            assert (np.abs(matrices) <= 1).all() and matrices[-1, 0, 1] < 0.99

    def test_three_samples_have_no_layers_to_compare(self):
        few = forget_set(self.data, "indices:1,2,3")
        model = create_model("linear", self.data.input_shape, 10)
        found = similarities({"a": score(model, self.data, torch.device("cpu"), few)[0]})
        assert "forget" not in found and "retain" in found


class TestMembership:
    data = load_dataset("digits")

    def scores(self, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return {
            f"{split}_loss": torch.rand(len(getattr(self.data, f"{split}_labels")), generator=generator)
            for split in ("train", "test")
        }

    def test_half_a_class_is_sample_unlearning(self):
        forget, found = forget_set(self.data, "class:0:0.5"), self.scores()
        assert forgotten_classes(self.data, forget) == []
        keep = np.setdiff1d(np.arange(len(self.data.train_labels)), forget.indices)
        p = confidence(found["train_loss"])
        expected = svc_attack(p[keep], confidence(found["test_loss"]), p[list(forget.indices)])
        assert mia_accuracy(found, self.data, forget) == {"mia_accuracy": expected, "mia_samples": len(forget.indices)}

    def test_a_whole_class_is_judged_on_its_test_samples(self):
        """Forgotten samples have low confidence, retained ones high: whatever looks forgotten is called unseen."""
        forget, found = forget_set(self.data, "class:3"), self.scores()
        assert forgotten_classes(self.data, forget) == [3]
        held_out = self.data.test_labels == 3
        found["train_loss"][:] = 0.01
        found["train_loss"][list(forget.indices)] = 5.0
        found["test_loss"][:] = 0.01
        found["test_loss"][held_out] = 5.0
        assert mia_accuracy(found, self.data, forget) == {"mia_accuracy": 1.0, "mia_samples": int(held_out.sum())}
        found["test_loss"][held_out] = 0.01
        assert mia_accuracy(found, self.data, forget)["mia_accuracy"] == 0.0


def test_cost():
    assert cost_share(1.0, 4.0) == 0.25
    assert cost_share(1.0, 0.0) is None
    with peak_memory(torch.device("cpu")) as peak:
        block = torch.ones(100_000_000)  # 400 MB, far more than earlier tests left to the allocator
    assert peak.megabytes is None or peak.megabytes >= 200, len(block)


def test_a_run_holds_its_metrics(tiny_run):
    _, result = tiny_run
    assert set(result["cka"]["models"]) == {row["name"] for row in result["models"]}
    for row in result["models"]:
        assert 0 <= row["mia_accuracy"] <= 1 and row["mia_samples"] == 64
        assert 0 <= row["avg_gap"] <= 1
        again = row["relearn"]
        if row["role"] == "original":
            assert again is None
        else:
            assert again["epochs"] is None or again["losses"][again["epochs"]] <= again["target"]
        assert (row["cost_share"] is not None) == (row["role"] == "unlearned")
        assert (row["peak_memory_mb"] is None) or row["peak_memory_mb"] >= 0
