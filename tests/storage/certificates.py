"""Certificates of a private authority, for servers and clients of the tests."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """Writes what it signs into a folder: `NAME.pem` and `NAME.key`; its own is `root.pem`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("root")
        self._sign("root", self._key, None)

    def issue(self, name: str, address: str | None = None, password: str = "") -> Path:
        """The certificate's file; one for a server names its address."""
        key = ec.generate_private_key(ec.SECP256R1())
        kept = serialization.BestAvailableEncryption(password.encode()) if password else None
        bare = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            kept or serialization.NoEncryption(),
        )
        file = self._folder / f"{name}.key"
        file.write_bytes(bare)
        file.chmod(0o600)
        return self._sign(name, key, address)

    def _sign(self, name: str, key: ec.EllipticCurvePrivateKey, address: str | None) -> Path:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(
                x509.BasicConstraints(ca=name == "root", path_length=None), critical=True
            )
        )
        if address:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
            made = made.add_extension(names, critical=False)
        file = self._folder / f"{name}.pem"
        signed = made.sign(self._key, hashes.SHA256())
        file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return file


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
