import math

import pytest
import yaml
from tiny_run import config

from edgewise.errors import ConfigError
from edgewise.train.config import TrainConfig, differences, load_config, make_config, save_config


def refused(**changed) -> str:
    with pytest.raises(ConfigError) as caught:
        make_config(**config().model_dump() | changed)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def loaded_error(tmp_path, content: bytes) -> str:
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert str(caught.value).startswith(f"'{path}'")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"'{path}'").lstrip(": ")


def test_yaml_gives_back_what_was_saved(tmp_path):
    stored = config(lr=0.1 + 0.2, time_budget_s=None, recipe="ü: 'x'\n")
    save_config(stored, tmp_path / "config.yaml")
    assert load_config(tmp_path / "config.yaml") == stored


def test_a_hand_written_file_needs_only_what_has_no_default(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("model: m\npreprocessing: {img_size: 32}\naugment:\n  hflip: 0\n")
    assert load_config(path).augment.hflip == 0
    assert load_config(path).epochs == TrainConfig.model_fields["epochs"].default


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("lr", math.nan, "a finite number"),
        ("lr", math.inf, "a finite number"),
        ("lr", 0, "greater than 0"),
        ("lr", -1e-3, "greater than 0"),
        ("batch", 0, "greater than or equal to 1"),
        ("batch", 1.5, "a valid integer, got a number with a fractional part"),
        ("epochs", -1, "greater than or equal to 1"),
        ("epochs", 0, "greater than or equal to 1"),
        ("epochs", "many", "a valid integer, unable to parse string as an integer"),
        ("accumulate", 0, "greater than or equal to 1"),
        ("weight_decay", math.nan, "less than or equal to 10"),
        ("warmup_epochs", -1, "greater than or equal to 0"),
        ("min_lr_ratio", 1.1, "less than or equal to 1"),
        ("clip_grad", 0, "greater than 0"),
        ("label_smoothing", 1, "less than 1"),
        ("drop_rate", -0.1, "greater than or equal to 0"),
        ("ema_decay", 1, "less than 1"),
        ("amp", "fp8", "'off', 'bf16' or 'fp16'"),
        ("threads", 0, "greater than or equal to 1"),
        ("seed", -1, "greater than or equal to 0"),
        ("time_budget_s", 0, "greater than 0"),
        ("workers", -1, "greater than or equal to 0"),
        ("save_every_steps", 0, "greater than or equal to 1"),
    ],
)
def test_a_value_out_of_range_is_named_with_what_is_accepted(name, value, accepted):
    assert refused(**{name: value}) == f"setting {name} is '{value}'; must be {accepted}"


def test_several_problems_are_told_at_once():
    assert refused(lr=0, batch=0) == (
        "setting batch is '0'; must be greater than or equal to 1; lr is '0'; must be greater than 0"
    )


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"epochz": 3}, "setting 'epochz' is unknown; did you mean 'epochs'?"),
        ({"augment": {"hflop": 0.5}}, "setting 'augment.hflop' is unknown; did you mean 'hflip'?"),
        (
            {"preprocessing": {"img_size": 32, "crop_pkt": 1}},
            "setting 'preprocessing.crop_pkt' is unknown; did you mean 'crop_pct'?",
        ),
        ({"zzzz": 3}, "setting 'zzzz' is unknown"),
        (
            {"augment": {"crop_scale": (0.9, 0.1)}},
            "setting augment: crop_scale is (0.9, 0.1); the first must not be larger",
        ),
        ({"augment": {"hflip": 1.5}}, "setting augment.hflip is '1.5'; must be less than or equal to 1"),
        ({"augment": None}, "setting augment is 'None'; must be a valid dictionary or instance of AugmentConfig"),
        ({"preprocessing": {}}, "setting preprocessing.img_size is missing"),
    ],
)
def test_unknown_and_nested_settings(changed, text):
    assert refused(**changed) == text


def test_a_missing_setting_is_named():
    with pytest.raises(ConfigError, match=r"^setting model is missing; preprocessing is missing$"):
        make_config()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"lr: 1\nlr: 2\n", "is no plain YAML: key 'lr' is given twice"),
        (b"augment: {hflip: 0, hflip: 1}\n", "is no plain YAML: key 'hflip' is given twice"),
        (b"a: &x 1\nb: *x\n", "is no plain YAML: aliases are not accepted"),
        (b"a: &x [*x]\n", "is no plain YAML: aliases are not accepted"),
        (b"lr: 0.1: 2\n", "is no plain YAML: mapping values are not allowed in this context (line 1)"),
        (b"lr: \xc3\x28", "is not UTF-8 text (byte 0xc3 at 4)"),
        (b"recipe: 2001-99-99\n", "setting model is missing"),  # a date is text
        (b"[" * 20_000, "is no plain YAML: it is nested too deeply"),
        (b"", "holds a NoneType; a config is a mapping of settings"),
        (b"- lr\n", "holds a list; a config is a mapping of settings"),
        (b"just text", "holds a str; a config is a mapping of settings"),
        (b"#" * (2**20 + 1), "is larger than 1048576 bytes; a config is a short YAML file"),
        (b"model: m\npreprocessing: {img_size: 8}\nlr: .nan\n", "setting lr is 'nan'; must be a finite number"),
        (b"model: m\npreprocessing: {img_size: 8}\n1: 2\n", "setting 1 is no name of a setting"),
    ],
)
def test_a_file_that_is_no_config_is_refused(tmp_path, content, text):
    assert loaded_error(tmp_path, content).startswith(text)


def test_tags_are_refused_and_run_nothing(tmp_path):
    sentinel = tmp_path / "was here"
    text = loaded_error(tmp_path, f"model: !!python/object/apply:os.mkdir ['{sentinel}']\n".encode())
    assert text.startswith("is no plain YAML: tags are not accepted")
    assert not sentinel.exists()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml' cannot be read: No such file"):
        load_config(tmp_path / "none.yaml")


def test_each_difference_is_named_but_for_those_that_do_not_touch_the_result():
    old = config()
    new = config(lr=1e-3, workers=3, save_every_s=5, save_every_steps=None, augment={"hflip": 0.25})
    lines = differences(old, new)
    assert [line.split(":")[0] for line in lines] == ["lr", "augment"]
    assert lines[0] == "lr: 0.003 -> 0.001"
    assert differences(old, config()) == []


def test_the_saved_file_is_plain_yaml_in_the_order_of_the_fields(tmp_path):
    save_config(config(), tmp_path / "c.yaml")
    assert list(yaml.safe_load((tmp_path / "c.yaml").read_text())) == list(TrainConfig.model_fields)
