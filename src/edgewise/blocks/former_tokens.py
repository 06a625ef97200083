"""Former: what Mobile-Former's tokens do among themselves."""

from __future__ import annotations

import torch
from torch import nn

from edgewise.blocks.drop_path import DropPath
from edgewise.blocks.former_bridge import Tokens, heads_of_tokens


class Former(nn.Module):
    """Self-attention and a feed-forward network, each added and then normed. (N, M, d) to (N, M, d).

    Keys and values are the tokens themselves; only queries and outputs are projected. That is the released code; the paper calls
    it standard multi-head attention, but projected keys and values would give 12.24 M parameters for the 294M instead of 11.42 M.
    State-dict keys are the authors'.
    """

    def __init__(self, tokens: Tokens, *, drop_path: float = 0.0) -> None:
        super().__init__()
        dim, hidden = tokens.token_dim, round(tokens.token_dim * tokens.mlp_ratio)
        self.num_heads = tokens.former_heads
        self.scale = (dim // tokens.former_heads) ** -0.5
        self.q = nn.Linear(dim, dim)
        self.channel_mlp = nn.Linear(dim, dim)
        self.layer_norm = nn.LayerNorm(dim)
        self.ffn = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.ffn_norm = nn.LayerNorm(dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, M, d) -> (N, M, d)."""
        kv_NhMc = heads_of_tokens(tokens, self.num_heads)
        q_NhMc = heads_of_tokens(self.q(tokens) * self.scale, self.num_heads)
        read_NhMc = (q_NhMc @ kv_NhMc.transpose(-1, -2)).softmax(-1) @ kv_NhMc
        mixed = self.channel_mlp(read_NhMc.transpose(1, 2).flatten(2))
        tokens = self.layer_norm(tokens + self.drop_path(mixed))
        out: torch.Tensor = self.ffn_norm(tokens + self.ffn(tokens))
        return out
