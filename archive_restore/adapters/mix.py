"""MIX 2.0 of pictures: technical metadata of still images (ANSI/NISO Z39.87; namespace http://www.loc.gov/mix/v20).

Takes what the records say and opens no file. Only what is known is said: MIX has no required element.
"""

from __future__ import annotations

from collections.abc import Iterable

from archive_restore.adapters.premis import Node
from archive_restore.records.imagery import PictureFacts, SampleRole
from archive_restore.records.objects import Master
from archive_restore.records.preservation import PreservationDerivation
from archive_restore.records.provenance import Product
from archive_restore.records.stories import StoryDerivation

MIX = "http://www.loc.gov/mix/v20"

_ORIENTATIONS = (
    "normal*", "normal, image flipped", "normal, rotated 180°", "normal, image flipped, rotated 180°",
    "normal, image flipped, rotated cw 90°", "normal, rotated ccw 90°", "normal, image flipped, rotated ccw 90°",
    "normal, rotated cw 90°",
)  # fmt: skip
"""The words of MIX for TIFF orientations 1..8."""
_COLOUR_SPACES = {"minisblack": "BlackIsZero", "miniswhite": "WhiteIsZero", "rgb": "RGB", "ycbcr": "YCbCr"}
_COMPRESSIONS = {"none": "Uncompressed"}
_EXTRA = {SampleRole.ALPHA: "unassociated alpha data", SampleRole.INFRARED: "unspecified data"}
_DOTS = 10_000  # denominator of resolutions


def picture_mix(record: Master | PreservationDerivation | StoryDerivation, name: str) -> Node | None:
    """MIX of the file `name` of a version; None where it is no picture that the record describes."""
    if isinstance(record, Master):
        return _of_facts(record.picture) if record.picture is not None and name == record.file.name else None
    alternatives = record.alternatives if isinstance(record, StoryDerivation) else ()
    found = [product for product in (*record.products, *alternatives) if product.name == name]
    return _of_product(found[0]) if found and found[0].mime.startswith("image/") else None


def _of_facts(facts: PictureFacts) -> Node:
    basic = []
    if facts.byte_order:
        basic.append(_text("byteOrder", f"{facts.byte_order} endian"))
    scheme = _COMPRESSIONS.get(facts.compression, facts.compression)
    basic.append(_node("Compression", [_text("compressionScheme", scheme)]))
    colours = [_text("colorSpace", _COLOUR_SPACES.get(facts.photometric, facts.photometric))]
    if facts.icc_sha256:
        profile = _text("iccProfileName", facts.icc_description or "unnamed")
        colours.append(_node("ColorProfile", [_node("IccProfile", [profile])]))
    characteristics = [
        _text("imageWidth", str(facts.width)),
        _text("imageHeight", str(facts.height)),
        _node("PhotometricInterpretation", colours),
    ]
    parts = [
        _node("BasicDigitalObjectInformation", basic),
        _node("BasicImageInformation", [_node("BasicImageCharacteristics", characteristics)]),
    ]
    if 1 <= facts.orientation <= 8:
        parts.append(_node("ImageCaptureMetadata", [_text("orientation", _ORIENTATIONS[facts.orientation - 1])]))
    unit = "floating point" if facts.sample_format == "float" else "integer"
    extra = [_EXTRA[role] for role in facts.roles if role in _EXTRA]
    parts.append(_assessment(_resolution(facts), facts.bits, unit, facts.samples, extra))
    return _node("mix", parts)


def _of_product(product: Product) -> Node:
    size = [_text("imageWidth", str(product.width)), _text("imageHeight", str(product.height))]
    kind, width = product.dtype[-2:-1], product.dtype[-1:]
    bits = 8 * int(width) if width.isdigit() else 0
    unit = "floating point" if kind == "f" else "integer"
    return _node(
        "mix",
        [
            _node("BasicImageInformation", [_node("BasicImageCharacteristics", size)]),
            _assessment([], bits, unit, product.samples, []),
        ],
    )


def _assessment(metrics: list[Node], bits: int, unit: str, samples: int, extra: Iterable[str]) -> Node:
    depth = [_text("bitsPerSampleValue", str(bits)) for _ in range(samples)]
    encoding = [
        _node("BitsPerSample", [*depth, _text("bitsPerSampleUnit", unit)]),
        _text("samplesPerPixel", str(samples)),
        *(_text("extraSamples", word) for word in extra),
    ]
    return _node("ImageAssessmentMetadata", [*metrics, _node("ImageColorEncoding", encoding)])


def _resolution(facts: PictureFacts) -> list[Node]:
    if not facts.x_resolution or not facts.y_resolution:
        return []
    frequencies = [
        _node(name, [_text("numerator", str(round(value * _DOTS))), _text("denominator", str(_DOTS))])
        for name, value in (("xSamplingFrequency", facts.x_resolution), ("ySamplingFrequency", facts.y_resolution))
    ]
    return [_node("SpatialMetrics", [_text("samplingFrequencyUnit", "in."), *frequencies])]


def _node(name: str, children: Iterable[Node]) -> Node:
    return f"mix:{name}", {}, children


def _text(name: str, value: str) -> Node:
    return f"mix:{name}", {}, value
