"""ICC profiles as far as stories need them (ICC.1:2022): the tone curve and primaries of one, and a plain RGB one.

Only gray and matrix profiles are understood, which is what scanners and cameras give; of others the caller is told
that sRGB stands for them. The bytes that are made depend on nothing but the colour space: no time, no program.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from archive_restore.ports import ColourSpace

CURVE = 1 << 16
"""Points of a curve: every 8- and 16-bit code value falls on one."""
SRGB = "sRGB"
_Matrix = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
_SRGB_TO_XYZ: _Matrix = (
    (0.4123907993, 0.3575843394, 0.1804807884),
    (0.2126390059, 0.7151686788, 0.0721923154),
    (0.0193308187, 0.1191947798, 0.9505321522),
)
"""Linear sRGB to XYZ relative to D65 (IEC 61966-2-1)."""
# Bradford, from D50 of the profile connection space to D65 (ICC.1:2022 annex E).
_D50_TO_D65 = np.array(
    [[0.9555766, -0.0230393, 0.0631636], [-0.0282895, 1.0099416, 0.0210077], [0.0122982, -0.0204830, 1.3299098]]
)
_D65_TO_D50 = np.linalg.inv(_D50_TO_D65)
_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_ROUNDING = 5e-4  # of numbers in profiles, as a share of luminance


def srgb() -> ColourSpace:
    """IEC 61966-2-1; gray without a profile counts as it, too."""
    codes = np.linspace(0.0, 1.0, CURVE)
    light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    return ColourSpace(name=SRGB, curve=light.astype(np.float32), to_xyz=_SRGB_TO_XYZ)


def colour_space(profile: bytes, name: str, *, gray: bool) -> ColourSpace | None:
    """Curve and primaries of a profile called `name`, for a gray or an RGB picture; None where it is another kind.

    The red, green and blue curves must agree: a curve for all is what luminance is re-encoded with.
    """
    if len(profile) < 132 or profile[36:40] != b"acsp" or profile[16:20] != (b"GRAY" if gray else b"RGB "):
        return None
    try:
        tags = _tags(profile)
        if gray:
            return ColourSpace(name=name, curve=_curve(tags[b"kTRC"]), to_xyz=_SRGB_TO_XYZ)
        curves = [_curve(tags[tag]) for tag in (b"rTRC", b"gTRC", b"bTRC")]
        if max(float(np.abs(curves[0] - curve).max()) for curve in curves[1:]) > 1e-3:
            return None
        columns = np.array([_xyz(tags[tag]) for tag in (b"rXYZ", b"gXYZ", b"bXYZ")]).T
        own = _rows(_own_white(profile, tags) @ columns)[1]
        adapted = _rows(_D50_TO_D65 @ columns)
        same = max(abs(one - other) for one, other in zip(own, adapted[1], strict=True)) < _ROUNDING
        return ColourSpace(name=name, curve=curves[1], to_xyz=adapted, luminance=None if same else own)
    except (KeyError, IndexError, ValueError, ZeroDivisionError, struct.error):
        return None


def _own_white(profile: bytes, tags: dict[bytes, bytes]) -> npt.NDArray[np.float64]:
    """From D50 of the profile connection space back to the white of the device; the identity where it is D50.

    That white stands in `chad` (ICC.1:2022 §9.2.15); before version 4 in `wtpt` of a display (ICC.1:2001 §6.4.25).
    """
    if b"chad" in tags:
        adaptation = np.array(struct.unpack_from(">9i", tags[b"chad"], 8), np.float64).reshape(3, 3) / 65536
        if abs(np.linalg.det(adaptation)) < 0.1:
            raise ValueError("an adaptation that cannot be undone")
        return np.asarray(np.linalg.inv(adaptation), np.float64)
    white = np.array(_xyz(tags[b"wtpt"]) if b"wtpt" in tags else _D50)
    if profile[8] >= 4 or profile[12:16] != b"mntr" or not (0.9 < white[1] < 1.1 and white.min() > 0.3):
        return np.eye(3)
    cones = _BRADFORD @ (white / white[1]) / (_BRADFORD @ np.array(_D50))
    return np.asarray(np.linalg.inv(_BRADFORD) @ (cones[:, None] * _BRADFORD), np.float64)


def rgb_profile(space: ColourSpace, gray: bytes = b"") -> bytes:
    """A matrix profile, version 4, with the curve and primaries of a colour space.

    The curve of the profile `gray` is taken over as it is, where there is one: written anew it would lose its darks.
    """
    curve = _srgb_curve() if space.name == SRGB else _sampled(space.curve)
    if gray[16:20] == b"GRAY" and colour_space(gray, space.name, gray=True) is not None:
        curve = _tags(gray)[b"kTRC"]
    colorants = _D65_TO_D50 @ np.array(space.to_xyz)
    name = SRGB if space.name == SRGB else f"RGB with the curve of {space.name}"
    parts: list[tuple[tuple[bytes, ...], bytes]] = [
        ((b"desc",), _words(name)),
        ((b"cprt",), _words("Public domain")),
        ((b"wtpt",), _point(*_D50)),
        ((b"chad",), b"sf32" + bytes(4) + _fixed(_D65_TO_D50.ravel().tolist())),
        ((b"rXYZ",), _point(*colorants[:, 0].tolist())),
        ((b"gXYZ",), _point(*colorants[:, 1].tolist())),
        ((b"bXYZ",), _point(*colorants[:, 2].tolist())),
        ((b"rTRC", b"gTRC", b"bTRC"), curve),
    ]
    table, body = [], b""
    start = 132 + 12 * sum(len(names) for names, _ in parts)
    for names, data in parts:
        table += [struct.pack(">4sII", tag, start + len(body), len(data)) for tag in names]
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s6H4s", start + len(body), bytes(4), 0x04300000, b"mntr", b"RGB ", b"XYZ ",
                       2000, 1, 1, 0, 0, 0, b"acsp")  # fmt: skip
    head = (head + bytes(28) + _fixed(_D50) + bytes(48))[:128]
    return head + struct.pack(">I", len(table)) + b"".join(table) + body


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    tags = {}
    for number in range(min(count, 100)):
        name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * number)
        tags[name] = profile[offset : offset + size]
    return tags


def _curve(data: bytes) -> npt.NDArray[np.float32]:
    """A `curv` or `para` tag at CURVE even code values (ICC.1:2022 §10.6, §10.18); raise ValueError for nonsense."""
    codes = np.linspace(0.0, 1.0, CURVE)
    if data[:4] == b"curv":
        (count,) = struct.unpack_from(">I", data, 8)
        if count == 0:
            light = codes
        elif count == 1:
            light = codes ** (struct.unpack_from(">H", data, 12)[0] / 256)
        else:
            table = np.frombuffer(data, ">u2", count, 12) / 65535
            light = np.interp(codes, np.linspace(0.0, 1.0, count), table)
    elif data[:4] == b"para":
        (kind,) = struct.unpack_from(">H", data, 8)
        values = struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", data, 12)
        light = _parametric(kind, [value / 65536 for value in values], codes)
    else:
        raise ValueError("not a curve")
    if not np.isfinite(light).all() or light[-1] <= 0 or (np.diff(light) < 0).any():
        raise ValueError("a curve that falls")
    return np.asarray(np.clip(light, 0.0, 1.0), np.float32)


def _parametric(kind: int, values: list[float], x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    g, a, b, c, d, e, f = (*values, *(1.0, 0.0, 0.0, 0.0, 0.0, 0.0)[len(values) - 1 :])
    with np.errstate(invalid="ignore"):
        power = np.maximum(a * x + b, 0.0) ** g
    if kind == 0:
        return np.asarray(x**g)
    if kind in (1, 2):
        return np.where(x >= -b / a, power + (c if kind == 2 else 0.0), c if kind == 2 else 0.0)
    return np.where(x >= d, power + (e if kind == 4 else 0.0), c * x + (f if kind == 4 else 0.0))


def _xyz(data: bytes) -> tuple[float, float, float]:
    x, y, z = struct.unpack_from(">3i", data, 8)
    return x / 65536, y / 65536, z / 65536


def _rows(matrix: npt.NDArray[np.float64]) -> _Matrix:
    """With Y of white exactly 1."""
    scaled = matrix / matrix[1].sum()
    first, second, third = (tuple(float(v) for v in row) for row in scaled)
    return (first[0], first[1], first[2]), (second[0], second[1], second[2]), (third[0], third[1], third[2])


def _srgb_curve() -> bytes:
    return b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed((2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))


def _sampled(curve: npt.NDArray[np.float32]) -> bytes:
    points = np.interp(np.linspace(0.0, 1.0, 4096), np.linspace(0.0, 1.0, len(curve)), curve)
    return b"curv" + bytes(4) + struct.pack(">I", 4096) + np.rint(points * 65535).astype(">u2").tobytes()


def _words(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _point(x: float, y: float, z: float) -> bytes:
    return b"XYZ " + bytes(4) + _fixed((x, y, z))


def _fixed(values: list[float] | tuple[float, ...]) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))
