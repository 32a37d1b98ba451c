"""Makes a certificate authority and a server certificate.

The dates are fixed, so that the certificate is valid by a test's clock and by the real one.
"""

import contextlib
import ipaddress
import json
import os
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from sqlite3 import Connection

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
_NOT_AFTER = datetime(2049, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate and key of a server as PEM text, and the authority that clients must trust."""

    ca_pem: str
    server_pem: str
    key_pem: str

    def __repr__(self) -> str:
        return "Certificate(***)"


def certificate(db: Connection, host_names: Sequence[str]) -> Certificate:
    """The stored certificate, or a new one when there is none for exactly these names."""
    wanted = json.dumps(sorted(host_names))
    stored = dict(db.execute("SELECT name, value FROM facts WHERE name LIKE 'tls_%'").fetchall())
    if stored.get("tls_names") == wanted:
        return Certificate(stored["tls_ca"], stored["tls_server"], stored["tls_key"])
    made = make_certificate(host_names)
    facts = {"tls_names": wanted, "tls_ca": made.ca_pem, "tls_server": made.server_pem, "tls_key": made.key_pem}
    db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", facts.items())
    return made


def make_certificate(host_names: Sequence[str]) -> Certificate:
    """A new authority, whose key is not stored, and a server certificate for the given names and addresses."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _authority(ca_key)
    server_key = ec.generate_private_key(ec.SECP256R1())
    server = _server(server_key.public_key(), host_names, ca, ca_key)
    key_pem = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Certificate(_pem(ca), _pem(server), key_pem.decode())


def server_context(made: Certificate) -> ssl.SSLContext:
    """The TLS side of the server. Python reads a key from a file only: a temporary one with mode 0600."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    handle, path = tempfile.mkstemp(suffix=".pem")
    with contextlib.ExitStack() as stack:
        stack.callback(os.unlink, path)
        with os.fdopen(handle, "w") as file:
            file.write(made.key_pem + made.server_pem)
        context.load_cert_chain(path)
    return context


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name("Sidecar emulator test authority")
    builder = _builder(name, name, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(_usage("key_cert_sign", "crl_sign"), critical=True).sign(key, hashes.SHA256())


def _server(
    key: ec.EllipticCurvePublicKey, host_names: Sequence[str], ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    builder = _builder(_name("Sidecar emulator"), ca.subject, key)
    purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        builder.add_extension(x509.SubjectAlternativeName([_alternative(name) for name in host_names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage("digital_signature"), critical=True)
        .add_extension(purposes, critical=False)
        .add_extension(issuer_key, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOT_BEFORE)
        .not_valid_after(_NOT_AFTER)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def _usage(*wanted: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in wanted for name in _USAGES})


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(made: x509.Certificate) -> str:
    return made.public_bytes(serialization.Encoding.PEM).decode()
