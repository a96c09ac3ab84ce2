"""Words that people type where something else belongs: files by themselves, an option twice, a value for a kernel."""

import os

import numpy as np
import pytest

from command_line import fails, rows, run

pytestmark = pytest.mark.usefixtures("_in_an_empty_folder")
CHECK = ("gradcheck", "numpy", "--search", "0")


@pytest.mark.parametrize(
    "words",
    [
        ("--image", "a.jpg", "b.jpg", "c.JPG"),
        ("--image", "a.jpg", "b.jpg", "numpy", "c.JPG"),
        ("b.jpg", "--image", "a.jpg", "-k", "numpy", "c.JPG"),
        ("--image", "a.jpg", "--image", "b.jpg", "c.JPG"),
    ],
)
def test_where_image_is_given_a_file_by_itself_that_ends_like_an_image_is_one(words, photo):
    for name in ("a.jpg", "b.jpg", "c.jpg"):
        photo(name)
    os.rename("c.jpg", "c.JPG")
    found = rows("forward", *words)
    assert found[0]["shape"] == "3x30x40x3"
    assert found[0]["input"].split(" --seed")[0] == "--image a.jpg --image b.jpg --image c.JPG"
    assert {row["kernel"] for row in found} <= {"input", "numpy", "numba"}


def test_without_image_a_file_by_itself_is_told_by_its_option(photo):
    photo("a.jpg")
    np.save("x.npy", np.zeros((3, 2)))
    os.mkdir("photos")
    photo("photos/b.jpg")
    assert fails("forward", "a.jpg").endswith("'a.jpg' is no kernel: did you mean --image a.jpg?")
    assert fails("forward", "photos").endswith("'photos' is no kernel: did you mean --image photos?")
    assert fails("forward", "numpy", "x.npy").endswith("'x.npy' is no kernel: did you mean --array x.npy?")
    assert fails("forward", "--image", "a.jpg", "b.jpg").endswith("there is no file 'b.jpg'")


def test_an_image_given_as_an_array_and_the_reverse_name_the_other_option(photo):
    photo("a.png")
    np.save("x.npy", np.zeros((3, 2)))
    assert fails("forward", "--array", "a.png").endswith(
        "'a.png': it is neither .npy nor .npz; give images with --image"
    )
    assert fails("forward", "--image", "x.npy").endswith("'x.npy' is not an image: give arrays with --array")


@pytest.mark.parametrize(
    ("word", "option"),
    [
        ("16x4", "--shape"),
        ("8x4/float32", "--shape"),
        ("nchw", "--layout"),
        ("channels-last", "--layout"),
        ("fp16", "--dtype"),
        ("resnet50", "--preset"),
        ("own.toml", "--preset"),
        ("offset-1e4", "--random"),
    ],
)
def test_a_value_by_itself_names_its_option(word, option):
    assert fails(*CHECK, word).endswith(f"{word!r} is no kernel: did you mean {option} {word}?")


@pytest.mark.parametrize("shape", ["4,3,2", "(4, 3, 2)", "4X3X2", "4×3×2", "4*3*2", "4x3x2x", "4 3 2"])
def test_a_shape_in_another_notation_is_given_in_ours(shape):
    assert fails(*CHECK, "--shape", shape).endswith(f"cannot read the shape {shape!r}: did you mean 4x3x2?")


def test_a_number_with_its_unit_is_given_without():
    assert fails(*CHECK[:2], "--search", "5s").endswith("'5s' is not a number: give 5")
    assert fails("bench", "--precision", "0.5 %").endswith("'0.5 %' is not a number: give 0.5")
    assert fails("bench", "--max-time", "s").endswith("'s' is not a number")


def test_a_kernel_in_a_place_of_a_command_is_a_command_short():
    for word in ("mine.py", "numpy"):
        assert fails(word).endswith(f"no command is called {word!r}: did you mean bncli gradcheck {word}?")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--dtype", "fp32", "-d", "float64"), "--dtype is given as fp32 and float64: give one"),
        (("--epsilon", "1", "--eps", "2"), "--epsilon is given as 1 and 2: give one"),
        (("--seed", "1", "--seed", "2"), "--seed is given as 1 and 2: give one"),
        (("--shape", "8x4/half/params=float32", "--params", "own"), "and --params own differ: give one of them"),
        (("--case", "6x4/nchw/float32/eps=1 seed=1", "--seed", "2"), "--case already holds a seed: leave out --seed"),
    ],
)
def test_what_is_typed_twice_and_differs_is_an_error(words, says):
    assert says in fails(*CHECK, *words)


def test_other_commands_do_not_take_what_differs_either():
    assert "--shape 8x4/float32 and --dtype float64 differ" in fails(
        "verify", "numpy", "--shape", "8x4/float32", "--dtype", "float64"
    )
    assert "--torch and --no-torch are both given: give one" in fails("selftest", "--torch", "--no-torch")
    assert "--max-time is given as 1 and 2: give one" in fails("bench", "--max-time", "1", "--max-time", "2")


def test_what_is_typed_twice_and_is_the_same_in_other_words_is_fine():
    run(*CHECK, "--dtype", "fp32", "-d", "float32", "--eps", "1", "--epsilon", "1.0", "-s", "4x3", "-s", "4x3")
