"""WEBSEC-5: a server that speaks TLS itself."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.client import ClientConnection, connect

from persistence.database import Database
from server.app import bind, running
from server.door import everyone_is_admin
from server.settings import Settings, SettingsError
from server.tls import tls_context
from tests.clients.hclient import AUTHENTICATED, HClient, auth

QUICK_S = 3.0


class Files(NamedTuple):
    """A certificate for 127.0.0.1, its key, another key, and the first one behind a passphrase."""

    certificate: Path
    key: Path
    other_key: Path
    locked_key: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    found = Files(
        *(tmp_path_factory.mktemp("tls") / name for name in ("cert.pem", "key.pem", "other.pem", "locked.pem"))
    )
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    found.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    for file, one, lock in (
        (found.key, key, serialization.NoEncryption()),
        (found.other_key, ec.generate_private_key(ec.SECP256R1()), serialization.NoEncryption()),
        (found.locked_key, key, serialization.BestAvailableEncryption(b"passphrase")),
    ):
        form = serialization.PrivateFormat.PKCS8
        file.write_bytes(one.private_bytes(serialization.Encoding.PEM, form, lock))
    return found


def settings(files: Files, **more: float) -> Settings:
    return Settings.with_options(open=True, tls_certificate=files.certificate, tls_key=files.key, **more)


def trusting(files: Files) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(files.certificate))


@asynccontextmanager
async def encrypted(database: Database, files: Files) -> AsyncIterator[tuple[int, ssl.SSLContext, httpx.AsyncClient]]:
    trust = trusting(files)
    with bind("127.0.0.1", 0) as bound:
        async with running(settings(files), database, everyone_is_admin, bound) as listener:
            await asyncio.sleep(0)
            async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{listener.port}", verify=trust) as http:
                yield listener.port, trust, http


async def new_graph(http: httpx.AsyncClient) -> str:
    project = (await http.post("/api/projects", json={"name": "p"})).raise_for_status().json()
    made = await http.post(f"/api/projects/{project['id']}/graphs", json={"name": "g"})
    graph_id: str = made.raise_for_status().json()["id"]
    return graph_id


async def closed_code(socket: ClientConnection) -> int:
    async with asyncio.timeout(QUICK_S):
        await socket.wait_closed()
    return socket.close_code or 0


async def test_WEBSEC_5_http_and_both_dialects_by_tls_and_a_clean_end(database: Database, files: Files) -> None:
    loop = asyncio.get_running_loop()
    async with encrypted(database, files) as (port, trust, http):
        origin = f"https://127.0.0.1:{port}"
        page = await http.get("/", headers={"origin": origin})
        assert (page.status_code, "strict-transport-security" in page.headers) == (200, True)
        graph_id = await new_graph(http)
        y = await connect(f"wss://127.0.0.1:{port}/sync/{graph_id}", ssl=trust, origin=origin, compression=None)
        assert await y.recv()
        left = await connect(f"wss://127.0.0.1:{port}/sync/{graph_id}", ssl=trust, compression=None)
        began = loop.time()
        await left.close()
        assert (left.close_code, loop.time() - began < QUICK_S) == (1000, True)
        hocuspocus = await connect(f"wss://127.0.0.1:{port}/hocuspocus", ssl=trust, compression=None)
        client = HClient(hocuspocus)
        await client.send(graph_id, auth("any", "4.8.0"))
        assert (await client.hear()).message == AUTHENTICATED
        began = loop.time()
    assert [await closed_code(one) for one in (y, hocuspocus)] == [1012, 1012]
    assert loop.time() - began < QUICK_S


async def test_WEBSEC_5_a_refused_handshake_ends_by_itself(database: Database, files: Files) -> None:
    async with encrypted(database, files) as (port, trust, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        writer.write(
            f"GET /sync/nothing HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        async with asyncio.timeout(QUICK_S):
            assert (await reader.read()).startswith(b"HTTP/1.1 404")
        writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_WEBSEC_5_from_tls_1_2_on(database: Database, files: Files, version: ssl.TLSVersion) -> None:
    async with encrypted(database, files) as (port, trust, _):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            trust.minimum_version = trust.maximum_version = version
        trust.set_ciphers("DEFAULT:@SECLEVEL=0")
        if version is ssl.TLSVersion.TLSv1_1:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("127.0.0.1", port, ssl=trust)
            return
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        writer.close()


async def test_WEBSEC_5_who_speaks_no_tls_is_not_answered(database: Database, files: Files) -> None:
    async with encrypted(database, files) as (port, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(QUICK_S):
            assert b"HTTP/" not in await reader.read()
        writer.close()


@pytest.mark.parametrize("start", [b"", b"\x16\x03\x01"])
async def test_DOOR_8_a_tls_handshake_that_does_not_come(database: Database, files: Files, start: bytes) -> None:
    hasty = settings(files, request_timeout_s=0.3)
    with bind("127.0.0.1", 0) as bound:
        async with running(hasty, database, everyone_is_admin, bound) as listener:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            writer.write(start)
            with suppress(ConnectionResetError):
                async with asyncio.timeout(QUICK_S):
                    assert await reader.read() == b""
            writer.close()


def test_WEBSEC_5_files_that_cannot_be_used_are_named(files: Files, tmp_path: Path) -> None:
    none, empty = tmp_path / "none.pem", tmp_path / "empty.pem"
    empty.touch()
    for certificate, key, says in (
        (files.certificate, None, "--tls-key is missing"),
        (None, files.key, "--tls-certificate is missing"),
        (none, files.key, str(none)),
        (files.certificate, tmp_path, str(tmp_path)),
        (empty, files.key, str(empty)),
        (files.certificate, empty, str(empty)),
        (files.certificate, files.other_key, str(files.other_key)),
        (files.certificate, files.locked_key, "passphrase"),
        (files.key, files.certificate, "PEM"),
    ):
        with pytest.raises(SettingsError) as refused:
            tls_context(Settings.with_options(tls_certificate=certificate, tls_key=key))
        assert says in str(refused.value)
