"""What the words of C2PA and IPTC mean, for somebody who has never heard them (C2PA 2.2 §15, §18.15, §18.16).

A failure says less than it seems to: each status code has a sentence for what it means and one for what it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from archive_restore.core.labels import plain_text
from archive_restore.records.findings import Severity

RELATIONSHIPS: Mapping[str, str] = {
    "parentOf": "what it was made from",
    "componentOf": "a part that was put in",
    "inputTo": "used as input",
}

ACTIONS: Mapping[str, str] = {
    "c2pa.addedText": "text was added",
    "c2pa.adjustedColor": "tones or colours were changed",
    "c2pa.changedSpeed": "the speed was changed",
    "c2pa.color_adjustments": "tones or colours were changed",
    "c2pa.converted": "it was converted to another format",
    "c2pa.created": "it came into being",
    "c2pa.cropped": "it was cropped",
    "c2pa.deleted": "parts were deleted",
    "c2pa.drawing": "something was drawn or painted",
    "c2pa.dubbed": "the sound was changed",
    "c2pa.edited": "it was edited",
    "c2pa.edited.metadata": "only its metadata was changed",
    "c2pa.enhanced": "it was enhanced without changing what it shows",
    "c2pa.filtered": "a filter was applied",
    "c2pa.opened": "an existing file was opened",
    "c2pa.orientation": "it was turned or mirrored",
    "c2pa.placed": "something was placed in it",
    "c2pa.published": "it was published",
    "c2pa.redacted": "statements about it were taken out",
    "c2pa.removed": "something that had been placed in it was removed",
    "c2pa.repackaged": "it was put into another container",
    "c2pa.resized": "its size was changed",
    "c2pa.resized.proportional": "its size was changed, its proportions kept",
    "c2pa.transcoded": "it was encoded anew",
    "c2pa.translated": "its language was changed",
    "c2pa.trimmed": "it was shortened",
    "c2pa.unknown": "something was done that the signer does not know",
    "c2pa.watermarked": "an invisible watermark was put in",
    "c2pa.watermarked.bound": "an invisible watermark that leads to this manifest was put in",
    "c2pa.watermarked.unbound": "an invisible watermark was put in",
    "org.archive-restore.examined": "it was examined; no pixel was changed",
}

SOURCE_TYPES: Mapping[str, str] = {
    "algorithmicMedia": "made by an algorithm, without training data",
    "algorithmicallyEnhanced": "enhanced by an algorithm",
    "composite": "put together from several pictures",
    "compositeCapture": "put together from several photographs",
    "compositeSynthetic": "put together, with synthetic parts",
    "compositeWithTrainedAlgorithmicMedia": "photograph with parts made by a trained model (AI)",
    "computationalCapture": "taken by a camera and computed from several exposures",
    "dataDrivenMedia": "drawn from data",
    "digitalArt": "made by a person with a computer",
    "digitalCapture": "taken by a digital camera",
    "digitalCreation": "made by a person with a computer",
    "humanEdits": "edited by a person",
    "minorHumanEdits": "lightly edited by a person",
    "negativeFilm": "digitized from a negative",
    "positiveFilm": "digitized from a slide or other positive film",
    "print": "digitized from a print",
    "screenCapture": "a screenshot",
    "softwareImage": "made with software",
    "trainedAlgorithmicMedia": "made by a trained model (AI)",
    "trainedAlgorithmicData": "data made by a trained model (AI)",
    "virtualRecording": "a recording of a virtual event",
}
"""By the last part of the IPTC URI."""


@dataclass(frozen=True, kw_only=True)
class StatusWords:
    """What a validation status says."""

    finding: str
    """Code of the finding it becomes."""
    severity: Severity
    means: str
    means_not: str


def _error(finding: str, means: str, means_not: str) -> StatusWords:
    return StatusWords(finding=finding, severity=Severity.ERROR, means=means, means_not=means_not)


def _warning(finding: str, means: str, means_not: str) -> StatusWords:
    return StatusWords(finding=finding, severity=Severity.WARNING, means=means, means_not=means_not)


_OTHER_BYTES = _error(
    "C2PA_OTHER_BYTES",
    "The file is not the one this manifest was signed for: its bytes were changed afterwards, or the manifest was "
    "moved here from another file.",
    "It does not say who did it, or that the picture itself looks different: saving the file again is enough.",
)
_CHANGED_PART = _error(
    "C2PA_CONTENT_CHANGED",
    "A part of the manifest (a statement, the synthesis map or an ingredient) was changed after signing.",
    "It says nothing about the pixels; what the changed part states proves nothing any more.",
)
_CHANGED_CLAIM = _error(
    "C2PA_CLAIM_CHANGED",
    "The claim was changed after signing, or signed with another key.",
    "It does not say which of its statements is false: none of them is vouched for.",
)
_EXPIRED = _error(
    "C2PA_EXPIRED",
    "The signing certificate was not valid at the time that counts; without a time-stamp that is today.",
    "The file may be unchanged since it was signed; the signature alone no longer proves it.",
)
_CERTIFICATE = _error(
    "C2PA_CERTIFICATE_INVALID",
    "The signing certificate does not fit the C2PA profile or was revoked.",
    "The statements may be true all the same; nobody vouches for them in a way that counts.",
)
_MISSING_PART = _error(
    "C2PA_INCOMPLETE",
    "The manifest lacks something it refers to.",
    "It does not say that the rest is false; parts may have been taken out by a program that cleans metadata.",
)
_MALFORMED = _error(
    "C2PA_INVALID",
    "The manifest breaks a rule of C2PA.",
    "Often the program that wrote it is at fault; it does not prove that anybody meant to deceive.",
)
_TIME_STAMP = _warning(
    "C2PA_TIME_STAMP",
    "The time-stamp does not hold or comes from an authority that is not known here, so the time of signing is only "
    "what the signer claims.",
    "The signature itself is judged apart from it.",
)
_UNTRUSTED = _warning(
    "C2PA_UNTRUSTED",
    "The manifest is intact, but its signer is not among the roots trusted here.",
    "It does not mean that the signer lies: anybody can sign, and only you can decide whether to believe this name. "
    "Give the signer's root with --anchors where you have it from a source you trust.",
)
_UNKNOWN_SOURCE = StatusWords(
    finding="C2PA_SOURCE_UNKNOWN",
    severity=Severity.INFO,
    means="Something that went into the file brought no credentials along, so its history begins there.",
    means_not="Most files in the world have none; it is no sign of forgery.",
)

STATUS: Mapping[str, StatusWords] = {
    "assertion.dataHash.mismatch": _OTHER_BYTES,
    "assertion.bmffHash.mismatch": _OTHER_BYTES,
    "assertion.boxesHash.mismatch": _OTHER_BYTES,
    "assertion.collectionHash.mismatch": _OTHER_BYTES,
    "assertion.hashedURI.mismatch": _CHANGED_PART,
    "hashedURI.mismatch": _CHANGED_PART,
    "ingredient.hashedURI.mismatch": _CHANGED_PART,
    "ingredient.manifest.mismatch": _CHANGED_PART,
    "ingredient.claimSignature.mismatch": _CHANGED_PART,
    "claimSignature.mismatch": _CHANGED_CLAIM,
    "claimSignature.outsideValidity": _EXPIRED,
    "signingCredential.expired": _EXPIRED,
    "signingCredential.invalid": _CERTIFICATE,
    "signingCredential.revoked": _CERTIFICATE,
    "signingCredential.ocsp.revoked": _CERTIFICATE,
    "signingCredential.untrusted": _UNTRUSTED,
    "assertion.missing": _MISSING_PART,
    "assertion.inaccessible": _MISSING_PART,
    "claim.missing": _MISSING_PART,
    "claimSignature.missing": _MISSING_PART,
    "hashedURI.missing": _MISSING_PART,
    "ingredient.manifest.missing": _MISSING_PART,
    "ingredient.claimSignature.missing": _MISSING_PART,
    "manifest.inaccessible": _MISSING_PART,
    "claim.hardBindings.missing": _MISSING_PART,
    "algorithm.unsupported": _MALFORMED,
    "assertion.action.ingredientMismatch": _MALFORMED,
    "assertion.action.malformed": _MALFORMED,
    "assertion.action.redacted": _MALFORMED,
    "assertion.action.redactionMismatch": _MALFORMED,
    "assertion.bmffHash.malformed": _MALFORMED,
    "assertion.cbor.invalid": _MALFORMED,
    "assertion.dataHash.malformed": _MALFORMED,
    "assertion.ingredient.malformed": _MALFORMED,
    "assertion.json.invalid": _MALFORMED,
    "assertion.multipleHardBindings": _MALFORMED,
    "assertion.notRedacted": _MALFORMED,
    "assertion.selfRedacted": _MALFORMED,
    "assertion.undeclared": _MALFORMED,
    "claim.cbor.invalid": _MALFORMED,
    "claim.malformed": _MALFORMED,
    "claim.multiple": _MALFORMED,
    "manifest.compressed.invalid": _MALFORMED,
    "manifest.multipleParents": _MALFORMED,
    "manifest.timestamp.invalid": _MALFORMED,
    "manifest.timestamp.wrongParents": _MALFORMED,
    "manifest.update.invalid": _MALFORMED,
    "manifest.update.wrongParents": _MALFORMED,
    "timeStamp.malformed": _TIME_STAMP,
    "timeStamp.mismatch": _TIME_STAMP,
    "timeStamp.outsideValidity": _TIME_STAMP,
    "timeStamp.untrusted": _TIME_STAMP,
    "ingredient.unknownProvenance": _UNKNOWN_SOURCE,
}
"""Status codes that are no success (C2PA 2.2 §15.2)."""

ABSENT = (
    "The file carries no content credentials. That is no sign of guilt: most pictures never had any, and messengers, "
    "social networks and many programs take them out."
)
REMOTE = (
    "The file says that its content credentials lie on the network. This program never goes there; fetch them "
    "yourself, lay them beside the file as NAME.c2pa, and audit it again."
)


def status_words(code: str, explanation: str) -> StatusWords:
    """What a status code that is no success says; one that is not in the table is told as the library puts it."""
    return STATUS.get(code) or _error(
        "C2PA_INVALID",
        f"The C2PA library objects to the manifest: {plain_text(explanation, 300) or 'no explanation given'}.",
        "This program has no words of its own for this objection; it does not say what is true of the pixels.",
    )


def remark_words(code: str, explanation: str) -> StatusWords:
    """What a status code that is neither success nor failure says."""
    words = STATUS.get(code)
    if words is not None and words.severity is not Severity.ERROR:
        return words
    return StatusWords(
        finding="C2PA_REMARK",
        severity=Severity.INFO,
        means=f"The C2PA library notes: {plain_text(explanation, 300) or code}.",
        means_not="It is no failure.",
    )


def action_words(action: str) -> str:
    """What an action label means; for labels that are not C2PA's, that nobody but the signer knows."""
    return ACTIONS.get(action, "an action that only its signer defines")


def source_words(source_type: str) -> str:
    """What the last part of an IPTC digital source type means; empty where nothing is said."""
    if not source_type:
        return ""
    return SOURCE_TYPES.get(source_type, "a source type that IPTC does not list")


def relationship_words(relationship: str) -> str:
    """What an ingredient is to the file."""
    return RELATIONSHIPS.get(relationship, "in a relation that C2PA does not know")
