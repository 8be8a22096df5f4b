"""The `Pictures` and `Formats` ports on the modules that know one format each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from archive_restore.adapters import formats, icc, rasters, tiff
from archive_restore.adapters.metadata import RawMetadata
from archive_restore.adapters.png_write import PngPlaneWriter
from archive_restore.adapters.tiff_write import DerivativeMetadata
from archive_restore.adapters.tiff_write import DerivativeWriter as TiffWriter
from archive_restore.adapters.xmp import DerivedFrom, HistoryEvent, derivative_xmp
from archive_restore.ports import (
    ColourSpace,
    DerivativeWriter,
    Digests,
    Formats,
    Inspected,
    Lineage,
    Pictures,
    PictureSource,
    PlaneWriter,
    Samples,
)
from archive_restore.records.findings import Finding
from archive_restore.records.imagery import PictureFacts, SampleRole
from archive_restore.records.provenance import SoftwareAgent


class FileFormats(Formats):
    """Identification and checks of files that come in."""

    def inspect(self, path: Path, *, subject: str, name: str, digests: Digests) -> Inspected:
        """See ports.Formats."""
        return formats.inspect_file(path, subject, digests=digests, name=name)

    def name_findings(self, name: str) -> tuple[Finding, ...]:
        """See ports.Formats."""
        return formats.name_findings(name)


class FilePictures(Pictures):
    """Pixels in and out."""

    def __init__(self, scratch: Path) -> None:
        """`scratch` is where pictures without random access are expanded."""
        self._scratch = scratch

    def open(self, path: Path, facts: PictureFacts | None = None) -> PictureSource:
        """See ports.Pictures."""
        return rasters.open_picture(path, facts, scratch=self._scratch)

    def open_map(self, path: Path) -> PictureSource:
        """See ports.Pictures."""
        return tiff.open_map(path, self._scratch)

    def create(self, path: Path, *, master: Path, facts: PictureFacts, lineage: Lineage) -> DerivativeWriter:
        """See ports.Pictures."""
        raw = rasters.raw_metadata(master, facts)
        return _Tiff(path, facts, _carried(raw, _packet(raw, lineage), lineage))

    def colour_space(self, path: Path, facts: PictureFacts) -> ColourSpace:
        """See ports.Pictures."""
        profile = rasters.raw_metadata(path, facts).icc
        if not profile:
            return icc.srgb()
        name = facts.icc_description or "an unnamed profile"
        known = icc.colour_space(profile, name, gray=SampleRole.RED not in facts.roles)
        return known or replace(icc.srgb(), name=f"{name}, read as sRGB")

    def create_story(
        self,
        path: Path,
        *,
        source: Path,
        facts: PictureFacts,
        space: ColourSpace | None,
        scale: float,
        lineage: Lineage,
    ) -> DerivativeWriter:
        """See ports.Pictures."""
        raw = rasters.raw_metadata(source, facts)
        raw = replace(
            raw,
            icc=raw.icc if space is None else icc.rgb_profile(space, raw.icc),
            x_resolution=raw.x_resolution and raw.x_resolution * scale,
            y_resolution=raw.y_resolution and raw.y_resolution * scale,
        )
        return _Tiff(path, facts, _carried(raw, _packet(raw, lineage), lineage))

    def create_plane(self, path: Path, width: int, height: int) -> PlaneWriter:
        """See ports.Pictures."""
        return PngPlaneWriter(path, width, height)

    def agents(self, facts: PictureFacts) -> tuple[SoftwareAgent, ...]:
        """See ports.Pictures."""
        return rasters.decoder_agents(facts)


def icc_profile(path: Path, facts: PictureFacts) -> bytes:
    """ICC profile of a stored picture as it is; empty where there is none."""
    return rasters.raw_metadata(path, facts).icc


def _packet(raw: RawMetadata, lineage: Lineage) -> bytes:
    return derivative_xmp(
        raw.xmp,
        digital_source_type=lineage.digital_source_type,
        derived_from=DerivedFrom(ref=lineage.parent_ref, sha256=lineage.parent_sha256, file_name=lineage.parent_name),
        history=[
            HistoryEvent(action=action, when=lineage.when, software_agent=lineage.software, parameters=parameters)
            for action, parameters in lineage.history
        ],
        description=lineage.description,
        exif=raw.exif,
    )


def _carried(raw: RawMetadata, packet: bytes, lineage: Lineage) -> DerivativeMetadata:
    return DerivativeMetadata(
        icc=raw.icc,
        xmp=packet,
        iptc=raw.iptc,
        software=lineage.software,
        description=lineage.description.title,
        artist=lineage.description.creator,
        copyright=lineage.description.rights,
        x_resolution=raw.x_resolution,
        y_resolution=raw.y_resolution,
        orientation=raw.orientation,
        extra_samples=raw.extra_samples,
    )


class _Tiff(DerivativeWriter):
    def __init__(self, path: Path, facts: PictureFacts, metadata: DerivativeMetadata) -> None:
        self._writer = TiffWriter(path, facts, metadata)

    def write(self, samples: Samples, flags: npt.NDArray[np.uint8]) -> None:
        """See ports.DerivativeWriter."""
        self._writer.write_band(samples, flags)

    def close(self) -> None:
        """See ports.DerivativeWriter."""
        self._writer.close()
