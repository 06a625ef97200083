"""The weights that training starts from: fresh ones, or a file's, which a run keeps a copy of so that it never needs the file again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import nn

from edgewise.blocks.state_hash import sha256_of_state
from edgewise.data.seeds import derived_seed
from edgewise.errors import OutputError, WeightsError, shown
from edgewise.models.build import build
from edgewise.models.network import Network
from edgewise.models.weight_source import shown_source
from edgewise.models.weights import FINGERPRINT, load_weights
from edgewise.records.training import InitialWeights
from edgewise.spec.model import ModelSpec
from edgewise.train.checkpoint import save_weights
from edgewise.train.config import TrainConfig
from edgewise.train.int8_simulation import SimulatedInt8

INITIAL_WEIGHTS = "edgewise.initial_weights"
"""Metadata of a safetensors file: which file's weights its training started from, as JSON."""


def fresh_network(spec: ModelSpec, config: TrainConfig) -> Network:
    """Return a network with weights that follow from the run's seed alone."""
    torch.manual_seed(derived_seed("init", config.seed) % 2**63)
    network = build(spec, drop_rate=config.drop_rate, drop_path_rate=config.drop_path_rate)
    assert isinstance(network, Network)
    return network


@dataclass(frozen=True)
class LoadedStart:
    """A network with the weights of a file; its `spec` has the settings with which they were trained."""

    network: Network
    record: InitialWeights

    def keep(self, path: Path) -> None:
        """Write the weights to ``path``.

        Raises:
            OutputError: they cannot be written.
        """
        state = self.network.state_dict()
        metadata = {FINGERPRINT: sha256_of_state(state), INITIAL_WEIGHTS: self.record.model_dump_json()}
        result = save_weights(path, state, metadata)
        if not result.ok:
            raise OutputError(result.reason)


def load_start(spec: ModelSpec, config: TrainConfig, source: str) -> LoadedStart:
    """Load the weights that a new run starts from; a head that does not fit, as for other classes, is left out for a fresh one.

    Args:
        spec: of the network in training.
        config: of the run.
        source: what `models.weights.load_weights` takes.

    Raises:
        WeightsError: the source cannot be had, or does not fit the network.
        MissingExtraError: it is on the hub, and huggingface-hub is not installed.
    """
    network = fresh_network(spec, config)
    report = load_weights(network, source, new_head=None)
    return LoadedStart(network, InitialWeights(source=shown_source(source), sha256=report.sha256, notes=report.notes))


def start_network(spec: ModelSpec, config: TrainConfig, path: Path) -> tuple[nn.Module, InitialWeights | None]:
    """Return the network that a run starts from: with the weights at ``path`` where its config names any, else fresh.

    Raises:
        WeightsError: the file at ``path`` is missing or damaged.
        InputError: int8 is to be simulated, and the network cannot be captured.
    """
    network = fresh_network(spec, config)
    if config.weights is None:
        return network, None
    if config.qat:
        network = network.fuse()
    report = load_weights(network, path)
    initial = initial_of(report.metadata)
    if not config.qat:
        return network, initial
    return SimulatedInt8(network, config.preprocessing.img_size, spec.in_chans), initial


def initial_of(metadata: Mapping[str, str]) -> InitialWeights | None:
    """Return which file's weights the training of a weights file started from; None where they were fresh.

    Args:
        metadata: texts that the weights file carries.

    Raises:
        WeightsError: what it says cannot be read.
    """
    text = metadata.get(INITIAL_WEIGHTS)
    if text is None:
        return None
    try:
        return InitialWeights.model_validate_json(text)
    except ValidationError as error:
        raise WeightsError(f"{INITIAL_WEIGHTS} of the weights file cannot be read: {shown(text, 60)}") from error
