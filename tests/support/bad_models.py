"""Bad models in tests/bad_models, one folder each: `models/NAME/` as it would lie in an archive.

A folder's name begins with the code of the finding it must give. `python -m tests.support.bad_models` writes them anew.
Nothing here needs torch or onnx: weights are written by hand, so that the bytes never change.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from tests.support.tiny_models import KERNEL, card, graph_card

FOLDER = Path(__file__).resolve().parent.parent / "bad_models"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One folder."""

    folder: str
    files: dict[str, bytes]
    """Path below `models/` -> content."""

    @property
    def code(self) -> str:
        """The finding it must give: the leading words in capitals."""
        return "_".join(word for word in self.folder.split("_") if word.isupper())


def safetensors(**tensors: tuple[str, list[int], bytes]) -> bytes:
    """A safetensors file from (dtype, shape, bytes) by name; `__` stands for a dot."""
    header: dict[str, Any] = {}
    data = b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name.replace("__", ".")] = {
            "dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)],
        }  # fmt: skip
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


BLUR = safetensors(layers__1__weight=("F32", [1, 1, 3, 3], KERNEL.tobytes()), layers__1__bias=("F32", [1], bytes(4)))
"""The blur of tests.support.tiny_models as weights of the architecture `graph`."""


class _Touch:
    """Unpickles into a call that leaves a file in the working directory."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, str]]:
        return open, ("unpickled", "w")


def _zipped(data: bytes) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), data)
    return made.getvalue()


def _model(folder: str, weights: bytes, told: dict[str, Any] | bytes | None = None, name: str = "tiny-blur") -> Case:
    told = told if told is not None else graph_card(weights)
    file = told["weights"]["file"] if isinstance(told, dict) else "weights.safetensors"
    data = told if isinstance(told, bytes) else json.dumps(told, indent=1).encode()
    files = {f"{name}/card.json": data}
    if "/" not in file and "\\" not in file:
        files[f"{name}/{file}"] = weights
    return Case(folder=folder, files=files)


def _without(told: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in names}


def cases() -> Iterator[Case]:
    """Every case."""
    evil = pickle.dumps(_Touch(), protocol=4)
    text = json.dumps(graph_card(BLUR)).encode()
    yield Case(folder="MODEL_CARD_UNREADABLE_missing", files={"tiny-blur/weights.safetensors": BLUR})
    yield _model("MODEL_CARD_UNREADABLE_no_json", BLUR, b"name: tiny-blur\n")
    yield _model("MODEL_CARD_UNREADABLE_nested", BLUR, b"[" * 100_000)
    yield _model("MODEL_CARD_UNREADABLE_not_a_number", BLUR, text.replace(b'"halo": 1', b'"halo": NaN'))
    yield _model("MODEL_CARD_UNREADABLE_member_twice", BLUR, text.replace(b'"halo": 1', b'"halo": 1, "halo": 2'))
    yield _model("MODEL_CARD_UNREADABLE_latin_1", BLUR, text.replace(b"Softens a", b"Adoucit \xe9"))
    yield _model("MODEL_CARD_INVALID_list", BLUR, b"[]")
    yield _model("MODEL_CARD_INVALID_no_licence", BLUR, _without(graph_card(BLUR), "licence"))
    yield _model("MODEL_CARD_INVALID_unknown_member", BLUR, graph_card(BLUR, url="https://example.org/model"))
    yield _model("MODEL_CARD_INVALID_licence_is_prose", BLUR, graph_card(BLUR, licence="free for all"))
    yield _model("MODEL_CARD_INVALID_no_failures_known", BLUR, graph_card(BLUR, known_failures=[]))
    yield _model("MODEL_CARD_INVALID_digest_of_sha1", BLUR, graph_card(BLUR, weights__sha256="0" * 40))
    yield _model("MODEL_CARD_INVALID_format_pickle", BLUR, graph_card(BLUR, weights__format="pickle"))
    yield _model("MODEL_CARD_INVALID_own_network_as_pth", BLUR, graph_card(BLUR, weights__format="pth"))
    yield _model("MODEL_CARD_INVALID_rgb_of_one_plane", BLUR, graph_card(BLUR, input__planes=[{"meaning": "rgb"}]))
    yield _model(
        "MODEL_CARD_INVALID_sizes_contradict", BLUR, graph_card(BLUR, input__maximum_size=7, input__size_multiple=8)
    )
    yield _model("MODEL_CARD_INVALID_inpainting_without_mask", BLUR, graph_card(BLUR, task="inpainting"))
    yield _model("MODEL_CARD_INVALID_upscaler_of_scale_one", BLUR, graph_card(BLUR, task="super-resolution"))
    yield _model(
        "MODEL_CARD_INVALID_added_from_a_distribution", BLUR,
        graph_card(BLUR, weights__distribution="numpy", weights__extra="zoo"),
    )  # fmt: skip
    yield _model("MODEL_NAME_WRONG_other_folder", BLUR, name="another")
    yield _model("MODEL_NAME_SHADOWS_shipped", BLUR, graph_card(BLUR, name="shipped-blur"), name="shipped-blur")
    for what, file in (
        ("parent", "../weights.safetensors"),
        ("absolute", "/etc/passwd"),
        ("deeper", "inner/weights.safetensors"),
        ("drive", "C:\\weights.safetensors"),
        ("hidden", ".weights"),
        ("line_break", "weights\n.safetensors"),
        ("the_card", "card.json"),
    ):
        told = graph_card(BLUR, weights__file=file)
        yield Case(
            folder=f"MODEL_PATH_UNSAFE_{what}",
            files={"tiny-blur/card.json": json.dumps(told, indent=1).encode(), "tiny-blur/weights.safetensors": BLUR},
        )
    yield _model(
        "MODEL_PATH_UNSAFE_manifest_of_another", BLUR, graph_card(BLUR, training__manifest="../other/manifest.csv")
    )
    yield _model("MODEL_MANIFEST_MISSING_named", BLUR, graph_card(BLUR, training__manifest="manifest.csv"))
    yield Case(
        folder="MODEL_WEIGHTS_MISSING_card_alone",
        files={"tiny-blur/card.json": json.dumps(graph_card(BLUR)).encode()},
    )
    yield _model("MODEL_WEIGHTS_CHANGED_one_bit", BLUR[:-1] + b"\x01", graph_card(BLUR))
    yield _model("MODEL_WEIGHTS_CHANGED_cut", BLUR[:-4], graph_card(BLUR))
    yield _model("MODEL_WEIGHTS_PICKLED_as_safetensors", evil)
    yield _model("MODEL_WEIGHTS_PICKLED_as_onnx", evil, card(evil))
    yield _model("MODEL_WEIGHTS_PICKLED_torch_save", _zipped(evil))
    yield _model("MODEL_WEIGHTS_UNREADABLE_no_bytes", b"")
    yield _model("MODEL_WEIGHTS_UNREADABLE_truncated_safetensors", BLUR[:-4])
    yield _model("MODEL_WEIGHTS_UNREADABLE_header_of_a_terabyte", struct.pack("<Q", 1 << 40) + BLUR[8:])
    yield _model("MODEL_WEIGHTS_UNREADABLE_numbers_overlap", BLUR.replace(b"[36, 40]", b"[32, 36]"))
    noise = hashlib.shake_256(b"no model").digest(512)
    yield _model("MODEL_WEIGHTS_UNREADABLE_noise_as_onnx", noise, card(noise))
    yield _model("MODEL_WEIGHTS_UNREADABLE_empty_onnx", b"\x08\x08", card(b"\x08\x08"))
    endless = b"\x3a" + b"\xff" * 9 + b"\x01"
    yield _model("MODEL_WEIGHTS_UNREADABLE_onnx_graph_beyond_end", endless, card(endless))
    yield _model("MODEL_WEIGHTS_MISMATCH_count", BLUR, graph_card(BLUR, weights__parameters=11))
    yield _model("MODEL_WEIGHTS_MISMATCH_dtype", BLUR, graph_card(BLUR, weights__dtype="float16"))
    kernel = ("F32", [1, 1, 3, 3], KERNEL.tobytes())
    lacking = safetensors(layers__1__weight=kernel)
    yield _model("MODEL_WEIGHTS_MISMATCH_tensor_missing", lacking)
    more = safetensors(layers__1__weight=kernel, layers__1__bias=("F32", [1], bytes(4)), extra=("F32", [1], bytes(4)))
    yield _model("MODEL_WEIGHTS_MISMATCH_tensor_too_many", more)
    larger = safetensors(layers__1__weight=("F32", [1, 1, 2, 2], bytes(16)), layers__1__bias=("F32", [1], bytes(4)))
    yield _model("MODEL_WEIGHTS_MISMATCH_shape", larger)
    told = graph_card(BLUR)
    told["architecture"]["parameters"] = {"operations": [["shell", [0], {"command": "true"}]]}
    yield _model("MODEL_WEIGHTS_MISMATCH_operation_unknown", BLUR, told)
    told = graph_card(BLUR)
    told["architecture"]["parameters"] = {"layers": 3}
    yield _model("MODEL_WEIGHTS_MISMATCH_parameter_unknown", BLUR, told)
    yield _model("MODEL_ARCHITECTURE_UNKNOWN_os_system", BLUR, graph_card(BLUR, architecture__name="os:system"))
    nan = safetensors(
        layers__1__weight=("F32", [1, 1, 3, 3], b"\x00\x00\xc0\x7f" * 9), layers__1__bias=("F32", [1], bytes(4))
    )
    yield _model("MODEL_CONTRACT_BROKEN_not_a_number", nan)
    yield _model("MODEL_CONTRACT_BROKEN_scale", BLUR, graph_card(BLUR, output__scale=2))
    yield _model(
        "MODEL_CONTRACT_BROKEN_planes", BLUR, graph_card(BLUR, output__planes=[{"meaning": "odds", "count": 4}])
    )
    values = [{"plane": 0, "row": 1, "column": 1, "value": 2.5}]
    test = {"seed": 1, "height": 4, "width": 4, "values": values, "tolerance": 0.001}
    yield _model("MODEL_SELFTEST_DIFFERS_value", BLUR, graph_card(BLUR, selftest=test))
    beyond = {**test, "values": [{"plane": 0, "row": 9, "column": 1, "value": 0.5}]}
    yield _model("MODEL_SELFTEST_DIFFERS_place_outside", BLUR, graph_card(BLUR, selftest=beyond))


if __name__ == "__main__":
    shutil.rmtree(FOLDER, ignore_errors=True)
    for case in cases():
        for name, data in case.files.items():
            path = FOLDER / case.folder / "models" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
