"""A preset is option defaults: what is typed wins, and a wrong one is one line."""

import pytest

from command_line import fails, rows

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")


@pytest.mark.slow
def test_what_is_typed_wins_over_the_preset():
    with open("mine.toml", "w", encoding="utf-8") as file:
        file.write('shape = "6x7"\ndtype = "float32"\nkernel = "numpy"\n[bench]\nmax-time = 0\n')
    assert rows("bench", "--preset", "mine.toml")[0]["problem"] == "6x7/per-activation/float32/eps=1e-08"
    found = rows("forward", "--preset", "mine.toml", "--dtype", "float64", "--shape", "8x2")
    assert found[0]["problem"] == "8x2/per-activation/float64/eps=1e-08"
    assert {row["kernel"] for row in found} == {"input", "numpy"}


@pytest.mark.parametrize("words", [("reference",), ("-k", "reference"), ("--kernel", "reference")])
@pytest.mark.parametrize("preset", ["numpy", "mine.py"])
def test_a_kernel_that_is_typed_either_way_replaces_those_of_the_preset(words, preset):
    with open("mine.toml", "w", encoding="utf-8") as file:
        file.write(f'shape = "6x7"\nkernel = "{preset}"\n')
    assert {row["kernel"] for row in rows("gradcheck", "--preset", "mine.toml", *words)} == {"reference"}


def test_what_a_preset_says_of_images_is_not_said_of_random_numbers():
    found = rows("forward", "numpy", "--preset", "images")
    assert {row["input"] for row in found} == {"--random uniform --seed 0"}


def test_a_typed_image_wins_over_the_presets_shape(photo):
    found = rows("forward", "--preset", "images", "--image", photo("a.png"), "--kernel", "numpy")
    assert found[0]["shape"] == "5x96x96x3"
    assert found[0]["input"] == "--image a.png --resize 96x96 --copies 5 --seed 0"


def test_a_typed_shape_wins_over_the_presets_image(photo):
    with open("mine.toml", "w", encoding="utf-8") as file:
        file.write(f'image = ["{photo("a.png")}"]\ncopies = 3\nkernel = "numpy"\n')
    assert rows("forward", "--preset", "mine.toml")[0]["problem"].startswith("3x30x40x3")
    assert rows("forward", "--preset", "mine.toml", "--shape", "4x5")[0]["problem"].startswith("4x5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('shap = "5x3"', "no option is called 'shap': did you mean 'shape'?"),
        ("[bench]\nmax-tim = 1", "table [bench]: no option is called 'max-tim': did you mean 'max-time'?"),
        ("[bensh]\nmax-time = 1", "no command is called 'bensh': did you mean 'bench'?"),
        ("preset = 'quick'", "no option is called 'preset'"),
        ('kernel = "mine.py"', "kernel 'mine.py': a preset cannot run a file's code: type it on the command line"),
        ('dtype = "float8"', "Invalid value for '--dtype'"),
        ("shape = [5, 3]", "the shape '5' has one axis"),
        ("seed = [1, 2]", "seed is [1, 2]: give one value"),
        ("shape = [[5, 3]]", "give a value or a list of them"),
        ("bench.max-time.a = 1", "give one value"),
        ("shape = ", "is not TOML"),
        ("\udcff", "is not TOML"),
    ],
)
def test_a_wrong_preset_is_one_line(content, message):
    with open("mine.toml", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(content)
    assert message in fails("bench", "--preset", "mine.toml")


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_preset_may_set_a_flag(value, tmp_path):
    (tmp_path / "p.toml").write_text(f"update = {value}\nkernel = 'numpy'\nshape = '4x3'\n")
    arrays = [row["array"] for row in rows("backward", "--preset", tmp_path / "p.toml")]
    assert ("gamma_new" in arrays) is (value == "true")


@pytest.mark.parametrize("value", ["1", '"yes"', "[true]"])
def test_a_flag_of_a_preset_is_true_or_false(value, tmp_path):
    (tmp_path / "p.toml").write_text(f"allow-different-machine = {value}\n")
    message = fails("bench", "--preset", str(tmp_path / "p.toml"))
    assert "allow-different-machine is" in message
