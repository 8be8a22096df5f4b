"""Time-stamps of the log's checkpoints (RFC 3161), by exchange of files: this program never talks to an authority.

One folder a request below `audit/timestamps/`: the checkpoint as it was, `request.tsq`, and once it came `reply.tsr`
with the `anchors.pem` under which it was judged. A reply that does not verify is never kept.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509

from archive_restore.adapters import durable
from archive_restore.adapters.certificates import common_name
from archive_restore.adapters.durable import storage_errors
from archive_restore.core.checkpoint import CheckpointMalformed, parse
from archive_restore.core.labels import plain_text
from archive_restore.errors import ArchiveRestoreError, KeysUnusable, LogDamaged, UsageError
from archive_restore.ports import AuditLog, TimeStamp, TimeStamps
from archive_restore.records.findings import Finding, Severity

if TYPE_CHECKING:
    from rfc3161_client.tsp import TimeStampResponse

CHECKPOINT, REQUEST, REPLY, ANCHORS = "checkpoint", "request.tsq", "reply.tsr", "anchors.pem"
STAMPED_REF = "audit/checkpoint"
"""What the events of the log that tell of time-stamps are about; no REF of an item can be so."""
_SHA256 = "2.16.840.1.101.3.4.2.1"
_NAME = re.compile(r"(0|[1-9][0-9]{0,15})-([0-9a-f]{1,40})")


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """What a reply turned out to be."""

    time: str = ""
    authority: str = ""
    findings: tuple[Finding, ...] = ()


class FolderTimeStamps(TimeStamps):
    """See ports.TimeStamps."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def request(self, checkpoint: bytes) -> bytes:
        """See ports.TimeStamps; RFC 3161 §2.4.1 with a nonce, and the authority's certificate wanted in the reply."""
        from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

        size = parse(checkpoint).checkpoint.size
        request = TimestampRequestBuilder(data=checkpoint, hash_algorithm=HashAlgorithm.SHA256).build()
        folder = self._directory / f"{size}-{request.nonce or 0:x}"
        with storage_errors("making", folder):
            folder.mkdir(parents=True)
        durable.replace_file(folder / CHECKPOINT, checkpoint)
        durable.replace_file(folder / REQUEST, request.as_bytes())
        for place in (folder, self._directory, self._directory.parent):
            durable.sync_directory(place)
        return request.as_bytes()

    def accept(self, reply: bytes, anchors: bytes | None) -> tuple[TimeStamp | None, tuple[Finding, ...]]:
        """See ports.TimeStamps. Steps: 1 read, 2 the request it answers, 3 the anchors, 4 the token, 5 keep it."""
        # 1. Read
        try:
            response = _decoded(reply)
            imprint, nonce = response.tst_info.message_imprint.message, response.tst_info.nonce
        except _Unreadable as exc:
            return None, (_finding("TIMESTAMP_UNREADABLE", "the reply", f"{exc}", "RFC 3161 §2.4.2"),)
        except ValueError:
            return None, (_refused(response, "the reply"),)
        # 2. The request it answers
        folder = next((f for f, _, asked in self._folders() if asked == nonce and _imprint(f) == imprint), None)
        if folder is None:
            message = "It answers no request that this archive made: neither its digest nor its nonce is one of them."
            return None, (_finding("TIMESTAMP_FOREIGN", "the reply", message, "RFC 3161 §2.4.2"),)
        # 3. The anchors
        pem = anchors if anchors is not None else self._newest_anchors()
        if pem is None:
            raise UsageError(
                "nobody vouches for the time-stamping authority yet",
                hint="Add --anchors PEM with its root certificate, which you had from somewhere else than the reply",
            )
        # 4. The token
        judged = _judge(reply, folder / CHECKPOINT, nonce, _certificates(pem), "the reply")
        if judged.findings:
            return None, judged.findings
        # 5. Keep it
        kept = folder / REPLY
        if kept.exists() and kept.read_bytes() != reply:
            message = f"The request of {folder.name} was answered already, by another reply that is kept."
            return None, (_finding("TIMESTAMP_REPEATED", "the reply", message),)
        durable.replace_file(folder / ANCHORS, pem)
        durable.replace_file(kept, reply)
        return self._stamp(folder, judged), ()

    def stored(self) -> Iterator[TimeStamp]:
        """See ports.TimeStamps."""
        for folder, _, nonce in self._folders():
            judged = self._judge_stored(folder, nonce) if (folder / REPLY).is_file() else _Judged()
            yield self._stamp(folder, judged)

    def verify(self, log: AuditLog) -> Iterator[Finding]:
        """See ports.TimeStamps. Steps: 1 what the log tells of is there, 2 each checkpoint, 3 each reply."""
        # 1. What the log tells of is there
        told: dict[str, list[Mapping[str, str]]] = {}
        try:
            for line in log.find([STAMPED_REF]):
                told.setdefault(line.event.digests.get(CHECKPOINT, ""), []).append(line.event.digests)
        except LogDamaged:
            return  # told with the rest of the log
        folders = list(self._folders())
        here = {digest(folder / CHECKPOINT) for folder, _, _ in folders if (folder / REPLY).is_file()}
        for gone in sorted(told.keys() - here):
            message = f"The log tells of the time-stamp of the checkpoint {gone} and it is not stored any more."
            yield _finding("TIMESTAMP_MISSING", "audit/timestamps", message)
        for folder, _, nonce in folders:
            subject = f"audit/timestamps/{folder.name}"
            if not (folder / REPLY).is_file():
                continue
            # 2. Each checkpoint
            try:
                checkpoint = (folder / CHECKPOINT).read_bytes()
            except OSError as exc:
                yield _finding("TIMESTAMP_INCOMPLETE", subject, f"Its checkpoint cannot be read: {exc.strerror}.")
                continue
            for problem in log.consistency(checkpoint).findings:
                yield Finding(
                    code=problem.code,
                    severity=problem.severity,
                    subject=subject,
                    message=problem.message,
                    clause=problem.clause,
                )
            # 3. Each reply
            kept = {name: digest(folder / name) for name in (CHECKPOINT, REPLY, ANCHORS)}
            if all(dict(digests) != kept for digests in told.get(kept[CHECKPOINT], ())):
                message = "The log does not tell of this reply under these anchors."
                yield _finding("TIMESTAMP_NOT_LOGGED", subject, message, "DESIGN §7")
            yield from self._judge_stored(folder, nonce).findings

    def _folders(self) -> Iterator[tuple[Path, int, int]]:
        """(folder, entries of the checkpoint, nonce), in order of size."""
        if not self._directory.is_dir():
            return
        with storage_errors("reading", self._directory):
            found = [(path, match) for path in self._directory.iterdir() if (match := _NAME.fullmatch(path.name))]
        yield from sorted((path, int(match[1]), int(match[2], 16)) for path, match in found)

    def _judge_stored(self, folder: Path, nonce: int) -> _Judged:
        subject = f"audit/timestamps/{folder.name}"
        try:
            anchors = _certificates((folder / ANCHORS).read_bytes())
            return _judge((folder / REPLY).read_bytes(), folder / CHECKPOINT, nonce, anchors, subject)
        except OSError as exc:
            message = f"{Path(exc.filename or '').name} cannot be read: {exc.strerror}."
        except ArchiveRestoreError as exc:
            message = f"It cannot be checked: {exc}"
        return _Judged(findings=(_finding("TIMESTAMP_INCOMPLETE", subject, message),))

    def _newest_anchors(self) -> bytes | None:
        """What vouched for the newest time-stamp that was accepted."""
        kept = [folder / ANCHORS for folder, _, _ in self._folders() if (folder / REPLY).is_file()]
        with storage_errors("reading", self._directory):
            return kept[-1].read_bytes() if kept else None

    @staticmethod
    def _stamp(folder: Path, judged: _Judged) -> TimeStamp:
        return TimeStamp(
            name=folder.name,
            size=int(folder.name.partition("-")[0]),
            time=judged.time,
            authority=judged.authority,
            answered=(folder / REPLY).is_file(),
            digests={name: found for name in (CHECKPOINT, REPLY, ANCHORS) if (found := digest(folder / name))},
        )


def digest(path: Path) -> str:
    """`sha256:…` of a file; empty where it cannot be read."""
    try:
        return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    except OSError:
        return ""


# --- one reply ---------------------------------------------------------------------------------------


class _Unreadable(ValueError):
    """The bytes are no reply."""


def _decoded(reply: bytes) -> TimeStampResponse:
    from rfc3161_client import decode_timestamp_response

    try:
        return decode_timestamp_response(reply)
    except ValueError as exc:
        raise _Unreadable("It is no time-stamp reply (DER)") from exc


def _judge(reply: bytes, checkpoint: Path, nonce: int, anchors: Sequence[x509.Certificate], subject: str) -> _Judged:
    """Hold a reply against its checkpoint. Steps: 1 status, 2 imprint, 3 nonce, 4 signature at the time it says."""
    from rfc3161_client import VerificationError, VerifierBuilder

    def problem(code: str, message: str, clause: str) -> _Judged:
        return _Judged(findings=(_finding(code, subject, message, clause),))

    try:
        response = _decoded(reply)
        # 1. Status
        if response.status != 0:
            return _Judged(findings=(_refused(response, subject),))
        told = response.tst_info
        # 2. Imprint
        imprint = told.message_imprint
        if imprint.hash_algorithm.dotted_string != _SHA256 or imprint.message != _imprint(checkpoint.parent):
            return problem("TIMESTAMP_FOREIGN", "It is not about this checkpoint.", "RFC 3161 §2.4.2")
        # 3. Nonce
        if told.nonce != nonce:
            return problem("TIMESTAMP_FOREIGN", "It answers another request.", "RFC 3161 §2.4.2")
        # 4. Signature
        builder = VerifierBuilder(roots=list(anchors), nonce=nonce)
        builder.build().verify(response, imprint.message)
    except VerificationError as exc:
        return problem(
            "TIMESTAMP_INVALID",
            "It was not signed by an authority that the anchors vouch for at that time, or was changed since "
            f"({plain_text(str(exc), 160)}).",
            "RFC 3161 §2.3, §2.4.2",
        )
    except _Unreadable as exc:
        return problem("TIMESTAMP_UNREADABLE", f"{exc}", "RFC 3161 §2.4.2")
    except ValueError as exc:
        return problem("TIMESTAMP_UNREADABLE", f"Its token cannot be read: {plain_text(str(exc), 160)}.", "RFC 3161")
    return _Judged(time=_moment(told.gen_time), authority=_authority(response))


def _refused(response: TimeStampResponse, subject: str) -> Finding:
    words = "; ".join(plain_text(str(text), 200) for text in response.status_string)
    said = f"status {response.status}{': ' if words else ''}{words}"
    message = f"The authority did not grant the time-stamp ({said}): send the request again."
    return _finding("TIMESTAMP_REFUSED", subject, message, "RFC 3161 §2.4.2")


def _authority(response: TimeStampResponse) -> str:
    """Name of who signed, from the certificate that the signature names."""
    signers = {(info.issuer, info.serial_number) for info in response.signed_data.signer_infos}
    for data in response.signed_data.certificates:
        certificate = x509.load_der_x509_certificate(data)
        if (certificate.issuer, certificate.serial_number) in signers:
            return plain_text(common_name(certificate), 120)
    return ""


def _imprint(folder: Path) -> bytes:
    """sha256 of the checkpoint of a request; empty where it cannot be read or is none."""
    try:
        data = (folder / CHECKPOINT).read_bytes()
        parse(data)
    except (OSError, CheckpointMalformed):
        return b""
    return hashlib.sha256(data).digest()


def _moment(when: datetime) -> str:
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return aware.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _certificates(pem: bytes) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem)
    except ValueError as exc:
        raise KeysUnusable(
            "the anchors are no PEM certificates", hint="Give the root certificate of the time-stamping authority"
        ) from exc
    return list(dict.fromkeys(found))


def _finding(code: str, subject: str, message: str, clause: str = "") -> Finding:
    return Finding(
        code=code, severity=Severity.ERROR, subject=subject, message=f"{message.rstrip('.')}.", clause=clause
    )
