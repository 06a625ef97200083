"""The authors' names, held against counts and keys that were read off their own code once (see the facts)."""

import pytest
from tests.unit.models.tiny_specs import ALL, MOBILEONE, REPVGG, REPVIT

from edgewise.blocks.fuse import fuse
from edgewise.models.build import build
from edgewise.models.families import mobileone, repvgg, repvit
from edgewise.models.foreign.mobileone_authors import MOBILEONE_AUTHORS
from edgewise.models.foreign.repvgg_authors import REPVGG_AUTHORS
from edgewise.models.foreign.repvit_authors import REPVIT_AUTHORS
from edgewise.models.foreign.table import FOREIGN_LAYOUTS


def names(layout, spec, *, fused=False):
    network = build(spec)
    theirs = [layout.renaming(spec).theirs(name) for name in (fuse(network) if fused else network).state_dict()]
    assert None not in theirs
    assert len(set(theirs)) == len(theirs)
    return set(theirs)


@pytest.mark.parametrize(
    ("layout", "spec", "fused", "count"),
    [
        (MOBILEONE_AUTHORS, mobileone.SPECS["mobileone_s0"], False, 1323),
        (MOBILEONE_AUTHORS, mobileone.SPECS["mobileone_s0"], True, 88),
        (REPVGG_AUTHORS, repvgg.SPECS["repvgg_a0"], False, 351),
        (REPVGG_AUTHORS, repvgg.SPECS["repvgg_a0"], True, 46),
        (REPVIT_AUTHORS, repvit.SPECS["repvit_m1_0"], False, 713),
        (REPVIT_AUTHORS, repvit.SPECS["repvit_m1_0"], True, 208),
        (REPVIT_AUTHORS, repvit.SPECS["repvit_m1"], False, 690),
    ],
)
def test_published_models_have_as_many_names_as_the_authors(layout, spec, fused, count):
    assert len(names(layout, spec, fused=fused)) == count


@pytest.mark.parametrize(
    ("layout", "spec", "fused", "some"),
    [
        (REPVGG_AUTHORS, REPVGG, False, "stage0.rbr_dense.conv.weight stage1.0.rbr_identity.running_var linear.bias"),
        (REPVGG_AUTHORS, REPVGG, False, "stage1.1.se.down.weight stage1.1.se.up.bias stage2.0.rbr_1x1.bn.bias"),
        (REPVGG_AUTHORS, REPVGG, True, "stage0.rbr_reparam.weight stage2.0.rbr_reparam.bias stage1.1.se.down.bias"),
        (MOBILEONE_AUTHORS, MOBILEONE, False, "stage0.rbr_conv.0.conv.weight stage0.rbr_scale.bn.weight"),
        (MOBILEONE_AUTHORS, MOBILEONE, False, "stage1.1.rbr_conv.1.bn.bias stage1.1.rbr_skip.weight linear.weight"),
        (MOBILEONE_AUTHORS, MOBILEONE, False, "stage1.0.se.reduce.weight stage1.0.se.expand.bias"),
        (MOBILEONE_AUTHORS, MOBILEONE, True, "stage0.reparam_conv.weight stage2.1.reparam_conv.bias"),
        (
            REPVIT_AUTHORS,
            REPVIT,
            False,
            "features.0.0.c.weight features.0.2.bn.bias features.1.token_mixer.0.bn.weight",
        ),
        (REPVIT_AUTHORS, REPVIT, False, "features.1.token_mixer.1.fc1.weight features.2.channel_mixer.m.2.c.weight"),
        # a downsampling: the block before it, then the strided one
        (REPVIT_AUTHORS, REPVIT, False, "features.3.token_mixer.0.conv1.bias features.3.channel_mixer.m.0.c.weight"),
        (REPVIT_AUTHORS, REPVIT, False, "features.4.token_mixer.0.c.weight features.4.token_mixer.2.bn.weight"),
        (REPVIT_AUTHORS, REPVIT, False, "features.4.channel_mixer.m.2.bn.bias features.5.token_mixer.1.fc2.bias"),
        (REPVIT_AUTHORS, REPVIT, False, "classifier.classifier.bn.weight classifier.classifier_dist.l.bias"),
        (REPVIT_AUTHORS, REPVIT, True, "features.0.0.bias features.1.token_mixer.0.weight classifier.weight"),
    ],
)
def test_parts_have_the_authors_names(layout, spec, fused, some):
    assert set(some.split()) <= names(layout, spec, fused=fused)


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
def test_at_most_one_layout_is_for_a_network_and_recognises_its_names_only(spec):
    fitting = [layout for layout in FOREIGN_LAYOUTS if layout.renaming(spec)]
    assert len(fitting) == (spec.name != "tiny_former")
    for layout in fitting:
        for fused in (False, True):
            theirs = names(layout, spec, fused=fused)
            if layout.has_deployed_form or not fused:
                assert [other for other in FOREIGN_LAYOUTS if other.matches(theirs)] == [layout]


@pytest.mark.parametrize("spec", ALL, ids=lambda spec: spec.name)
def test_our_own_names_are_taken_for_no_foreign_ones(spec):
    network = build(spec)
    for state in (network.state_dict(), fuse(network).state_dict()):
        assert not any(layout.matches(state) for layout in FOREIGN_LAYOUTS)
