"""Networks with the names of Mobile-Former's authors: tokens go along from row to row, and one of them joins the pooled map."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from edgewise.blocks.activations import make_act
from edgewise.blocks.conv import Conv
from edgewise.blocks.conv_norm import Norm
from edgewise.blocks.former_bridge import MobileToFormer, Tokens
from edgewise.blocks.former_head import TokenHead
from edgewise.models.network import Network
from edgewise.models.trunk import TrunkOutput
from edgewise.spec.heads import TokenHeadSpec
from edgewise.spec.model import ModelSpec
from edgewise.spec.rows import ConvSpec


class FormerNetwork(Network):
    """A stem convolution, tokens, rows in one list, a last reading of the map by the tokens, a head on pooled map and first token.

    The last map and the first token leave `forward_features` as one tensor: the token as channels behind the map's, the same at
    every position.
    """

    head_names = ("local_global", "classifier")

    def __init__(self, spec: ModelSpec, blocks: Sequence[nn.Module], tokens: Tokens, *, drop_rate: float = 0.0) -> None:
        super().__init__(spec, drop_rate=drop_rate)
        stem, head = spec.stem, spec.head
        assert isinstance(stem, ConvSpec)
        assert isinstance(head, TokenHeadSpec)
        assert spec.tokens is not None
        norm = Norm(spec.norm.eps, spec.norm.momentum)
        # not nn.Embedding(…), which draws at once: on meta that takes torch a second; `init_weights` draws
        start = torch.empty(spec.tokens.num_tokens, tokens.token_dim)
        self.tokens: nn.Embedding = nn.Embedding.from_pretrained(start, freeze=False)  # type: ignore[no-untyped-call]
        self.stem = nn.Sequential(
            Conv(spec.padding)(spec.in_chans, stem.out_chs, stem.kernel, stem.stride),
            norm(stem.out_chs),
            make_act(stem.act or spec.act, stem.out_chs),
        )
        self.features = nn.ModuleList(blocks)
        self.map_chs = self.feature_info.last_chs
        self.num_features = self.map_chs + tokens.token_dim
        self.head_hidden_size = head.hidden_chs
        self.local_global = MobileToFormer(self.map_chs, tokens)
        self.classifier = TokenHead(
            self.map_chs,
            tokens.token_dim,
            head.conv_chs,
            head.hidden_chs,
            spec.num_classes,
            head.groups,
            spec.act,
            norm=norm,
            drop_rate=drop_rate,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in_chans, H, W) -> (N, num_classes) logits."""
        out = self._trunk(x)
        logits: torch.Tensor = self.classifier(out.last, self._first_token(out))
        return logits

    def _first_token(self, out: TrunkOutput) -> torch.Tensor:
        assert out.tokens is not None
        tokens: torch.Tensor = self.local_global(out.last, out.tokens)
        return tokens[:, 0]

    def _features(self, out: TrunkOutput) -> torch.Tensor:
        token = self._first_token(out)[:, :, None, None].expand(-1, -1, *out.last.shape[2:])
        return torch.cat((out.last, token), dim=1)

    def forward_head(self, x: torch.Tensor, pre_logits: bool = False) -> torch.Tensor:
        """(N, num_features, h, w) -> (N, num_classes) logits, or (N, head_hidden_size) with ``pre_logits``."""
        logits: torch.Tensor = self.classifier(x[:, : self.map_chs], x[:, self.map_chs :, 0, 0], pre_logits)
        return logits

    def get_classifier(self) -> nn.Module:
        """Return the last linear layer, or an identity with `num_classes` 0."""
        return self.classifier.classifier[1]

    def _set_classifier(self, num_classes: int) -> None:
        self.classifier.reset(num_classes)
