"""K re-trainings together: forked workers on a CPU, one program over stacked weights on a GPU."""

from __future__ import annotations

import multiprocessing
import queue
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..apart.reading import die_with_parent
from ..data import Images, batches
from ..data.recipes import TrainConfig
from ..device import autocast
from ..errors import RurkError
from ..models import Classifier
from .augment import seen
from .fit import fit
from .loop import OnStep, epoch_batches, report, steps_per_epoch
from .optimiser import clip, optimisers, set_rates
from .shared import Share

FORKS = "fork" in multiprocessing.get_all_start_methods()


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
    (:func:`fit_stacked`), or half of them, and half of those, where it has not the memory. Where several processes
    train together (``share``) they take one model after another.
    ``on_step`` counts the steps of all models.

    Raises:
        Diverged, Cancelled: as in :func:`fit`; models finished before are already yielded.
    """
    if share:
        yield from _fit_one_after_another(build, images, labels, config, seeds, on_step, share)
    elif images.device.type == "cuda":
        yield from _fit_in_stacks(build, images, labels, config, seeds, on_step)
    elif not FORKS:
        yield from _fit_one_after_another(build, images, labels, config, seeds, on_step)
    else:
        yield from _fit_in_workers(build, images, labels, config, seeds, on_step, workers)


def at_once(device: torch.device, models: int, share: Share | None = None) -> int:
    """How many of ``models`` :func:`fit_references` trains side by side there, where memory allows."""
    if device.type == "cuda" and not share:
        return models
    return 1 if share or not FORKS else min(models, torch.get_num_threads())


def _fit_one_after_another(
    build, images, labels, config, seeds, on_step, share=None
) -> Iterator[tuple[int, Classifier]]:
    for done, seed in enumerate(seeds):

        def counted(step: int, steps: int, loss: float, done: int = done) -> None:
            if on_step:
                on_step(done * steps + step, len(seeds) * steps, loss)

        yield seed, fit(build(seed), images, labels, config, seed=seed, on_step=counted, share=share)


def _work(messages, build, images, labels, config, seeds: Sequence[int]) -> None:
    """What a worker does: its models one after another, in one thread; all it has to say goes to the queue."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()  # its pipe never breaks: a child holds both ends of it
    torch.set_num_threads(1)
    try:
        for seed in seeds:

            def tell(step: int, steps: int, loss: float, seed: int = seed) -> None:
                if step % 10 == 0 or step == steps:
                    messages.put(("step", seed, (step, steps, loss)))

            model = fit(build(seed), images, labels, config, seed=seed, on_step=tell)
            # numpy arrays travel through the pipe by value; tensors would go through shared memory, which
            # is gone when the child ends first.
            messages.put(("model", seed, {k: v.contiguous().numpy() for k, v in model.state_dict().items()}))
    except RurkError as error:
        messages.put(("error", None, str(error)))
    except Exception as error:
        traceback.print_exc()
        messages.put(("error", None, f"A reference could not be trained: {type(error).__name__}: {error}"))


def _fit_in_workers(build, images, labels, config, seeds, on_step, workers) -> Iterator[tuple[int, Classifier]]:
    # fork, not spawn: a child starts in milliseconds with torch loaded and the data shared copy-on-write. It is
    # safe here because a child runs single-threaded and never touches a GPU.
    context = multiprocessing.get_context("fork")
    workers = min(len(seeds), workers or torch.get_num_threads())
    messages = context.Queue()

    given = (messages, build, images, labels, config)
    children = [context.Process(target=_work, args=(*given, seeds[w::workers]), daemon=True) for w in range(workers)]
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


def _fit_in_stacks(build, images, labels, config, seeds, on_step) -> Iterator[tuple[int, Classifier]]:
    size, done = len(seeds), 0
    while done < len(seeds):
        part = seeds[done : done + size]

        def counted(step: int, steps: int, loss: float, done: int = done, n: int = len(part)) -> None:
            if on_step:
                on_step(done * steps + n * step, len(seeds) * steps, loss)

        try:
            for seed, model in fit_stacked(build, images, labels, config, seeds=part, on_step=counted):
                done += 1
                yield seed, model
        except torch.OutOfMemoryError:  # before any of this part is finished
            if size == 1:
                raise
            size = (size + 1) // 2


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
    movers = optimisers(parameters.values(), config, stacked=True)
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
            set_rates(movers, config, step, steps)
            seen_by = zip(rows, generators, indices, strict=True)
            pixels = torch.stack([seen(part, config, epoch, generator, index) for part, generator, index in seen_by])
            target = torch.stack([labels[index] for index in indices])
            for mover in movers:
                mover.zero_grad(set_to_none=True)
            with autocast(device, config.precision):
                each = vmap(losses)(parameters, buffers, pixels, target)
            each.sum().backward()
            clip(parameters.values(), config.clip, stacked=True)
            for mover in movers:
                mover.step()
            step += 1
            report(on_step, step, steps, each.mean(), "training the references")
    for k, (seed, model) in enumerate(zip(seeds, models, strict=True)):
        model.load_state_dict({name: value[k].detach() for name, value in (parameters | buffers).items()})
        yield seed, model.eval()
