"""Whom the client trusts, and that a token never travels plain."""

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from client_kit import CREDENTIALS, ENTRY, Recorder, clean, client_of, lost, microsoft
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from promises import Show

from sidecar.core.answer import Taken
from sidecar.microsoft.tls import UnusableRoots, context


def certificate(folder: Path) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-root")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + built.public_bytes(serialization.Encoding.PEM)
    (folder / "server.pem").write_bytes(pem)
    return folder / "server.pem"


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    return certificate(tmp_path)


@pytest.fixture
def server_tls(pem: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(pem)
    return made


@pytest.mark.promise("C11")
async def test_certificate_of_an_unknown_authority_is_refused_before_the_token_leaves(
    server_tls: ssl.SSLContext, shown: Show
) -> None:
    recorder = Recorder(clean)
    async with microsoft(recorder, server_tls) as base:
        answer = await lost(base)
    assert answer.why.startswith("the server's certificate is not trusted; see microsoft.ca_bundle: ")
    assert not answer.sent
    shown("1 servers that nobody vouches for", lost=len(recorder.requests))


@pytest.mark.parametrize("as_file", [True, False])
async def test_added_roots_are_trusted(pem: Path, server_tls: ssl.SSLContext, as_file: bool) -> None:
    tls = context(pem) if as_file else context(None, pem.read_text())
    async with microsoft(Recorder(clean), server_tls) as base, client_of(base, tls=tls) as client:
        assert isinstance(await client.apply(CREDENTIALS, [ENTRY]), Taken)


@pytest.mark.promise("C11")
async def test_a_trusted_certificate_for_another_name_is_refused(
    pem: Path, server_tls: ssl.SSLContext, shown: Show
) -> None:
    recorder = Recorder(clean)
    async with microsoft(recorder, server_tls) as base:
        answer = await lost(base.replace("127.0.0.1", "localhost"), tls=context(pem))
    assert "not trusted" in answer.why
    assert not answer.sent
    shown("1 servers that nobody vouches for", lost=len(recorder.requests))


@pytest.mark.promise("C11")
async def test_a_server_that_speaks_no_tls_gets_nothing(shown: Show) -> None:
    recorder = Recorder(clean)
    async with microsoft(recorder) as base:
        answer = await lost(base.replace("http:", "https:"))
    assert answer.why.startswith("the TLS handshake failed")
    assert not answer.sent
    shown("1 servers that nobody vouches for", lost=len(recorder.requests))


def test_added_roots_do_not_replace_the_systems(pem: Path) -> None:
    assert context(pem).cert_store_stats()["x509"] == context(None).cert_store_stats()["x509"] + 1


def test_verification_is_on() -> None:
    made = context(None)
    assert made.check_hostname
    assert made.verify_mode is ssl.CERT_REQUIRED
    assert made.minimum_version is ssl.TLSVersion.TLSv1_2


def test_an_unusable_ca_bundle_shows_which_file_and_why(tmp_path: Path) -> None:
    with pytest.raises(UnusableRoots, match=r"microsoft.ca_bundle .*missing.pem.*No such file"):
        context(tmp_path / "missing.pem")
    (tmp_path / "odd.pem").write_text("no certificate")
    with pytest.raises(UnusableRoots, match=r"odd.pem"):
        context(tmp_path / "odd.pem")
    with pytest.raises(UnusableRoots, match="emulator"):
        context(None, "")


@pytest.mark.parametrize(
    "base", ["http://campaign.example", "http://10.0.0.1:80", "ftp://campaign.example", "campaign"]
)
async def test_tokens_never_travel_plain_but_on_loopback(base: str) -> None:
    with pytest.raises(ValueError, match="not https"):
        async with client_of(base):
            pass


@pytest.mark.parametrize(
    "base", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1", "https://campaign.example"]
)
async def test_loopback_and_https_are_fine(base: str) -> None:
    async with client_of(base):
        pass
