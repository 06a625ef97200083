"""All foreign layouts."""

from __future__ import annotations

from edgewise.models.foreign.layout import ForeignLayout
from edgewise.models.foreign.mobileone_authors import MOBILEONE_AUTHORS
from edgewise.models.foreign.repvgg_authors import REPVGG_AUTHORS
from edgewise.models.foreign.repvit_authors import REPVIT_AUTHORS
from edgewise.models.foreign.torchvision import TORCHVISION_V2, TORCHVISION_V3

FOREIGN_LAYOUTS: tuple[ForeignLayout, ...] = (
    TORCHVISION_V2,
    TORCHVISION_V3,
    REPVGG_AUTHORS,
    MOBILEONE_AUTHORS,
    REPVIT_AUTHORS,
)
"""timm's and, for Mobile-Former, the authors' names are our own, and need no layout."""
