from pathlib import Path

import pytest

from aaff.data.pairing import Listing, by_name, image_files, labels_by_name
from aaff.errors import DataError


def listing(images: str, labels: str, absent: tuple[str, ...] = ()) -> Listing:
    return Listing(
        "split 'train' of d",
        {n: Path(f"d/train/{n}.png") for n in images.split()},
        {n: Path(f"d/trainannot/{n}.png") for n in labels.split()},
        absent,
    )


def test_pairs_come_in_the_order_of_their_names() -> None:
    pairs = listing("b c a", "c a b").pairs()
    assert [(p.name, p.image.name, p.label.parent.name) for p in pairs] == [
        ("a", "a.png", "trainannot"),
        ("b", "b.png", "trainannot"),
        ("c", "c.png", "trainannot"),
    ]


def test_missing_partners_are_named_in_both_directions_and_counted() -> None:
    with pytest.raises(DataError) as error:
        listing("a b c d e", "a x").pairs()
    text = str(error.value)
    assert "4 of 5 images have no label: d/train/b.png, d/train/c.png, d/train/d.png and 1 more" in text
    assert "1 of 2 labels have no image: d/trainannot/x.png" in text


def test_what_can_be_paired_is_known_beside_the_faults() -> None:
    faulty = listing("a b", "b c")
    assert (faulty.without_label, faulty.without_image) == (["a"], ["c"])
    assert [p.name for p in faulty.matched()] == ["b"]


def test_a_listed_frame_without_files_is_named() -> None:
    with pytest.raises(DataError, match="1 listed frames have neither image nor label: z"):
        listing("a", "a", ("z",)).pairs()


def test_an_empty_split_is_an_error() -> None:
    with pytest.raises(DataError, match=r"split 'train' of d is empty.*\.png"):
        listing("", "").pairs()


def test_two_files_of_one_frame_are_an_error() -> None:
    with pytest.raises(DataError, match=r"a\.jpg and a\.png belong to the frame 'a'"):
        by_name([Path("a.jpg"), Path("a.png")])


def test_hidden_files_and_other_files_are_no_images(tmp_path: Path) -> None:
    for name in ("b.PNG", "a.jpg", "._a.png", "Thumbs.db", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in image_files(tmp_path)] == ["a.jpg", "b.PNG"]
    with pytest.raises(DataError, match="there is no folder"):
        image_files(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("a b", "a_L b_L"),
        ("a b", "a b"),
        ("cam_L", "cam_L"),  # a left camera, no ending
        ("cam_L", "cam_L_L"),
        ("a a_L", "a_L a_L_L"),
    ],
)
def test_label_endings_are_recognised(images: str, labels: str) -> None:
    frames = {name: Path(f"{name}.png") for name in images.split()}
    found = labels_by_name([Path(f"{name}.png") for name in labels.split()], frames, "_L")
    assert {n: p.stem for n, p in found.items()} == dict(zip(images.split(), labels.split(), strict=True))
