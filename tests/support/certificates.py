"""A private certificate authority and its certificates: good, expired, for another host, for a client."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HERE = ("127.0.0.1", "localhost")
ELSEWHERE = ("elsewhere.invalid",)
"""A host that no test connects to; RFC 6761 reserves the name."""
WEEK = timedelta(days=7)
DAY = timedelta(days=1)
SIGNING = ("key_cert_sign", "crl_sign")
LEAF = ("digital_signature",)
USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


@dataclass(frozen=True, slots=True)
class Identity:
    """Two PEM files: a certificate and its private key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Certificates:
    """An authority and its certificates."""

    authority: Path
    server: Identity
    expired: Identity
    other_host: Identity
    client: Identity

    def context(self, server: Identity | None = None, *, asks_client: bool = False) -> ssl.SSLContext:
        """Returns the TLS context of a server; `asks_client` refuses clients without our certificate."""
        identity = server or self.server
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.certificate, identity.key)
        if asks_client:
            context.load_verify_locations(self.authority)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def client_context(self, client: Identity | None = None) -> ssl.SSLContext:
        """Returns the TLS context of a client that trusts the authority and may have a certificate."""
        context = ssl.create_default_context(cafile=self.authority)
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        return context


def make_certificates(directory: Path) -> Certificates:
    """Writes a new authority and its certificates as PEM files."""
    now = datetime.now(timezone.utc)
    authority = _Authority(now)
    path = directory / "authority.pem"
    path.write_bytes(authority.certificate.public_bytes(serialization.Encoding.PEM))

    def make(name: str, hosts: Sequence[str], end: datetime) -> Identity:
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        return _write(directory, name, *authority.sign(name, hosts, end, usage))

    return Certificates(
        path,
        server=make("server", HERE, now + WEEK),
        expired=make("expired", HERE, now - DAY),
        other_host=make("other-host", ELSEWHERE, now + WEEK),
        client=make("client", (), now + WEEK),
    )


class _Authority:
    """An authority whose certificates have what Python 3.13 requires (`ssl.VERIFY_X509_STRICT`)."""

    def __init__(self, now: datetime) -> None:
        self._start = now - WEEK
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("raybundle test authority")
        builder = self._builder(self._name, self._key.public_key(), now + WEEK)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.certificate = builder.add_extension(_usage(SIGNING), critical=True).sign(
            self._key, hashes.SHA256()
        )

    def sign(
        self, name: str, hosts: Sequence[str], end: datetime, usage: x509.ObjectIdentifier
    ) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(_name(name), key.public_key(), end)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(LEAF), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if hosts:
            alternatives = x509.SubjectAlternativeName([_host(host) for host in hosts])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(self._key, hashes.SHA256()), key

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, end: datetime
    ) -> x509.CertificateBuilder:
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder(issuer_name=self._name, subject_name=subject, public_key=key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._start)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(issuer_key, critical=False)
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _usage(granted: Sequence[str]) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in granted for use in USES})


def _write(
    directory: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> Identity:
    identity = Identity(directory / f"{name}.pem", directory / f"{name}.key")
    identity.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    identity.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    identity.key.chmod(0o600)
    return identity
