"""The certificate that a server shows, if it speaks TLS itself."""

import ssl
from pathlib import Path

from server.settings import Settings, SettingsError


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Return what to serve TLS 1.2 and later with; None if no certificate is set.

    Raises SettingsError if its files cannot be read or do not belong together.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing = "--tls-key" if key is None else "--tls-certificate"
        raise SettingsError(f"TLS needs a certificate and its key; {missing} is missing")
    for file in (certificate, key):
        _check_readable(file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")  # else OpenSSL asks on the terminal
    except ssl.SSLError as error:
        raise SettingsError(
            f"{certificate} and {key} are no certificate and its key without a passphrase, in PEM ({error.reason}); "
            "correct --tls-certificate and --tls-key"
        ) from None
    return context


def _check_readable(file: Path) -> None:
    try:
        file.read_bytes()
    except OSError as error:
        raise SettingsError(f"{file} cannot be read ({error.strerror}); correct the name, or its rights") from None
