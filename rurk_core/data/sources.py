"""Image sets from files: Parquet in the Hugging Face layout, folders of class folders, published archives."""

from __future__ import annotations

import hashlib
import re
import tarfile
import urllib.request
from pathlib import Path

import numpy as np

from ..errors import RurkError, UsageError
from .containers import CIFAR_ROW, Arrays, find_container, of_cifar_rows
from .dataset import Progress
from .folders import load_folder
from .images import ImageSet
from .parquet import Columns, load_parquet
from .splits import is_junk

_DEPTH = 4
"""Folders below the one that was named in which Parquet files are looked for."""
_HUB = ("hf:", "datasets")
_OPTIONS = ("size", "image", "label")


def split_path(text: str) -> tuple[Path, dict[str, str]]:
    """``"folder?size=32&label=species"`` → (folder, {"size": "32", "label": "species"}).

    Quotes around a path, as shells and file managers write them, are taken away; ``~`` is the home folder.

    Raises:
        RurkError: an option that there is not, or a size that is none.
    """
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    path, _, query = text.rpartition("?") if re.search(r"\?[a-z]+=[^?]*$", text) else (text, "", "")
    options = dict(part.partition("=")[::2] for part in query.split("&")) if query else {}
    for name in options:
        if name not in _OPTIONS:
            known = ", ".join(f"?{each}=" for each in (*_OPTIONS, "validation", "canaries"))
            raise UsageError(f"A path takes {known}, not '{name}', in '{text}'.")
    size = options.get("size", "32")
    if not (size.isascii() and size.isdigit() and 4 <= int(size) <= 1024):
        raise UsageError(f"The size in '{text}' must be a whole number from 4 to 1024.")
    return Path(path).expanduser(), options


def load_path(text: str, progress: Progress | None = None) -> ImageSet:
    """An image set from a Parquet file, a folder of Parquet files, a folder of class folders, or another container
    (:mod:`rurk_core.data.containers`); ``hf://datasets/owner/name`` is fetched from the Hugging Face hub.

    Raises:
        RurkError: nothing there, or not readable; the sentence says what.
    """
    path, options = split_path(text)
    size = int(options["size"]) if "size" in options else None
    columns = Columns(options.get("image"), options.get("label"))
    if path.parts[:2] == _HUB:
        path = from_hub("/".join(path.parts[2:]))
    try:
        if read := find_container(path):
            return read(path, size, progress)
        if path.is_file() and path.suffix.lower() == ".parquet":
            return load_parquet([path], columns=columns, size=size, progress=progress)
        if path.is_dir():
            files = parquet_below(path)
            if files:
                return load_parquet(files, root=path, columns=columns, size=size, progress=progress)
            return load_folder(path, size=size, progress=progress)
    except OSError as error:
        raise RurkError(f"The data at {path} cannot be read: {error.strerror or error}.") from None
    raise UsageError(
        f"There is no data set at '{path}': name a registered one, a Parquet file, or a folder with a folder per class."
    )


def from_hub(name: str) -> Path:
    """The folder that holds the Parquet files of a data set of the Hugging Face hub, fetched if it is not here.

    Raises:
        RurkError: the package that fetches is not installed, or the set cannot be had.
    """
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name):
        raise RurkError(f"Write a data set of the hub as hf://datasets/owner/name, not '{name}'.")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise RurkError("hf:// needs the package huggingface_hub; install it: pip install huggingface_hub") from None
    for revision in ("main", "refs/convert/parquet"):  # where a set is laid out otherwise, the hub converts it
        try:
            folder = Path(
                snapshot_download(
                    name, repo_type="dataset", revision=revision, allow_patterns=["*.parquet", "**/*.parquet"]
                )
            )
        except Exception as error:
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise RurkError(f"The data set {name} cannot be fetched from the hub: {reason}.") from None
        if parquet_below(folder):
            return folder
    raise RurkError(f"The data set {name} has no Parquet files on the hub.")


def parquet_below(folder: Path) -> list[Path]:
    """Parquet files in a folder and a few levels below it, as hubs lay them out; junk is passed over."""
    found, level = [], [folder]
    for _ in range(_DEPTH):
        inside = [path for here in level for path in sorted(here.iterdir()) if not is_junk(path.name)]
        found += [path for path in inside if path.suffix.lower() == ".parquet" and path.is_file()]
        level = [path for path in inside if path.is_dir()]
        if len(level) > 256:  # a folder per class and no table
            break
    return found


# --- published archives -------------------------------------------------------------------------------------


def fetch(url: str, target: Path, md5: str, *, progress: Progress | None = None, where: str = "") -> Path:
    """Download a file once: with progress, going on where an earlier try stopped, checked by its MD5.

    Raises:
        RurkError: it cannot be reached (the sentence says where to put the file by hand), or its checksum is wrong.
    """
    if target.is_file() and _md5(target) == md5:
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial_file = target.with_name(target.name + ".part")
    have = partial_file.stat().st_size if partial_file.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            append = reply.status == 206
            have = have if append else 0
            total = have + int(reply.headers.get("Content-Length") or 0)
            with partial_file.open("ab" if append else "wb") as out:
                while chunk := reply.read(2**18):
                    out.write(chunk)
                    have += len(chunk)
                    if progress:
                        progress(have, max(total, have), f"Downloading {target.name}")
    except (urllib.error.URLError, OSError, ValueError):
        raise RurkError(
            f"{target.name} cannot be downloaded from here; {where or f'put it into {target.parent}'}, "
            "or name a folder that has it in the variable RURK_DATA."
        ) from None
    if _md5(partial_file) != md5:
        partial_file.unlink()
        raise RurkError(
            f"The download of {target.name} was damaged (its checksum is wrong) and was removed; try again."
        )
    partial_file.replace(target)
    return target


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(2**22):
            digest.update(chunk)
    return digest.hexdigest()


def read_cifar_archive(archive: Path, *, coarse: int, names: str) -> tuple[Arrays, list[str]]:
    """(arrays, class names) of a *binary* CIFAR archive; the usual ones are pickles, which are never loaded.

    Args:
        coarse: label bytes before the one that counts (CIFAR-100 has its coarse label first).
        names: the file that lists the classes.
    """
    rows: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    classes: list[str] = []
    try:
        with tarfile.open(archive) as tar:
            for member in sorted(tar.getmembers(), key=lambda m: m.name):
                name, file = Path(member.name).name, tar.extractfile(member)
                if file and name == names:
                    classes = file.read().decode().split()
                elif file and name.endswith(".bin"):
                    part = np.frombuffer(file.read(), np.uint8).reshape(-1, coarse + 1 + CIFAR_ROW)
                    rows["test" if name.startswith("test") else "train"].append(part)
        return {split: of_cifar_rows(np.concatenate(parts)) for split, parts in rows.items()}, classes
    except (tarfile.TarError, OSError, ValueError, EOFError):
        raise RurkError(f"The archive {archive} is damaged; remove it and download it again.") from None
