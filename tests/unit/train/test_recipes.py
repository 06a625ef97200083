"""The recipes, against Table 10 of arXiv 2404.10518v2 as it was read, apart from the code."""

import pytest

from edgewise.data.randaug import MAX_MAGNITUDE
from edgewise.errors import UnknownNameError
from edgewise.models import catalogue
from edgewise.train.config import load_config, save_config
from edgewise.train.recipes.from_scratch import digits, from_scratch
from edgewise.train.recipes.table import RECIPES, find_recipe

COLUMNS = (
    "img_size", "effective batch", "epochs", "warmup_epochs", "lr", "floor", "weight_decay", "beta1", "adam_eps",
    "ema_decay", "drop_rate", "drop_path_rate", "randaug_prob", "randaug_magnitude", "mixup", "cutmix", "mix_prob",
)  # fmt: skip
PAPER = {
    "conv_small": (224, 4096, 9600, 5, 0.002, 0, 0.01, 0.6, 1e-6, 0.9999, 0.3, 0.0, 0.5, 27, 0, 0, None),
    "conv_medium": (256, 4096, 500, 5, 0.004, 0, 0.1, 0.9, 1e-7, None, 0.2, 0.075, 0.7, 30, 0, 0, None),
    "hybrid_medium": (256, 16384, 500, 20, 0.016, 0, 0.1, 0.9, 1e-7, None, 0.2, 0.075, 0.7, 30, 0, 0, None),
    "conv_large": (384, 16384, 500, 20, 0.004, 0, 0.2, 0.9, 1e-7, None, 0.2, 0.35, 1.0, 30, 0.8, 1.0, 0.3),
    "hybrid_large": (384, 16384, 500, 20, 0.01, 0.001, 0.2, 0.9, 1e-7, None, 0.2, 0.35, 1.0, 30, 0.8, 1.0, 0.3),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_paper_s_recipes_equal_its_table(name):
    recipe = find_recipe(f"mobilenetv4_{name}_paper")
    augment = recipe.augment
    found = (
        recipe.preprocessing.img_size, recipe.batch * recipe.accumulate, recipe.epochs, recipe.warmup_epochs, recipe.lr,
        recipe.min_lr_ratio, recipe.weight_decay, recipe.beta1, recipe.adam_eps, recipe.ema_decay, recipe.drop_rate,
        recipe.drop_path_rate, augment.randaug_prob, augment.randaug_magnitude, augment.mixup, augment.cutmix,
        augment.mix_prob if augment.mixup or augment.cutmix else None,
    )  # fmt: skip
    assert dict(zip(COLUMNS, found, strict=True)) == dict(zip(COLUMNS, PAPER[name], strict=True))
    assert (recipe.beta2, recipe.label_smoothing, augment.randaug_layers, augment.hflip) == (0.999, 0.1, 2, 0.5)
    assert recipe.clip_grad is None
    assert augment.crop_scale == (0.08, 1.0)
    assert augment.switch_prob == 0.5
    assert recipe.model == f"mobilenetv4_{name}"


def test_each_recipe_is_for_a_model_that_exists_and_survives_yaml(tmp_path):
    assert set(RECIPES) == {f"mobilenetv4_{name}_paper" for name in PAPER}
    for name in RECIPES:
        recipe = find_recipe(name)
        assert recipe.recipe == name
        assert catalogue.find(recipe.model).img_size == recipe.preprocessing.img_size
        assert recipe.augment.randaug_magnitude <= MAX_MAGNITUDE
        save_config(recipe, tmp_path / "c.yaml")
        assert load_config(tmp_path / "c.yaml") == recipe


def test_an_unknown_recipe_is_named_with_what_is_accepted():
    with pytest.raises(UnknownNameError, match=r"unknown recipe 'mobilenetv4_conv_smal_paper'; did you mean '"):
        find_recipe("mobilenetv4_conv_smal_paper")


@pytest.mark.parametrize("img_size", [32, 64, 224])
@pytest.mark.parametrize("num_images", [1, 9_999, 10_000, 10**6])
def test_pictures_of_one_s_own_get_a_recipe_of_their_size_and_number(img_size, num_images):
    recipe = from_scratch("mobilenetv4_conv_small", img_size, num_images)
    small = num_images < 10_000
    assert recipe.preprocessing.img_size == img_size
    assert recipe.epochs > from_scratch("mobilenetv4_conv_small", img_size, 10_000).epochs or not small
    assert bool(recipe.augment.mixup) == (small and img_size >= 64)
    assert recipe.augment.crop_scale[0] >= (0.6 if img_size < 64 else 0.25)


def test_digits_are_never_mirrored():
    assert (digits(16).augment.hflip, digits(16).augment.vflip, digits(16).augment.randaug_layers) == (0, 0, 0)
