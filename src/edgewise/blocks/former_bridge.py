"""Mobile-Former's bridge: from the feature map to the tokens, and back.

Shape suffixes: N batch, M tokens, d token width, C channels of the map, h heads, c = C / h, P positions of the map (H * W).

State-dict keys and structure are those of the authors' released code, which the published parameter totals prove to be what was
trained; the paper's text (arXiv 2108.05895, section 3.2) has no gate.

The tokens' side is scaled before the product: raw features on the other side, which no norm bounds, would take it beyond what half
precision holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from edgewise.blocks.drop_path import DropPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What blocks need to know of a network's tokens; the fields are those of `spec.former_rows.TokensSpec`."""

    token_dim: int
    bridge_heads: int = 2
    former_heads: int = 4
    mlp_ratio: float = 2.0
    hyper_reduction: int = 4


class MobileToFormer(nn.Module):
    """The tokens read the map: each head's keys and values are its raw channels. (N, C, H, W), (N, M, d) to (N, M, d).

    What was read is gated by the tokens, projected, added to them and normed.
    """

    def __init__(self, num_chs: int, tokens: Tokens, *, drop_path: float = 0.0) -> None:
        super().__init__()
        self.num_heads = tokens.bridge_heads
        self.scale = (num_chs // tokens.bridge_heads) ** -0.5
        self.alpha = nn.Sequential(nn.Linear(tokens.token_dim, num_chs), nn.Hardsigmoid())
        self.q = nn.Linear(tokens.token_dim, num_chs)
        self.proj = nn.Linear(num_chs, tokens.token_dim)
        self.layer_norm = nn.LayerNorm(tokens.token_dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W), (N, M, d) -> (N, M, d)."""
        kv_NhcP = heads_of_map(x, self.num_heads)
        q_NhMc = heads_of_tokens(self.q(tokens) * self.scale, self.num_heads)
        read_NhMc = (q_NhMc @ kv_NhcP).softmax(-1) @ kv_NhcP.transpose(-1, -2)
        gated_NMC = read_NhMc.transpose(1, 2).flatten(2) * (2.0 * self.alpha(tokens))
        out: torch.Tensor = self.layer_norm(tokens + self.drop_path(self.proj(gated_NMC)))
        return out


class FormerToMobile(nn.Module):
    """Every position of the map reads the tokens: its raw channels are the queries. (N, C, H, W), (N, M, d) to (N, C, H, W)."""

    def __init__(self, num_chs: int, tokens: Tokens, *, drop_path: float = 0.0) -> None:
        super().__init__()
        self.num_heads = tokens.bridge_heads
        self.scale = (num_chs // tokens.bridge_heads) ** -0.5
        self.k = nn.Linear(tokens.token_dim, num_chs)
        self.proj = nn.Linear(tokens.token_dim, num_chs)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W), (N, M, d) -> (N, C, H, W)."""
        q_NhcP = heads_of_map(x, self.num_heads)
        k_NhMc = heads_of_tokens(self.k(tokens) * self.scale, self.num_heads)
        v_NhcM = heads_of_tokens(self.proj(tokens), self.num_heads).transpose(-1, -2)
        # scores as (M, P) and not (P, M): so the map is neither transposed before nor after
        read_NhcP = v_NhcM @ (k_NhMc @ q_NhcP).softmax(-2)
        read: torch.Tensor = self.drop_path(read_NhcP.reshape(x.shape))
        return x + read


def heads_of_map(x: torch.Tensor, num_heads: int) -> torch.Tensor:
    """(N, C, H, W) -> (N, h, C / h, H * W)."""
    return x.reshape(x.shape[0], num_heads, x.shape[1] // num_heads, -1)


def heads_of_tokens(x: torch.Tensor, num_heads: int) -> torch.Tensor:
    """(N, M, C) -> (N, h, M, C / h)."""
    return x.reshape(x.shape[0], x.shape[1], num_heads, -1).transpose(1, 2)
