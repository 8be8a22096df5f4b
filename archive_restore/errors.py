"""Every way a command can fail, and the exit code that says so.

    ArchiveRestoreError
    ├── UsageError               2   the words of the command do not fit together
    │   └── NothingToEnhance     2   an enhancement would be its source
    ├── ArchiveMissing          10   no archive where one was expected, or one already there
    ├── ArchiveBusy             11   another process is writing to the archive
    ├── ReferenceUnknown        12   a REF names nothing in the archive
    ├── PictureUnreadable       13   a file's pixels cannot be read or are not supported
    ├── RecipeInvalid           14   a recipe does not fit its schema or its steps
    ├── StorageFailed           15   the disk refused: full, read-only, I/O error
    ├── StorageConflict         16   the same identifier already names other bytes
    ├── KeysUnusable            17   a key, certificate or passphrase does not work
    ├── CredentialsFailed       18   a C2PA manifest could not be made or read
    ├── LogDamaged              19   the audit log contradicts itself or its checkpoint
    ├── CatalogDamaged          20   the catalog cannot be used as it is
    ├── SeparationViolated      21   a story was about to become part of the record
    ├── ModelUnusable           22   a model is missing, damaged or does not fit its card
    ├── PluginRefused           23   a plugin is not allowed in archive.toml, or does not load
    ├── SelfCheckFailed         24   our own output did not pass our own check and was discarded
    ├── ConfigurationInvalid    25   archive.toml or an environment variable is wrong
    └── SourceUnreadable        26   a file that was handed in cannot be read, or changed meanwhile

The class is the meaning and the exit code. The message is one line: what happened, to what, what to do
next. Expected problems of files are not errors but findings (see records.findings).
"""

from __future__ import annotations

from typing import ClassVar


class ArchiveRestoreError(Exception):
    """Base of every error a user may see; never raised itself."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the one-line message; `hint` says what to do next."""
        text = " ".join(message.split())
        self.hint = " ".join(hint.split())
        super().__init__(f"{text}. {self.hint}" if self.hint else text)


class UsageError(ArchiveRestoreError):
    """The words of the command do not fit together."""

    exit_code = 2


class NothingToEnhance(UsageError):
    """An enhancement would be its source."""


class ArchiveMissing(ArchiveRestoreError):
    """No archive where one was expected, or one already there."""

    exit_code = 10


class ArchiveBusy(ArchiveRestoreError):
    """Another process is writing to the archive."""

    exit_code = 11


class ReferenceUnknown(ArchiveRestoreError):
    """A REF names nothing in the archive."""

    exit_code = 12


class PictureUnreadable(ArchiveRestoreError):
    """A file's pixels cannot be read or are not supported."""

    exit_code = 13


class RecipeInvalid(ArchiveRestoreError):
    """A recipe does not fit its schema or its steps."""

    exit_code = 14


class StorageFailed(ArchiveRestoreError):
    """The disk refused: full, read-only, I/O error."""

    exit_code = 15


class StorageConflict(ArchiveRestoreError):
    """The same identifier already names other bytes."""

    exit_code = 16


class KeysUnusable(ArchiveRestoreError):
    """A key, certificate or passphrase does not work."""

    exit_code = 17


class CredentialsFailed(ArchiveRestoreError):
    """A C2PA manifest could not be made or read."""

    exit_code = 18


class LogDamaged(ArchiveRestoreError):
    """The audit log contradicts itself or its checkpoint."""

    exit_code = 19


class CatalogDamaged(ArchiveRestoreError):
    """The catalog cannot be used as it is."""

    exit_code = 20


class SeparationViolated(ArchiveRestoreError):
    """A story was about to become part of the record."""

    exit_code = 21


class ModelUnusable(ArchiveRestoreError):
    """A model is missing, damaged or does not fit its card."""

    exit_code = 22


class PluginRefused(ArchiveRestoreError):
    """A plugin is not allowed in archive.toml, or does not load."""

    exit_code = 23


class SelfCheckFailed(ArchiveRestoreError):
    """Our own output did not pass our own check and was discarded."""

    exit_code = 24


class ConfigurationInvalid(ArchiveRestoreError):
    """archive.toml or an environment variable is wrong."""

    exit_code = 25


class SourceUnreadable(ArchiveRestoreError):
    """A file that was handed in cannot be read, or changed meanwhile."""

    exit_code = 26
