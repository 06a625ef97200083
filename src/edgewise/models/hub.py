"""Getting one file of a repository on the Hugging Face hub: from the cache, else over the network, else one clear line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgewise.errors import MissingExtraError, WeightsError, shown

HUB_PREFIX = "hf-hub:"


def hub_file(hub_id: str, names: Sequence[str], source: str, *, hint: str = "") -> Path:
    """Return the path of the first of ``names`` that the repository ``hub_id`` has, downloading it where needed.

    Args:
        hub_id: ``owner/name`` or ``owner/name@revision``.
        names: files, the preferred one first.
        source: what the person wrote, for messages.
        hint: what to do where the repository has none of ``names``.

    Raises:
        WeightsError: there is no such repository, revision or file, or it is neither in the cache nor within reach.
        MissingExtraError: huggingface-hub is not installed.
    """
    try:
        import huggingface_hub
        from huggingface_hub import errors
    except ImportError as error:
        raise MissingExtraError(f"{shown(source)} needs huggingface-hub: install edgewise[hub]") from error
    repository, _, revision = hub_id.partition("@")
    for name in names:
        try:
            return Path(huggingface_hub.hf_hub_download(repository, name, revision=revision or None))
        except errors.LocalEntryNotFoundError as error:
            # the hub did not answer: another of the files may be in the cache, absent ones cannot be told
            cached = _cached(repository, names, revision)
            if cached is not None:
                return cached
            raise _refused(source, _out_of_reach(f"{' or '.join(names)} of {repository}", error)) from error
        except errors.EntryNotFoundError:
            continue
        except errors.GatedRepoError as error:
            text = f"{repository} is gated; accept its terms on https://huggingface.co/{repository}, then hf auth login"
            raise _refused(source, text) from error
        except errors.RevisionNotFoundError as error:
            raise _refused(source, f"{repository} has no revision {shown(revision)}; leave it out for main") from error
        except errors.RepositoryNotFoundError as error:
            text = f"there is no repository {repository}; check the name, or hf auth login where it is private"
            raise _refused(source, text) from error
        except (OSError, ValueError) as error:
            raise _refused(source, shown(_first_line(error), 160)) from error
    raise WeightsError(f"{shown(source)} has no {' or '.join(names)} on the hub{hint and f'; {hint}'}")


def _cached(repository: str, names: Sequence[str], revision: str) -> Path | None:
    import huggingface_hub

    for name in names:
        path = huggingface_hub.try_to_load_from_cache(repository, name, revision=revision or None)
        if isinstance(path, str):
            return Path(path)
    return None


def _out_of_reach(what: str, error: Exception) -> str:
    from huggingface_hub import constants

    cache = f"not in the cache ({constants.HF_HUB_CACHE})"
    if constants.HF_HUB_OFFLINE:
        return f"{what} is {cache}, and HF_HUB_OFFLINE=1 forbids to ask; unset it once, or give a file that is here"
    reason = _first_line(error.__cause__ or error)
    return f"{what} is {cache}, and the hub is out of reach ({reason[:120]}); connect once, or give a file that is here"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _refused(source: str, reason: str) -> WeightsError:
    given = shown(source)
    meant = f"{given}:" if source.startswith(HUB_PREFIX) else f"{given} is no file here, and the hub did not give it:"
    return WeightsError(f"{meant} {reason}")
