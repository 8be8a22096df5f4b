"""Renders records for people and for other systems: PREMIS, the HTML report, thumbnails.

Only hands records over to the modules that know one format each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from archive_restore.adapters import contact_sheet, premis, previews
from archive_restore.adapters.caption import caption_band
from archive_restore.adapters.keys import KeyDescription
from archive_restore.adapters.report import (
    Detail,
    Loss,
    ReportFile,
    ReportPictures,
    RestorationReport,
    Signature,
    render_restoration_report,
)
from archive_restore.adapters.story_report import (
    Captioned,
    StoryReport,
    render_story_report,
    show_story,
    story_picture,
)
from archive_restore.core.labels import label_of
from archive_restore.ports import (
    CredentialReport,
    Digests,
    Documents,
    Overview,
    RestorationView,
    SheetPanel,
    StoryLook,
    StoryShown,
    StoryView,
)
from archive_restore.records.imagery import PictureFacts
from archive_restore.records.labels import Labels
from archive_restore.records.objects import Master, MasterRef
from archive_restore.records.preservation import PreservationDerivation, PreservationRef
from archive_restore.records.provenance import Event
from archive_restore.records.stories import StoryDerivation, StoryRef

_ROLES = {
    "synthesis-map.png": "synthesis map",
    "synthesis-map.json": "synthesis map in numbers",
    "damage-map.png": "damage map",
    "damage-probability.png": "how probable damage is",
    "uncertainty.png": "how far a fill may err",
    "disagreement.png": "how far other outcomes lie apart",
    "derivation.json": "derivation",
    "hints.json": "colour hints of people",
    "regions.json": "regions drawn by people",
    "palette.json": "palette",
    "motion.json": "what moves, drawn by people",
    "then-vs-now.json": "what was said of the photograph of today",
    "sound.json": "what is heard",
    "captions.json": "captions",
    "music.json": "score of the music",
    "synthesis-map.mkv": "synthesis map of every frame",
    "frames.json": "digests of the frames before encoding",
    "frames.mkv": "frames as they were before encoding",
    "disclosure.csv": "disclosure sheet, as a table",
    "disclosure.txt": "disclosure sheet",
    "music": "music",
    "voice": "voice",
    "soundfont": "sound font",
    "now": "photograph of today",
    "hand-damage-map": "damage map drawn by a person",
    "hand-keep-map": "keep map drawn by a person",
}
"""Role of a stored file by its name, or by its name without the suffix."""


class RecordDocuments(Documents):
    """The `Documents` port on PREMIS XML, Jinja and Pillow."""

    def __init__(
        self,
        *,
        organization: str,
        describe_keys: Callable[[], KeyDescription],
        locate: Callable[[MasterRef | PreservationRef | StoryRef, str], str],
        icc_of: Callable[[Path, PictureFacts], bytes],
        labels: Labels | None = None,
    ) -> None:
        """`locate(ref, name)` is a stored file's path below the archive; `icc_of` reads a picture's profile."""
        self._organization = organization
        self._describe_keys = describe_keys
        self._locate = locate
        self._icc_of = icc_of
        self._labels = labels or Labels()

    def master_premis(self, master: Master, events: Sequence[Event]) -> bytes:
        """PREMIS 3 XML of a master."""
        return premis.master_premis(master, events)

    def restoration_premis(
        self, derivation: PreservationDerivation, events: Sequence[Event], files: Mapping[str, Digests]
    ) -> bytes:
        """PREMIS 3 XML of a restoration."""
        return premis.preservation_premis(derivation, events, files)

    def restoration_report(self, view: RestorationView) -> bytes:
        """Stand-alone HTML; see adapters.report."""
        derivation, facts = view.derivation, view.before.facts
        master_file = view.master.file
        files = [self._file(view, name, digests) for name, digests in view.files.items()]
        return render_restoration_report(
            RestorationReport(
                master=view.master,
                derivation=derivation,
                pictures=ReportPictures(
                    master=view.before.reduced,
                    restoration=view.after.reduced,
                    flags=view.flags,
                    white=view.before.white,
                    icc=self._icc_of(view.master_path, facts),
                ),
                details=tuple(
                    Detail(region=d.region, master=d.before, restoration=d.after, flags=d.flags) for d in view.details
                ),
                damage=view.damage_counts,
                losses=tuple(Loss(region=loss.region, pixels=loss.pixels) for loss in view.losses),
                loss_treatment=_treatment(derivation),
                master_file=ReportFile(
                    role="master",
                    path=self._locate(derivation.parent, master_file.name),
                    size=master_file.size,
                    sha512=master_file.sha512,
                ),
                restoration_file=files[0],
                other_files=tuple(files[1:]),
                signature=self._signature(derivation.ref, derivation.products[0].name, view.credentials, view.embedded),
                organization=self._organization,
                findings=view.master.findings + view.credentials.findings,
            )
        )

    def picture(self, samples: previews.DisplayArray) -> bytes:
        """PNG of sRGB, uint8 (h, w, 3)."""
        return previews.png_bytes(samples)

    def thumbnail(self, picture: Overview) -> bytes:
        """JPEG, longest edge 512 pixels."""
        return previews.thumbnail(picture.reduced, previews.transfer_for(picture.facts, picture.white))

    def story_premis(self, derivation: StoryDerivation, events: Sequence[Event], files: Mapping[str, Digests]) -> bytes:
        """PREMIS 3 XML of a story."""
        return premis.story_premis(derivation, events, files)

    def story_pictures(self, look: StoryLook) -> StoryShown:
        """See ports.Documents and adapters.story_report."""
        before_icc, after_icc = self._icc_of(look.parent_path, look.before.facts), self._story_icc(look)
        shown = show_story(look, before_icc, after_icc, self._captioned(look))
        small = story_picture(look.after, after_icc, previews.THUMBNAIL_LONGEST, self._captioned(look))
        return replace(shown, master_thumbnail=self.thumbnail(look.before), thumbnail=previews.jpeg_bytes(small))

    def story_report(self, view: StoryView) -> bytes:
        """Stand-alone HTML; see adapters.story_report."""
        look = view.look
        derivation = look.derivation
        ref, parent = derivation.ref, derivation.parent
        files = [
            ReportFile(
                role=ref.kind.value if position == 0 else _role(name),
                path=self._locate(ref, name),
                size=digests.size,
                sha512=digests.sha512,
            )
            for position, (name, digests) in enumerate(view.files.items())
        ]
        source = derivation.materials[0]
        return render_story_report(
            StoryReport(
                view=view,
                caption=label_of(derivation, self._labels, look.kinds),
                parent_file=ReportFile(
                    role="made from",
                    path=self._locate(parent, look.parent_path.name),
                    size=source.size,
                    sha512=source.sha512,
                ),
                story_file=files[0],
                other_files=tuple(files[1:]),
                signature=self._signature(ref, derivation.products[0].name, view.credentials, view.embedded),
                organization=self._organization,
                findings=view.credentials.findings,
            )
        )

    def contact_sheet(self, panels: Sequence[SheetPanel]) -> bytes:
        """JPEG: pictures side by side, each under its title; see adapters.contact_sheet."""
        shown = []
        for panel in panels:
            facts = panel.picture.facts
            across, down = (facts.width, facts.height) if facts.orientation < 5 else (facts.height, facts.width)
            wide = min(contact_sheet.CELL, contact_sheet.TALLEST * across / down)
            longest = max(1, int(wide * max(1.0, down / across)))
            profile = b"" if panel.path is None else self._icc_of(panel.path, facts)
            shown.append((panel.title, story_picture(panel.picture, profile, longest), panel.caption))
        columns = 2 if len(shown) in (2, 4) else min(3, len(shown))
        return previews.jpeg_bytes(contact_sheet.contact_sheet(shown, self._labels.style, columns), 88)

    def _captioned(self, look: StoryLook) -> Captioned:
        caption, style = label_of(look.derivation, self._labels, look.kinds), self._labels.style
        return lambda picture: caption_band(picture, caption, style)

    def _story_icc(self, look: StoryLook) -> bytes:
        """Profile of a story's picture; frames of a clip are sRGB."""
        if look.derivation.products[0].mime.startswith("video/"):
            return b""
        return self._icc_of(look.picture_path, look.after.facts)

    def _file(self, view: RestorationView, name: str, digests: Digests) -> ReportFile:
        ref = view.derivation.ref
        role = "restoration" if name == view.derivation.products[0].name else _role(name)
        path = self._locate(ref, name)
        return ReportFile(role=role, path=path, size=digests.size, sha512=digests.sha512)

    def _signature(
        self, ref: PreservationRef | StoryRef, name: str, credentials: CredentialReport, embedded: bool
    ) -> Signature:
        keys = self._describe_keys()
        return Signature(
            subject=keys.subject,
            issuer=keys.issuer,
            algorithm=keys.algorithm,
            fingerprint=keys.fingerprint_sha256.replace(":", "").lower(),
            valid_from=keys.valid_from,
            valid_until=keys.valid_until,
            # A reader who knows only public issuers does not know a root that this archive made for itself.
            state="Valid" if keys.local else credentials.state.capitalize(),
            own_authority=keys.local,
            sidecar_path="" if embedded else self._locate(ref, f"{name}.c2pa"),
        )


def _role(name: str) -> str:
    if "-story-alternative-" in name:
        return "C2PA manifest of another outcome" if name.endswith(".c2pa") else "another outcome, signed like this one"
    if name.endswith(".c2pa"):
        return "C2PA manifest"
    return _ROLES.get(name) or _ROLES.get(Path(name).stem, "further file")


def _treatment(derivation: PreservationDerivation) -> str:
    chosen = [run.parameters.get("treatment") for run in derivation.steps if run.step == "losses"]
    return str(chosen[-1]).replace("-", " ") if chosen else "as found"
