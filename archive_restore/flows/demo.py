"""Demo: the main job from beginning to end on a photograph that ships with the program."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from archive_restore.core.planning import DEFAULT_RECIPE
from archive_restore.core.rules import read_sheet
from archive_restore.errors import SelfCheckFailed
from archive_restore.flows.batch import make_plan
from archive_restore.flows.browse import resolve
from archive_restore.flows.ingest import find_files, ingest
from archive_restore.flows.render import HandFiles
from archive_restore.flows.reproduce import reproduce
from archive_restore.flows.restore import Order, restore
from archive_restore.flows.verify import verify
from archive_restore.ports import Archive

SHEET = "metadata.csv"


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """What the demonstration showed."""

    item_id: str
    ref: str
    picture: str
    report: str
    """A copy where a person finds it; the stored one lies with the picture."""
    original_fraction: float
    verified: bool
    findings: int
    identical: bool

    @property
    def ok(self) -> bool:
        """Whether every claim held."""
        return self.verified and self.identical


def demo(archive: Archive, folder: Path, say: Callable[[str], None]) -> Demonstration:
    """Ingest the photograph in `folder`, restore it twice (alone, then with a person's maps), verify, make it again."""
    sheet_path = folder / SHEET
    sheet = read_sheet(sheet_path.read_bytes(), SHEET)
    candidates = list(find_files([folder / name for name in sheet.by_file]))
    taken = ingest(archive, candidates, sheet=sheet, sheet_name=SHEET)
    if len(taken.accepted) != 1:
        raise SelfCheckFailed(
            "the demonstration photograph was not accepted", hint="Use a directory that does not exist"
        )
    master = taken.accepted[0]
    say(f"Ingested {master.ref}: {master.description.title}, {master.file.name}, sha512 {master.file.sha512[:16]}…")
    item_id, plan = master.ref.item_id, make_plan(archive, DEFAULT_RECIPE, ())
    alone = restore(archive, Order(item_id=item_id, plan=plan))
    say(f"Restored {alone.ref} by machine alone: it takes roads and markings for scratches (see its report)")
    # A person's word stands above the machine's: what to fill, and what to leave alone.
    hand = HandFiles(damage=folder / "hand" / "damage.png", keep=folder / "hand" / "keep.png")
    made = restore(archive, Order(item_id=item_id, plan=plan, hand=hand))
    say(f"Restored {made.ref} with a person's maps: {made.original_fraction:.2%} of the pixels equal the master")
    found = verify(archive)
    report = shutil.copyfile(made.report, archive.root / made.report.name)
    say(
        f"Verified {found.subjects} versions, {found.pixels_compared} pixels against the master: "
        f"{len(found.findings)} findings"
    )
    again = reproduce(archive, resolve(archive, made.ref))
    say(f"Made {made.ref} again: {'identical' if again.identical else 'DIFFERENT'}")
    return Demonstration(
        item_id=master.ref.item_id,
        ref=made.ref,
        picture=str(made.path),
        report=str(report),
        original_fraction=made.original_fraction,
        verified=found.ok,
        findings=len(found.findings),
        identical=again.identical,
    )
