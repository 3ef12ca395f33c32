"""One trainer for every model: the Original and a Re-train differ only in the indices they see.

Data lives on the device as one tensor; a batch is an index slice of it, so there are no loader workers and no
image library in the loop. What does not fit there is streamed (:mod:`rurk_core.data.stream`). K references are trained
together: on a CPU by forked single-threaded workers, on a GPU by one program over stacked weights.
"""

from __future__ import annotations

import math
import multiprocessing
import queue
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config import Config, choice, number
from .data import Images, batches, to_pixels
from .errors import RurkError, UsageError
from .models import Classifier
from .together import Share, spread

OnStep = Callable[[int, int, float], None]
"""Called as ``on_step(steps done, steps in all, loss)``; raising :class:`Cancelled` in it stops the work."""


class Diverged(RurkError):
    """A loss became NaN or infinite."""


@dataclass(frozen=True)
class TrainConfig(Config):
    """How an Original or a Re-train is trained."""

    epochs: int = number(30, 0, 10_000, "passes over the training samples")
    lr: float = number(0.1, 0.0, 100.0, "peak learning rate of SGD")
    momentum: float = number(0.9, 0.0, 0.999, "momentum (Nesterov)")
    weight_decay: float = number(5e-4, 0.0, 1.0, "L2 pull of every weight towards 0")
    batch: int = number(128, 2, 65_536, "samples in a step")
    schedule: str = choice("one_cycle", ("one_cycle", "cosine", "constant"), "how the learning rate moves")
    label_smoothing: float = number(0.0, 0.0, 0.9, "share of the target spread over all classes")
    augment: str = choice("none", ("none", "flip", "crop_flip"), "random changes of the training images")
    grow: float = number(0.0, 0.0, 0.9, "first share of the epochs, trained on images of 3/4 the size: cheaper")
    precision: str = choice(
        "auto",
        ("auto", "float32", "bfloat16"),
        "arithmetic; auto takes bfloat16 where the device is fast at it",
    )


def fit(
    model: Classifier,
    images: Images,
    labels: Tensor,
    config: TrainConfig,
    *,
    seed: int,
    on_step: OnStep | None = None,
    share: Share | None = None,
) -> Classifier:
    """Train ``model`` in place on the device of ``images`` and return it in eval mode.

    Args:
        images: uint8 or float32, N×C×H×W or N×D, on the device to train on, or streamed to it.
        labels: int64 N, on the same device.
        seed: orders and augments the batches; equal seeds give equal weights on one machine.
        on_step: progress; on a GPU called every 20 steps, so that the loop never waits for the host.
        share: the part of this process in every batch, where all of ``torch.distributed`` train this model together.

    Raises:
        UsageError: the batches are too small for so many processes.
        Diverged: the loss is NaN or infinite.
        Cancelled: raised by ``on_step``.
    """
    device = images.device
    place(model, images).train()
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
    )
    generator = torch.Generator(device).manual_seed(seed)
    each = steps_per_epoch(len(images), config.batch)
    steps, step = config.epochs * each, 0
    if share and len(images) // each < 2 * share.world:
        raise UsageError(f"Batches of {len(images) // each} samples cannot be dealt out to {share.world} processes.")
    trained = spread(model) if share else model
    for epoch in range(config.epochs):
        order = list(epoch_batches(len(images), config.batch, generator))
        parts = [share.of(index) for index in order] if share else order
        for whole, index, rows in zip(order, parts, batches(images, parts), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, step, steps)
            pixels = seen(rows, config, epoch, generator, share.start(len(whole)) if share else 0, len(whole))
            optimizer.zero_grad(set_to_none=True)
            with autocast(device, config.precision):
                loss = F.cross_entropy(
                    trained(pixels.contiguous(memory_format=memory_format(pixels))),
                    labels[index],
                    label_smoothing=config.label_smoothing,
                )
            (loss * share.weight(len(whole)) if share else loss).backward()
            optimizer.step()
            step += 1
            report(on_step, step, steps, loss, "training")
    optimizer.zero_grad(set_to_none=True)
    return model.eval()


def fit_references(
    build: Callable[[int], Classifier],
    images: Images,
    labels: Tensor,
    config: TrainConfig,
    *,
    seeds: Sequence[int],
    on_step: OnStep | None = None,
    workers: int | None = None,
    share: Share | None = None,
) -> Iterator[tuple[int, Classifier]]:
    """Train one model per seed, all together, yielding ``(seed, model)`` as each is finished.

    On a CPU the models are spread over ``workers`` single-threaded processes (default: one a core): small
    networks do not fill two cores, several of them do. On a GPU all models are one stacked program
    (:func:`fit_stacked`). Where several processes train together (``share``) they take one model after another.
    ``on_step`` counts the steps of all models.

    Raises:
        Diverged, Cancelled: as in :func:`fit`; models finished before are already yielded.
    """
    if share:
        yield from _fit_one_after_another(build, images, labels, config, seeds, on_step, share)
    elif images.device.type == "cuda":
        yield from fit_stacked(build, images, labels, config, seeds=seeds, on_step=on_step)
    elif not hasattr(multiprocessing, "get_context") or "fork" not in multiprocessing.get_all_start_methods():
        yield from _fit_one_after_another(build, images, labels, config, seeds, on_step)
    else:
        yield from _fit_in_workers(build, images, labels, config, seeds, on_step, workers)


def _fit_one_after_another(
    build, images, labels, config, seeds, on_step, share=None
) -> Iterator[tuple[int, Classifier]]:
    for done, seed in enumerate(seeds):

        def counted(step: int, steps: int, loss: float, done: int = done) -> None:
            if on_step:
                on_step(done * steps + step, len(seeds) * steps, loss)

        yield seed, fit(build(seed), images, labels, config, seed=seed, on_step=counted, share=share)


def _fit_in_workers(build, images, labels, config, seeds, on_step, workers) -> Iterator[tuple[int, Classifier]]:
    # fork, not spawn: a child starts in milliseconds with torch loaded and the data shared copy-on-write. It is
    # safe here because a child runs single-threaded and never touches a GPU.
    context = multiprocessing.get_context("fork")
    workers = min(len(seeds), workers or torch.get_num_threads())
    messages = context.Queue()

    def work(mine: Sequence[int]) -> None:
        torch.set_num_threads(1)
        try:
            for seed in mine:

                def tell(step: int, steps: int, loss: float) -> None:
                    if step % 10 == 0 or step == steps:
                        messages.put(("step", seed, (step, steps, loss)))  # noqa: B023

                model = fit(build(seed), images, labels, config, seed=seed, on_step=tell)
                # numpy arrays travel through the pipe by value; tensors would go through shared memory, which
                # is gone when the child ends first.
                messages.put(("model", seed, {k: v.contiguous().numpy() for k, v in model.state_dict().items()}))
        except RurkError as error:
            messages.put(("error", None, str(error)))
        except Exception as error:
            traceback.print_exc()
            messages.put(("error", None, f"A reference could not be trained: {type(error).__name__}: {error}"))

    children = [context.Process(target=work, args=(seeds[w::workers],), daemon=True) for w in range(workers)]
    for child in children:
        child.start()
    done: dict[int, int] = dict.fromkeys(seeds, 0)
    steps, loss = 1, 0.0
    left = len(seeds)
    try:
        while left:
            try:
                kind, seed, payload = messages.get(timeout=0.5)
            except queue.Empty:
                if on_step and any(done.values()):
                    on_step(sum(done.values()), steps * len(seeds), loss)  # a chance to cancel
                dead = [c for c in children if c.exitcode not in (None, 0)]
                if dead and messages.empty():
                    raise RurkError(
                        "A worker that trained references was killed, most likely for lack of memory; "
                        "ask for fewer references or a smaller model."
                    ) from None
                continue
            if kind == "error":
                raise RurkError(payload)
            if kind == "step":
                done[seed], steps, loss = payload
                if on_step:
                    on_step(sum(done.values()), steps * len(seeds), loss)
            else:
                left -= 1
                model = build(seed)
                model.load_state_dict({name: torch.from_numpy(value) for name, value in payload.items()})
                yield seed, model.eval()
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.join()


def fit_stacked(
    build: Callable[[int], Classifier],
    images: Images,
    labels: Tensor,
    config: TrainConfig,
    *,
    seeds: Sequence[int],
    on_step: OnStep | None = None,
) -> Iterator[tuple[int, Classifier]]:
    """K models as one program over stacked weights (``torch.func.stack_module_state`` + ``vmap``).

    Every model keeps its own order of batches and its own batch statistics, so each equals the model that
    :func:`fit` trains with the same seed up to rounding. Pays on a GPU, where one small network leaves most of
    the device idle.
    """
    from torch.func import functional_call, stack_module_state, vmap

    device = images.device
    models = [build(seed).to(device).train() for seed in seeds]
    parameters, buffers = stack_module_state(models)
    template = models[0]
    optimizer = torch.optim.SGD(
        parameters.values(),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.momentum > 0,
    )
    generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]
    steps = config.epochs * steps_per_epoch(len(images), config.batch)

    def losses(params: dict[str, Tensor], state: dict[str, Tensor], pixels: Tensor, target: Tensor) -> Tensor:
        logits = functional_call(template, (params, state), (pixels,))
        return F.cross_entropy(logits, target, label_smoothing=config.label_smoothing)

    step = 0
    for epoch in range(config.epochs):
        orders = [list(epoch_batches(len(images), config.batch, generator)) for generator in generators]
        read = zip(*[batches(images, order) for order in orders], strict=True)
        for indices, rows in zip(zip(*orders, strict=True), read, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, step, steps)
            seen_by = zip(rows, generators, strict=True)
            pixels = torch.stack([seen(part, config, epoch, generator) for part, generator in seen_by])
            target = torch.stack([labels[index] for index in indices])
            optimizer.zero_grad(set_to_none=True)
            with autocast(device, config.precision):
                each = vmap(losses)(parameters, buffers, pixels, target)
            each.sum().backward()
            optimizer.step()
            step += 1
            report(on_step, step, steps, each.mean(), "training the references")
    for k, (seed, model) in enumerate(zip(seeds, models, strict=True)):
        model.load_state_dict({name: value[k].detach() for name, value in (parameters | buffers).items()})
        yield seed, model.eval()


# --- the parts of a training loop, shared with the unlearning methods -------------------------------------


def steps_per_epoch(samples: int, batch: int) -> int:
    """⌈samples / batch⌉."""
    return math.ceil(samples / batch)


def epoch_batches(samples: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """A random order of ``range(samples)`` in ⌈samples / batch⌉ batches of nearly equal size.

    Nearly equal, so that no epoch ends on a batch of one, whose batch statistics are void.
    """
    order = torch.randperm(samples, generator=generator, device=generator.device)
    yield from order.tensor_split(steps_per_epoch(samples, batch))


def learning_rate(config: TrainConfig, step: int, steps: int) -> float:
    """The rate of step ``step`` (from 0) of ``steps``.

    ``one_cycle``: linear from 0.1 to the peak over the first quarter, linear to 0 over the rest.
    ``cosine``: half a cosine from the peak to 0.
    """
    done = step / max(1, steps)
    if config.schedule == "one_cycle":
        rise = 0.25
        return config.lr * (0.1 + 0.9 * done / rise if done < rise else (1 - done) / (1 - rise))
    if config.schedule == "cosine":
        return config.lr * 0.5 * (1 + math.cos(math.pi * done))
    return config.lr


def seen(
    images: Tensor,
    config: TrainConfig,
    epoch: int,
    generator: torch.Generator,
    start: int = 0,
    whole: int = 0,
) -> Tensor:
    """What the network sees of a batch in an epoch: float pixels, augmented, and smaller in the first epochs."""
    pixels = augment(to_pixels(images), config.augment, generator, start=start, whole=whole)
    if pixels.dim() == 4 and epoch < int(config.grow * config.epochs):
        return F.interpolate(pixels, scale_factor=0.75, mode="bilinear")
    return pixels


def augment(
    pixels: Tensor, kind: str, generator: torch.Generator, *, pad: int = 4, start: int = 0, whole: int | None = None
) -> Tensor:
    """Random horizontal flip and, for ``crop_flip``, a random crop after padding by ``pad`` reflected pixels.

    float32 N×C×H×W → the same shape, on the device of ``pixels``; every sample is drawn on its own. Where the pixels
    are the part from ``start`` on of a batch of ``whole``, what is drawn is drawn for the batch.
    """
    if kind == "none" or pixels.dim() != 4:
        return pixels
    n, _, height, width = pixels.shape
    whole, mine = whole or n, slice(start, start + n)
    flip = torch.rand(whole, generator=generator, device=pixels.device)[mine] < 0.5
    pixels = torch.where(flip[:, None, None, None], pixels.flip(-1), pixels)
    if kind == "flip":
        return pixels
    windows = F.pad(pixels, (pad,) * 4, mode="reflect").unfold(2, height, 1).unfold(3, width, 1)
    shift = torch.randint(2 * pad + 1, (2, whole), generator=generator, device=pixels.device)[:, mine]
    return windows[torch.arange(n, device=pixels.device), :, shift[0], shift[1]]


def report(on_step: OnStep | None, step: int, steps: int, loss: Tensor, what: str) -> None:
    """Check the loss and tell the caller; on a GPU only every 20 steps, since reading a loss waits for it.

    Raises:
        Diverged: the loss is not finite; the message names ``what`` and the step.
    """
    if loss.is_cuda and step % 20 and step != steps:
        return
    value = float(loss.detach())
    if not math.isfinite(value):
        raise Diverged(
            f"The loss became {value} at step {step} of {steps} while {what}; lower the learning rate "
            "or the weight of the term that is maximised."
        )
    if on_step:
        on_step(step, steps, value)


def default_device() -> torch.device:
    """The first GPU, or the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def find_device(name: str) -> torch.device:
    """The device called "auto", "cpu", "cuda" or "cuda:1".

    Raises:
        UsageError: it is not there.
    """
    try:
        device = default_device() if name == "auto" else torch.device(name)
    except RuntimeError:
        raise UsageError(f"There is no device '{name}'; write cpu, cuda or cuda:1.") from None
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if device.type not in ("cpu", "cuda") or (device.type == "cuda" and (device.index or 0) >= count):
        raise UsageError(f"The device '{name}' is not there; this machine has {count} GPUs and a CPU.")
    return device


def find_devices(names: str) -> tuple[torch.device, ...]:
    """The devices of "cuda:0,cuda:1", or of one name as :func:`find_device` takes it; "all" is every GPU.

    Raises:
        UsageError: one is not there.
    """
    if names == "all" and torch.cuda.device_count():
        return tuple(torch.device("cuda", index) for index in range(torch.cuda.device_count()))
    return tuple(find_device("auto" if name.strip() == "all" else name.strip()) for name in names.split(","))


def device_name(device: torch.device) -> str:
    """A device in words: "cpu (2 threads)" or the GPU's name."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"cpu ({torch.get_num_threads()} threads)"


def device_names(devices: Sequence[torch.device]) -> str:
    """What a result document calls them."""
    return ", ".join(map(device_name, devices))


def place(model: Classifier, images: Images) -> Classifier:
    """Move ``model`` (in place) to the device of ``images`` and into their memory format."""
    return model.to(images.device).to(memory_format=memory_format(images))


def memory_format(images: Images) -> torch.memory_format:
    """channels-last for images: convolutions run 1.5 to 3 times faster in it on a CPU."""
    return torch.channels_last if images.dim() == 4 else torch.contiguous_format


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is the faster arithmetic there.

    On CPUs without AMX or AVX-512-BF16 it is emulated: training was measured 15 times slower than float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context of a precision setting; weights and optimiser state stay float32."""
    use = precision == "bfloat16" or (precision == "auto" and fast_bfloat16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=use)


def default_batch(shape: tuple[int, ...], device: torch.device) -> int:
    """Images in a forward pass: 128 CIFAR images or 512 digits on a CPU (its cache), 256 MB on a GPU."""
    pixels = 4 * math.prod(shape)
    if device.type == "cuda":
        return min(max(256 * 2**20 // pixels, 32), 16_384)
    return min(max(3 * 2**19 // pixels, 32), 512)


@torch.no_grad()
def logits_of(model: nn.Module, images: Images, *, on_chunk: Callable[[int, int], None] | None = None) -> Tensor:
    """float32 logits N×classes, on the CPU, of uint8 or float32 images wherever they lie; eval mode, in chunks.

    The model stays on its device and in its memory format; ``on_chunk(done, total)`` may raise to stop.
    """
    model.eval()
    device = next(model.parameters()).device
    parts = []
    for chunk in images.split(default_batch(tuple(images.shape[1:]), device)):
        pixels = to_pixels(chunk.to(device))
        parts.append(model(pixels.contiguous(memory_format=memory_format(pixels))).float())
        if on_chunk:
            on_chunk(sum(map(len, parts)), len(images))
    return torch.cat(parts).cpu()  # at once: a device is not kept waiting after every chunk
