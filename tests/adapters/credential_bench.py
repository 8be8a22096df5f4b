"""An archive's credentials with a master and the parts of a restoration, and a reader that we did not write."""

from pathlib import Path

import encypher_c2pa

from archive_restore.adapters import keys
from archive_restore.adapters.c2pa import C2paCredentials
from archive_restore.records.imagery import Region
from tests.adapters import record_samples as samples

TIFF = "image/tiff"


def stranger(path_or_bytes, anchors, sidecar=None, mime=TIFF):
    """What an implementation that we did not write says."""
    data = path_or_bytes.read_bytes() if isinstance(path_or_bytes, Path) else path_or_bytes
    more = {} if sidecar is None else {"manifest_store": sidecar}
    return encypher_c2pa.verify(
        data, mime, trust_pem=anchors, no_default_trust=True, telemetry=False, online=False, **more
    )


class Bench:
    """An archive's credentials with a master, its sidecar and the parts of a restoration."""

    def __init__(self, folder, algorithm="es256"):
        self.folder = folder
        keys.create_keys(folder / "keys", "Museum of Nipomo", None, algorithm=algorithm)
        self.signer = keys.load_signer(folder / "keys")
        self.anchors = self.signer.anchors_pem
        self.credentials = self.with_limit(1 << 30)
        self.master_path = samples.write_master(folder / "scan.tif")
        self.master = samples.master(self.master_path.read_bytes())
        self.sidecar = folder / "scan.tif.c2pa"
        self.credentials.sign_master(self.master, self.master_path, self.sidecar)
        self.derivation = samples.derivation(self.master)
        self.map_png = samples.write_map(folder / "map.png")
        self.unsigned = samples.write_unsigned(folder / "unsigned.tif")

    def with_limit(self, limit):
        return C2paCredentials(signer=lambda: self.signer, anchors_pem=lambda: self.anchors, embed_limit=limit)

    def restoration(self, name="out.tif", credentials=None, **changes):
        given = {
            "unsigned": self.unsigned,
            "out": self.folder / name,
            "sidecar": self.folder / f"{name}.c2pa",
            "master": self.master_path,
            "master_mime": TIFF,
            "master_sidecar": self.sidecar,
            "map_png": self.map_png,
            "regions": [Region(top=10, left=20, bottom=14, right=40)],
            "seen": samples.overview(),
        }
        derivation = changes.pop("derivation", self.derivation)
        signed = (credentials or self.credentials).sign_restoration(derivation, **{**given, **changes})
        return given["out"] if "out" not in changes else changes["out"], signed

    def read(self, path, sidecar=None):
        return self.credentials.read(path, TIFF, sidecar, "NIPOMO-01")


def flipped(data, index):
    changed = bytearray(data)
    changed[index] ^= 1
    return bytes(changed)
