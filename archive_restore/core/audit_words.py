"""What an audit found, in sentences for somebody with one file and an hour.

A sentence never says more than was measured: not who changed something, nor why.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from archive_restore.core.labels import plain_text
from archive_restore.records.audits import ChangedPlace, Kinship, Treatment
from archive_restore.records.credentials import CredentialChain, StatedManifest
from archive_restore.records.imagery import PixelFlag, Region

ENTIRE = 0.995
"""Share from which something is said of the whole."""
WHOLE_FRAME = 0.97
"""Share of a picture from which a file shows all of it: trimming of a border is no crop."""
SURE = 0.8
"""Confidence below which a person should look."""
SAME_SIZE = 0.02
"""Relative change of size that is none."""
LEVEL = 0.3
"""Degrees of rotation that are none."""
_LONGEST = 200


def where_words(region: Region, width: int, height: int) -> str:
    """Where a place lies in a picture of this size: `upper left`, `middle`, `nearly everywhere`."""
    if region.width * region.height > 0.7 * width * height:
        return "nearly everywhere"
    across = (region.left + region.right) / 2 / max(1, width)
    down = (region.top + region.bottom) / 2 / max(1, height)
    rows = ("upper", "", "lower")[min(2, int(down * 3))]
    columns = ("left", "", "right")[min(2, int(across * 3))]
    if not rows and not columns:
        return "middle"
    if not columns:
        return f"{rows} middle"
    return f"{rows} {columns}" if rows else f"{columns} side"


def percent(share: float) -> str:
    """A share as people write it; never 0 % or 100 % where it is not exactly that."""
    if share <= 0:
        return "0 %"
    if share >= 1:
        return "100 %"
    if share < 0.001:
        return "under 0.1 %"
    if share > 0.999:
        return "over 99.9 %"
    return f"{100 * share:.1f} %"


# --- kinship -----------------------------------------------------------------------------------------


def kinship_words(kinship: Kinship) -> Iterator[str]:
    """Whether, and how, the file is related to the archive."""
    if not kinship.judged:
        yield f"Kinship could not be judged: {kinship.why_not}"
        return
    if not kinship.ref:
        yield (
            "No picture of this archive was recognized in it. That does not prove that it comes from elsewhere: a "
            "small part, a heavy change or a photograph of a print may not be recognized."
        )
        return
    yield _what(kinship)
    if kinship.confidence < SURE and not kinship.same_bytes:
        yield "That is not sure: look at both pictures before you rely on it."
    if kinship.same_bytes:
        yield from _exported(kinship)
    else:
        yield from _changed(kinship.changed)
        if kinship.story and kinship.treatment is not None and not kinship.treatment.bordered:
            yield "The caption that says what it is does not stand beside it: it was cut off, or was never there."
    if "/" in kinship.ref:
        yield from map_words(kinship)
    else:
        yield "The archive’s version is the digitized master: the archive made up nothing in it."
    if kinship.treatment is not None and not kinship.same_bytes:
        yield from _treated(kinship.treatment)
    if not kinship.same_bytes:
        yield "The log knows no export of these very bytes: the file was saved anew since, or left in another way."


def _what(kinship: Kinship) -> str:
    title = plain_text(kinship.title, _LONGEST)
    named = f"{kinship.ref} (“{title}”)" if title else kinship.ref
    kind = ", a story and not a record" if kinship.story else ""
    if kinship.identical:
        return f"This is, byte for byte, a file that the archive keeps in {named}{kind}."
    treatment = kinship.treatment
    crop = treatment is not None and treatment.shown < WHOLE_FRAME
    form = f"a crop ({percent(treatment.shown)} of the area) of" if crop and treatment else "a copy of"
    return f"This is {form} {named}{kind}; the match is stated with confidence {confidence_words(kinship.confidence)}."


def confidence_words(confidence: float) -> str:
    """How sure a match is, 0..1; never certain."""
    return f"{confidence:.2f}" if confidence < 0.995 else "over 0.99"


def map_words(kinship: Kinship) -> Iterator[str]:
    """What of the picture is invented, by the archive's own map."""
    shares = kinship.shares
    gray = kinship.treatment is not None and kinship.treatment.grayscale
    coloured = shares.get(PixelFlag.COLORIZED.name or "", 0.0)
    if coloured and not gray:
        yield (
            "Its colour is entirely synthesized: no camera recorded it."
            if coloured >= ENTIRE
            else f"The colour of {percent(coloured)} of what it shows is synthesized: no camera recorded it."
        )
    elif coloured:
        yield "The colours that the archive’s version was given are not in this file."
    for flag, words in _MADE.items():
        share = shares.get(flag.name or "", 0.0)
        if share:
            yield f"{percent(share)} of what it shows {words}."
    original = shares.get("ORIGINAL", 0.0)
    if original:
        yield f"{percent(original)} of what it shows equals the digitized master, before it was encoded for this file."


_MADE = {
    PixelFlag.SYNTHESIZED: "was made by a trained model, in shape or light and dark",
    PixelFlag.INTERPOLATED: "was filled from its surroundings, where the photograph was damaged",
    PixelFlag.HUMAN: "follows a person’s direct decision",
    PixelFlag.MOVED: "was displaced in time",
}


def _treated(treatment: Treatment) -> Iterator[str]:
    done = []
    if treatment.mirrored:
        done.append("mirrored")
    if abs(treatment.rotation) > LEVEL:
        done.append(f"turned by {treatment.rotation:.1f} degrees")
    if abs(treatment.resized - 1) > SAME_SIZE:
        amount = percent(treatment.resized) if treatment.resized < 1 else f"{treatment.resized:.2f} times"
        done.append(f"resized to {amount}")
    if treatment.bordered:
        done.append("set into a border or screen")
    if treatment.grayscale:
        done.append("stripped of its colours")
    if treatment.tinted:
        done.append("given colours that the archive’s version does not have")
    if treatment.graded:
        done.append("changed in tone or colour as a whole")
    if done:
        yield f"Between the archive and this file it was {_listed(done)}."


def _changed(changed: Sequence[ChangedPlace]) -> Iterator[str]:
    if not changed:
        yield "Nothing in it departs from the archive’s version beyond what its encoding explains."
    for place in changed[:5]:
        yield place_words(place)
    if len(changed) > 5:
        yield f"{len(changed) - 5} more places were changed."


def place_words(place: ChangedPlace) -> str:
    """One changed place."""
    region = place.region
    if place.faint:
        columns, rows = f"columns {region.left}–{region.right}", f"rows {region.top}–{region.bottom}"
        where = f"{_at(place.where)} ({columns}, {rows})"
        return f"A small place {where} departs a little; it may be a trace of encoding. Look at it."
    what = "The colours of the region" if place.colour_only else "The region"
    return (
        f"{what} {_at(place.where)} (columns {region.left}–{region.right}, rows {region.top}–{region.bottom}; "
        f"{percent(place.share)} of the picture) {'were' if place.colour_only else 'was'} changed after export."
    )


def _at(where: str) -> str:
    return {"middle": "in the middle", "nearly everywhere": where}.get(where, f"at the {where}")


def _exported(kinship: Kinship) -> Iterator[str]:
    for told in kinship.exported[:3]:
        yield f"The archive’s log knows this very file: exported as {told.ref} on {told.when[:10]} by {told.by}."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


# --- credentials -------------------------------------------------------------------------------------


def state_words(state: str, anchors: str) -> str:
    """What a reader says of the credentials as a whole; `anchors` says in words under which roots."""
    return {
        "none": "no content credentials",
        "invalid": "broken: they do not hold for this file",
        "valid": f"intact, by a signer who is not among {anchors}",
        "trusted": f"intact, by a signer whom {anchors} vouch for",
    }.get(state, state)


def chain_lines(chain: CredentialChain) -> Iterator[str]:
    """The chain for a terminal, from the newest manifest to the oldest."""
    for position, manifest in enumerate(chain.manifests):
        lead = f"{position + 1}." if position < chain.parents else "–"
        yield f"{lead} {manifest_words(manifest)}"
        for action in manifest.actions:
            source = f" [{action.source_words}]" if action.source_words else ""
            text = plain_text(action.description, _LONGEST)
            yield f"   {action.words}{source}{f': {text}' if text else ''}"
        for ingredient in manifest.ingredients:
            brought = "" if ingredient.manifest else ", without credentials of its own"
            title = plain_text(ingredient.title, _LONGEST) or "unnamed"
            yield f"   {ingredient.words}: {title}{brought if ingredient.relationship == 'parentOf' else ''}"


def manifest_words(manifest: StatedManifest) -> str:
    """Who signed what, when, and whether that name is known."""
    title = plain_text(manifest.title, _LONGEST) or "unnamed"
    if not manifest.algorithm:
        return f"{title}: nobody signed"
    known = {True: "known here", False: "not known here", None: "signature does not hold"}[manifest.trusted]
    when = ""
    if manifest.when:
        when = f" on {plain_text(manifest.when, 40)}" + ("" if manifest.stamped else ", as it says itself")
    signer = plain_text(manifest.signer, _LONGEST) or "a nameless certificate"
    return f"{title}: signed by {signer} ({known}) with {plain_text(manifest.algorithm, 20)}{when}"
