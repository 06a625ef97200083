"""One branch of a re-parameterisable unit."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from edgewise.blocks.reparam import ConvBN

# in a process of its own: what this is against ended the process
_STEPS = """
import torch
from edgewise.blocks.reparam import ConvBN

torch.set_num_threads(2)
branch = ConvBN(3, 48, 1, 2).to(memory_format=torch.channels_last)
images = torch.randn(32, 3, 96, 96).contiguous(memory_format=torch.channels_last)
for _ in range(5):
    out = branch(images)
    branch.zero_grad()
    out.backward(torch.randn_like(out))
print("done")
"""


def test_a_strided_branch_trains_with_channels_last() -> None:
    """(32, 3, 96, 96), five steps forward and back: oneDNN's own gradient of such a convolution's weights writes past its memory."""
    ended = subprocess.run([sys.executable, "-c", _STEPS], capture_output=True, text=True, check=False, timeout=300)

    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr[-500:]


@pytest.mark.parametrize(
    ("kernel", "stride", "groups", "dilation"), [(1, 2, 1, 1), (1, 2, 4, 1), (1, 1, 1, 1), (3, 2, 1, 1), (3, 1, 4, 2)]
)
def test_a_branch_in_training_answers_as_its_modules_do(kernel: int, stride: int, groups: int, dilation: int) -> None:
    """(4, 8, 15, 14) in float64: output and gradients equal ``bn(conv(x))``, however the branch computes it."""
    torch.manual_seed(0)
    branch = ConvBN(8, 16, kernel, stride, groups=groups, dilation=dilation).double()
    images = torch.randn(4, 8, 15, 14, dtype=torch.float64, requires_grad=True)
    inputs = (images, branch.conv.weight)

    answer, truth = branch(images), branch.bn(branch.conv(images))
    gradients, true_gradients = (torch.autograd.grad(out.sin().sum(), inputs) for out in (answer, truth))

    torch.testing.assert_close(answer, truth)
    torch.testing.assert_close(gradients, true_gradients)
