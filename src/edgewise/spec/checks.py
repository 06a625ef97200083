"""Whether the rows of a network fit together: what no row can see alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgewise.spec.former_rows import BneckLiteSpec, FormerDownSpec, FormerSpec, TokensSpec
from edgewise.spec.heads import ConvHeadSpec, NormLinearHeadSpec, PoolHeadSpec, TokenHeadSpec
from edgewise.spec.mobilenet_rows import ConvSpec
from edgewise.spec.rep_rows import MobileOneSpec, RepVGGSpec, RepViTDownSpec, RepViTSpec, RepViTStemSpec
from edgewise.spec.row import Row
from edgewise.spec.rows import LAYER_SCALE_ROWS, TOKEN_ROWS
from edgewise.spec.walk import Step, walk

if TYPE_CHECKING:
    from edgewise.spec.model import ModelSpec

MAX_ROWS = 1024
"""Of a whole network: twenty times the deepest one of the catalogue."""

REP_ROWS = (RepVGGSpec, MobileOneSpec, RepViTSpec, RepViTDownSpec)


def check_rows(spec: ModelSpec) -> list[str]:
    """Return what does not fit in ``spec``, each with its place; empty for a sound network."""
    problems = [
        f"stages[{stage}] is empty; a stage needs at least one row"
        for stage, rows in enumerate(spec.stages)
        if not rows
    ]
    if problems or not spec.stages:
        return problems or ["stages is empty; a network needs at least one"]
    num_rows = sum(map(len, spec.stages))
    if num_rows > MAX_ROWS:
        return [f"stages has {num_rows} rows; at most {MAX_ROWS} are accepted"]
    problems = [
        *_whole(spec),
        *(f"stem{problem}" for problem in _branches(spec.stem, spec.in_chans, spec.stem.out_chs)),
    ]
    for step in walk(spec):
        problems += [f"{step.path}{problem}" for problem in _row(spec, step)]
    return problems


def _whole(spec: ModelSpec) -> Iterator[str]:
    kinds = [step.row for step in walk(spec)]
    if spec.tokens is not None and not isinstance(spec.stem, ConvSpec):
        yield f"stem.kind is {spec.stem.kind!r}; with tokens it must be 'conv'"
    if spec.tokens is not None and not any(isinstance(row, TOKEN_ROWS) for row in kinds):
        yield "tokens are set, but no row reads them; leave them out or use rows of kind 'former', 'former_down' or 'former_uib'"
    yield from _head(spec)
    if spec.padding == "same" and any(isinstance(row, (*REP_ROWS, RepViTStemSpec)) for row in (spec.stem, *kinds)):
        yield "padding is 'same', under which branches cannot be folded into one convolution; accepted here: 'symmetric'"
    strided = next((row for row in kinds if isinstance(row, REP_ROWS) and getattr(row, "stride", 1) > 1), None)
    if spec.downsample != "stride" and strided is not None:
        yield f"downsample is {spec.downsample!r}, which rows of kind {strided.kind!r} do not offer; accepted here: 'stride'"
    elif spec.downsample != "stride" and all(getattr(row, "stride", 1) == 1 for row in kinds):
        yield f"downsample is {spec.downsample!r}, which has no effect where no row of the stages halves the map; leave it out"
    if spec.layer_scale_init is not None and not any(isinstance(row, LAYER_SCALE_ROWS) for row in kinds):
        yield f"layer_scale_init is {spec.layer_scale_init:g}, but no row has a layer scale; leave it out"


def _head(spec: ModelSpec) -> Iterator[str]:
    if isinstance(spec.head, TokenHeadSpec) != (spec.tokens is not None):
        yield f"head.kind is {spec.head.kind!r}; 'token' goes with tokens, and tokens with 'token'"
        return
    if isinstance(spec.head, TokenHeadSpec):
        yield from _token_head(spec, spec.head)
        return
    own_names = isinstance(spec.stem, ConvSpec)
    accepted = (ConvHeadSpec, PoolHeadSpec) if own_names else (PoolHeadSpec, NormLinearHeadSpec)
    if not isinstance(spec.head, accepted):
        names = "', '".join(str(head.model_fields["kind"].default) for head in accepted)
        yield f"head.kind is {spec.head.kind!r}; with stem.kind={spec.stem.kind!r} accepted: '{names}'"


def _token_head(spec: ModelSpec, head: TokenHeadSpec) -> Iterator[str]:
    last_chs = list(walk(spec))[-1].out_chs
    for problem in _divides("groups", head.groups, last_chs, head.conv_chs):
        yield f"head{problem}"
    if spec.tokens is not None and last_chs % spec.tokens.bridge_heads:
        yield f"the last map has {last_chs} channels, which tokens.bridge_heads={spec.tokens.bridge_heads} does not divide"


def _row(spec: ModelSpec, step: Step) -> Iterator[str]:
    row = step.row
    if isinstance(row, TOKEN_ROWS) and spec.tokens is None:
        yield f".kind is {row.kind!r}, which reads tokens; set tokens"
        return
    yield from _branches(row, step.in_chs, step.out_chs)
    yield from _depthwise_expansions(row, step)
    if isinstance(row, TOKEN_ROWS) and spec.tokens is not None:
        yield from _bridge(step, spec.tokens)


def _branches(row: Row, in_chs: int, out_chs: int) -> Iterator[str]:
    stride = getattr(row, "stride", 1)
    if getattr(row, "skip", True) is False and (stride > 1 or in_chs != out_chs):
        yield f".skip is False, which has no effect at stride {stride} from {in_chs} to {out_chs} channels; leave it out"
    if isinstance(row, RepVGGSpec):
        yield from _divides("groups", row.groups, in_chs, out_chs)
    elif isinstance(row, MobileOneSpec) and row.depthwise and out_chs % in_chs:
        yield f".out_chs is {out_chs}; a depthwise row gives a multiple of its {in_chs} input channels"


def _depthwise_expansions(row: object, step: Step) -> Iterator[str]:
    if isinstance(row, BneckLiteSpec | FormerDownSpec) and row.mid_chs % step.in_chs:
        yield f".mid_chs is {row.mid_chs}; its depthwise gives a multiple of the {step.in_chs} input channels"
    if isinstance(row, FormerDownSpec) and row.second_mid_chs % row.out_chs:
        yield f".second_mid_chs is {row.second_mid_chs}; its depthwise gives a multiple of out_chs={row.out_chs}"
    if isinstance(row, BneckLiteSpec | FormerDownSpec):
        yield from _divides("groups", row.groups, row.mid_chs, row.out_chs)
    if isinstance(row, FormerSpec):
        yield from _divides("groups", row.groups, step.in_chs, row.mid_chs, row.out_chs)


def _bridge(step: Step, tokens: TokensSpec) -> Iterator[str]:
    for what, chs in (("input", step.in_chs), ("out_chs", step.out_chs)):
        if chs % tokens.bridge_heads:
            yield f" bridges {chs} channels ({what}), which tokens.bridge_heads={tokens.bridge_heads} does not divide"


def _divides(field: str, value: int, *widths: int) -> Iterator[str]:
    if any(width % value for width in widths):
        yield f".{field} is {value}, which does not divide {' and '.join(map(str, dict.fromkeys(widths)))} channels"
