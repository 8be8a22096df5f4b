"""`python -m archive_restore`."""

from archive_restore.cli import main

main()
