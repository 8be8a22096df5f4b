"""X.509 certificates for C2PA claim signing: making a local pair, checking an imported chain.

Follows C2PA 2.2 §14.5 (certificate profile) and RFC 5280. Never holds a private key longer than the call and
never touches a file; adapters/keys.py does that.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from archive_restore.errors import KeysUnusable

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
ExtensionT = TypeVar("ExtensionT", bound=x509.ExtensionType)

VALID_YEARS = 30
"""Life of the local certificates: without a time-stamp a manifest dies with its certificate."""
CONSENT_YEARS = 5
"""An imported certificate that lives shorter needs an explicit yes."""
MAX_NAME = 64
"""RFC 5280 appendix A.1: upper bound of organization and common names, characters."""

_DOCUMENT_SIGNING = x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")
_C2PA_CLAIM_SIGNING = x509.ObjectIdentifier("1.3.6.1.4.1.62558.2.1")
SIGNING_PURPOSES = (ExtendedKeyUsageOID.EMAIL_PROTECTION, _DOCUMENT_SIGNING, _C2PA_CLAIM_SIGNING)
"""Extended key usages that C2PA readers accept; only the first needs no configuration elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A checked certificate chain, split as C2PA wants it (§14.5.1: the anchor is not part of the chain)."""

    leaf: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    anchor: x509.Certificate
    """The root, or the topmost intermediate where the root was not given."""

    @property
    def chain_pem(self) -> str:
        """What goes into every signature: leaf first."""
        return pem((self.leaf, *self.intermediates))

    @property
    def algorithm(self) -> str:
        """`es256` or `ed25519`."""
        return algorithm_of(self.leaf)


def local_chain(organization: str, key: PrivateKey, now: datetime) -> Chain:
    """Make a root and an end-entity certificate for `key`, valid for VALID_YEARS.

    The root's private key exists only inside this call. Kept on the same disk it would protect nothing and could
    issue further certificates that every holder of the root trusts, with no way to revoke them offline; gone, the
    root vouches for exactly one key. A later key comes with a root of its own; the older roots stay anchors.
    """
    problem = name_problem(organization)
    if problem:
        raise KeysUnusable(
            f"the organization's name {problem}", hint="It goes into the certificate; shorten or mend it"
        )
    root_key = ec.generate_private_key(ec.SECP256R1())
    root_name = _name(organization, "archive-restore local root")
    leaf_name = _name(organization, "archive-restore signing key")
    root = (
        _builder(root_name, root_name, root_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(leaf=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        _builder(leaf_name, root_name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(leaf=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return Chain(leaf=leaf, intermediates=(), anchor=root)


def read_chain(chain_pem: str, now: datetime) -> Chain:
    """Check an imported chain and split it.

    Steps: (1) it parses; (2) each certificate is issued by the next; (3) all are valid today; (4) the issuers are
    authorities; (5) the leaf fits the C2PA profile. Raises KeysUnusable naming the first thing that does not fit.
    """
    # 1. parse
    try:
        certificates = x509.load_pem_x509_certificates(chain_pem.encode())
    except ValueError as exc:
        raise KeysUnusable(
            "the certificate chain cannot be read as PEM",
            hint="Give leaf, intermediates and root in one PEM file",
        ) from exc
    if len(certificates) < 2:
        raise KeysUnusable(
            "the chain holds only one certificate",
            hint="Append the issuer's certificates up to the root, the signing certificate first",
        )
    # 2. order and signatures
    for child, issuer in itertools.pairwise(certificates):
        try:
            child.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature) as exc:
            raise KeysUnusable(
                f"{common_name(child)!r} was not issued by {common_name(issuer)!r}, which follows it",
                hint="Order the PEM file: signing certificate, its issuer, and so on up to the root",
            ) from exc
    # 3. dates
    for certificate in certificates:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise KeysUnusable(
                f"the certificate {common_name(certificate)!r} is valid from {day(certificate.not_valid_before_utc)} "
                f"to {day(certificate.not_valid_after_utc)}, not today"
            )
    # 4. issuers
    for issuer in certificates[1:]:
        basic = _extension(issuer, x509.BasicConstraints)
        if basic is None or not basic.ca:
            raise KeysUnusable(f"the certificate {common_name(issuer)!r} is not an authority's (RFC 5280 §4.2.1.9)")
        if _extension(issuer, x509.SubjectKeyIdentifier) is None:
            # Some readers find no way from the leaf to the root without it and say Valid where others say Trusted.
            raise KeysUnusable(
                f"the authority's certificate {common_name(issuer)!r} lacks the subject key identifier that RFC 5280 "
                "§4.2.1.2 asks for"
            )
    # 5. leaf
    check_leaf(certificates[0])
    return Chain(leaf=certificates[0], intermediates=tuple(certificates[1:-1]), anchor=certificates[-1])


def check_leaf(leaf: x509.Certificate) -> None:
    """Hold a signing certificate against C2PA 2.2 §14.5.1; raise KeysUnusable naming what does not fit."""
    name = common_name(leaf)
    algorithm_of(leaf)
    if leaf.version is not x509.Version.v3:
        raise KeysUnusable(f"the certificate {name!r} is not X.509 version 3")
    if leaf.issuer == leaf.subject:
        raise KeysUnusable(
            f"the certificate {name!r} is signed by itself", hint="C2PA needs one issued by another certificate"
        )
    basic = _extension(leaf, x509.BasicConstraints)
    if basic is not None and basic.ca:
        raise KeysUnusable(f"the certificate {name!r} is an authority's; an end-entity certificate must sign")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        raise KeysUnusable(f"the certificate {name!r} may not sign: its key usage lacks digitalSignature")
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    if purposes is None or not set(purposes) & set(SIGNING_PURPOSES):
        raise KeysUnusable(
            f"the certificate {name!r} has no purpose that C2PA accepts",
            hint="Ask for the extended key usage emailProtection, documentSigning or C2PA claim signing",
        )
    if ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in purposes:
        raise KeysUnusable(f"the certificate {name!r} allows any purpose, which C2PA forbids")
    if _extension(leaf, x509.AuthorityKeyIdentifier) is None:
        raise KeysUnusable(f"the certificate {name!r} lacks the authority key identifier that C2PA asks for")


def needs_consent(leaf: x509.Certificate, now: datetime) -> bool:
    """Say whether manifests signed with it turn Invalid so soon that a person must agree to it."""
    return leaf.not_valid_after_utc < now + timedelta(days=365 * CONSENT_YEARS)


def needs_configuration(leaf: x509.Certificate) -> bool:
    """Say whether readers accept the certificate only when configured for its purpose."""
    purposes = _extension(leaf, x509.ExtendedKeyUsage)
    return purposes is None or ExtendedKeyUsageOID.EMAIL_PROTECTION not in purposes


def algorithm_of(certificate: x509.Certificate) -> str:
    """`es256` (ECDSA on P-256) or `ed25519`; raise KeysUnusable for any other key."""
    key = certificate.public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "es256"
    kind = f"ECDSA on {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__
    raise KeysUnusable(
        f"the key of {common_name(certificate)!r} is {kind.removesuffix('PublicKey')}",
        hint="Signing supports ECDSA on P-256 (ES256) and Ed25519",
    )


def public_key_of(certificate: x509.Certificate) -> PublicKey:
    """The certificate's public key; raise KeysUnusable where it is neither P-256 nor Ed25519."""
    algorithm_of(certificate)
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise KeysUnusable(f"the key of {common_name(certificate)!r} is not supported")
    return key


def leaf_of(chain_pem: str) -> x509.Certificate:
    """First certificate of a stored chain; raise KeysUnusable where there is none."""
    return certificates_of(chain_pem)[0]


def certificates_of(text: str) -> tuple[x509.Certificate, ...]:
    """All certificates of a stored PEM file; raise KeysUnusable where they cannot be read."""
    try:
        return tuple(x509.load_pem_x509_certificates(text.encode()))
    except ValueError as exc:
        raise KeysUnusable("a stored certificate cannot be read", hint="Restore the keys folder from a backup") from exc


def pem(certificates: Sequence[x509.Certificate]) -> str:
    """PEM text of certificates in order."""
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in certificates)


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 over the DER form as `openssl x509 -fingerprint -sha256` prints it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def common_name(certificate: x509.Certificate) -> str:
    """Common name of the subject, or the whole subject where there is none."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else certificate.subject.rfc4514_string()


def name_problem(organization: str) -> str:
    """Say in words why an organization's name cannot stand in a certificate; empty if it can."""
    if not organization.strip():
        return "is empty"
    if len(organization) > MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    if not organization.isprintable():
        return "holds a control character"
    return ""


def moment(text: str | None) -> datetime:
    """RFC 3339 text as UTC time; the present where None."""
    if text is None:
        return datetime.now(UTC)
    return datetime.fromisoformat(text).astimezone(UTC)


def day(when: datetime) -> str:
    """Date for people."""
    return when.strftime("%Y-%m-%d")


def _name(organization: str, common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: PublicKey, now: datetime) -> x509.CertificateBuilder:
    # A day of grace: a reader whose clock is late must not see a certificate from the future.
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before((now - timedelta(days=1)).replace(microsecond=0))
        .not_valid_after((now + timedelta(days=round(VALID_YEARS * 365.25))).replace(microsecond=0))
    )


def _usage(*, leaf: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=leaf,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not leaf,
        crl_sign=not leaf,
        encipher_only=False,
        decipher_only=False,
    )


def _extension(certificate: x509.Certificate, kind: type[ExtensionT]) -> ExtensionT | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
    except ValueError as exc:
        raise KeysUnusable(
            f"the certificate {common_name(certificate)!r} holds an extension that cannot be read"
        ) from exc
