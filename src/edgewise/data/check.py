"""Looking into every file of a data set before work begins; the answers are kept for an unchanged set."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from edgewise.data.cache import cache_folder
from edgewise.data.decode import check_image, image_format
from edgewise.data.listing import MAX_FILE_BYTES, Entry
from edgewise.errors import DataError, ImageError
from edgewise.records.environment import usable_cores
from edgewise.records.files import write_atomically

NO_IMAGE = "no image"
"""The verdict on a file that neither is nor claims to be an image."""

_VERSION = 1
_CHUNK = 64
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look into one file said."""

    fault: str = ""
    """Why it cannot be used; `NO_IMAGE` for stray files; empty when it can."""
    digest: str = ""
    """Hash of the whole content in hex; empty where it was not read."""


def check_files(
    entries: Sequence[Entry], identity: str, *, decode: bool = True, progress: Callable[[int, int], None] | None = None
) -> list[Verdict]:
    """Judge every file.

    Args:
        entries: the files; their order is that of the result.
        identity: what tells this set from others in the cache (its path; size and time for an archive).
        decode: decode each image fully; False only looks at names, sizes and, without a known suffix, first bytes.
        progress: called with (done, total) in this thread, about once per 64 files.
    """
    if not decode:
        return [_glance(entry) for entry in entries]
    store = cache_folder() / "checks" / f"{_key(entries, identity)}.json"
    verdicts = _recall(store, len(entries))
    if verdicts is None:
        verdicts = _examine_all(entries, progress)
        with contextlib.suppress(OSError):  # without a writable cache the next run only takes longer
            store.parent.mkdir(parents=True, exist_ok=True)
            _remember(store, verdicts)
    elif progress:
        progress(len(entries), len(entries))
    return verdicts


def _examine_all(entries: Sequence[Entry], progress: Callable[[int, int], None] | None) -> list[Verdict]:
    verdicts: list[Verdict] = []
    remaining = iter(entries)
    chunks = iter(lambda: list(islice(remaining, _CHUNK)), [])
    with ThreadPoolExecutor(usable_cores()) as pool:
        for judged in pool.map(lambda chunk: [_examine(entry) for entry in chunk], chunks):
            verdicts += judged
            if progress:
                progress(len(verdicts), len(entries))
    return verdicts


def _examine(entry: Entry) -> Verdict:
    if entry.size > MAX_FILE_BYTES:
        return Verdict("larger than 256 MiB")
    try:
        content = entry.handle.read()
    except OSError as error:
        return Verdict(f"cannot be read: {error.strerror}")
    except DataError as error:
        return Verdict(str(error))
    if image_format(content[:16]) is None and not entry.claims_image:
        return Verdict(NO_IMAGE)
    try:
        check_image(content)
    except ImageError as error:
        return Verdict(str(error))
    return Verdict("", hashlib.blake2b(content, digest_size=_DIGEST_BYTES).hexdigest())


def _glance(entry: Entry) -> Verdict:
    if entry.claims_image:
        return Verdict() if entry.size else Verdict("an empty file")
    try:
        return Verdict() if image_format(entry.handle.read()[:16]) else Verdict(NO_IMAGE)
    except (OSError, DataError) as error:
        return Verdict(f"cannot be read: {error}")


def _key(entries: Sequence[Entry], identity: str) -> str:
    digest = hashlib.sha256(f"{_VERSION}\0{identity}\0".encode("utf-8", "surrogateescape"))
    for entry in entries:
        digest.update(f"{entry.name}\0{entry.size}\0{entry.mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


def _remember(store: Path, verdicts: list[Verdict]) -> None:
    faults = {index: verdict.fault for index, verdict in enumerate(verdicts) if verdict.fault}
    content = {"faults": faults, "digests": [verdict.digest for verdict in verdicts]}
    write_atomically(store, json.dumps(content).encode())


def _recall(store: Path, count: int) -> list[Verdict] | None:
    """Return the stored verdicts, or None where there are none or they are damaged."""
    try:
        content = json.loads(store.read_bytes())
        faults, digests = content["faults"], content["digests"]
        verdicts = [Verdict(str(faults.get(str(index), "")), str(digest)) for index, digest in enumerate(digests)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return verdicts if len(verdicts) == count else None
