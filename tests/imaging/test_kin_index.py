"""The index of fingerprints: nearest codes, and votes of local features, against the plain way of finding them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from archive_restore.imaging.feature_codes import BUCKETS, encode, probes
from archive_restore.imaging.features import Features, detect
from archive_restore.imaging.kin_index import KinIndex, build, distances, merged, votes
from archive_restore.imaging.trimming import trimmed
from archive_restore.records.imagery import Region
from tests.conftest import PHOTOGRAPHS

NAMES = ("acanthus-mollis", "black-canyon", "dust-bowl-home", "march-pastoral", "nagasaki-boats")


def gray(name: str, longest: int = 360) -> npt.NDArray[np.uint8]:
    picture = Image.open(PHOTOGRAPHS / f"{name}.jpg").convert("L")
    picture.thumbnail((longest, longest))
    return np.asarray(picture)


def indexed(*names: str) -> KinIndex:
    coded = [encode(detect(gray(name), 128)) for name in names]
    codes = np.arange(32 * len(names), dtype=np.uint8).reshape(-1, 32)
    return build(codes, [words for words, _ in coded], [signatures for _, signatures in coded])


INDEX = indexed(*NAMES)


def asked(features: Features) -> npt.NDArray[np.float32]:
    return votes(INDEX, probes(features, 8), encode(features)[1])


def test_distances_are_those_of_bits() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (70_000, 32), np.uint8)
    queries = rng.integers(0, 256, (3, 32), np.uint8)
    found = distances(codes, queries)
    for row in (0, 1, 32_767, 32_768, 69_999):
        bits = np.unpackbits(codes[row] ^ queries, axis=1).sum(axis=1)
        assert found[row] == bits.min()
    assert distances(codes[:5], codes[3:4])[3] == 0


def test_distances_to_nothing() -> None:
    assert distances(np.zeros((0, 32), np.uint8), np.zeros((1, 32), np.uint8)).shape == (0,)


@pytest.mark.parametrize("number", range(len(NAMES)))
def test_a_crop_votes_for_its_picture(number: int) -> None:
    whole = gray(NAMES[number])
    height, width = whole.shape
    crop = whole[height // 5 :, : width * 4 // 5]
    enlarged = np.asarray(Image.fromarray(crop).resize((int(crop.shape[1] * 1.3), int(crop.shape[0] * 1.3))))
    weight = asked(detect(enlarged, 400))
    assert int(weight.argmax()) == number
    assert weight[number] > 2 * np.sort(weight)[-2]


def test_a_mirror_image_votes_only_when_it_is_mirrored_back() -> None:
    whole = gray("nagasaki-boats")
    straight = asked(detect(whole, 400))
    mirrored = asked(detect(np.ascontiguousarray(whole[:, ::-1]), 400))
    assert mirrored[4] < straight[4] / 4


def test_a_merged_index_is_that_of_all() -> None:
    parts = merged([indexed(*NAMES[:2]), indexed(*NAMES[2:])])
    np.testing.assert_array_equal(parts.starts, INDEX.starts)
    np.testing.assert_array_equal(parts.items, INDEX.items)
    np.testing.assert_array_equal(parts.signatures, INDEX.signatures)


def test_postings_lie_in_their_buckets() -> None:
    words, signatures = encode(detect(gray(NAMES[0]), 128))
    assert INDEX.starts[-1] == len(INDEX.items) == len(INDEX.signatures)
    assert len(INDEX.starts) == BUCKETS + 1
    first, last = INDEX.starts[words[0]], INDEX.starts[int(words[0]) + 1]
    assert signatures[0] in INDEX.signatures[first:last]


def test_the_first_probe_is_the_bucket_and_all_differ() -> None:
    features = detect(gray(NAMES[0]), 50)
    tried = probes(features, 8)
    np.testing.assert_array_equal(tried[:, 0], encode(features)[0])
    assert all(len(set(row)) == 8 for row in tried.tolist())
    # One bit each at first: the likeliest.
    assert all(bin(int(row[0]) ^ int(row[1])).count("1") == 1 for row in tried.tolist())


def test_a_picture_without_features_is_indexed_and_asked() -> None:
    nothing = detect(np.zeros((40, 40), np.uint8), 10)
    assert len(nothing) == 0
    words, signatures = encode(nothing)
    index = build(np.zeros((1, 32), np.uint8), [words], [signatures])
    assert votes(index, probes(nothing, 8), signatures).tolist() == [0.0]
    assert asked(nothing).tolist() == [0.0] * len(NAMES)


def test_bars_are_trimmed() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8)
    framed = np.pad(picture, ((10, 12), (0, 7)), constant_values=250)
    assert trimmed(framed) == Region(top=10, left=0, bottom=70, right=80)
    assert trimmed(picture) == Region(top=0, left=0, bottom=60, right=80)
    flat = np.full((50, 50), 9, np.uint8)
    assert trimmed(flat) == Region(top=0, left=0, bottom=50, right=50)
