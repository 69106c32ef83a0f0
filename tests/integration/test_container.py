"""The container's definition, and what it installs: rules OPS-1 to OPS-3 of SPEC.md.

There is no container engine here: the stage that makes the wheel is followed by hand, into a new environment.
"""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from tests.clients.eventually import eventually
from tests.faults.harness import START_WITHIN_S, STOP_WITHIN_S, free_port

ROOT = Path(__file__).parents[2]
NOBODY = 65_534
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
_INSTALL_WITHIN_S = 300


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage of the Containerfile, as (keyword, arguments)."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Containerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    found: list[list[tuple[str, str]]] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        keyword, _, arguments = line.partition(" ")
        if keyword == "FROM":
            found.append([])
        found[-1].append((keyword, arguments.strip()))
    return found


def copied(stage: list[tuple[str, str]]) -> Iterator[tuple[list[str], str]]:
    """What a stage copies from the repository: sources and target."""
    for keyword, arguments in stage:
        *sources, target = shlex.split(arguments)
        if keyword == "COPY" and not sources[0].startswith("--from="):
            yield sources, target


def test_the_image_runs_as_nobody_special_on_one_volume() -> None:
    """OPS-1."""
    page, wheel, final = stages()
    instructions = dict(final)
    keywords = [keyword for keyword, _ in final]

    assert [keywords.count(one) for one in ("USER", "VOLUME", "EXPOSE", "ENTRYPOINT", "CMD", "HEALTHCHECK")] == [1] * 6
    assert int(instructions["USER"].partition(":")[0]) >= 1000
    assert orjson.loads(instructions["VOLUME"]) == ["/data"]
    assert instructions["EXPOSE"] == "8000"
    assert instructions["STOPSIGNAL"] == "SIGTERM"
    assert orjson.loads(instructions["ENTRYPOINT"]) == ["layercake"]
    assert orjson.loads(instructions["CMD"]) == ["serve", "--host", "0.0.0.0", "--data-dir", "/data"]
    assert "LANG=C.UTF-8" in instructions["ENV"]
    assert not list(copied(final)), "the final image takes only what the stages before it installed"
    for stage in (page, wheel, final):
        image = stage[0][1].split()[0]
        assert re.fullmatch(r"[a-z]+:[\w.-]+-slim", image), "images by plain name, from wherever the engine has them"


async def test_the_health_check_is_python_that_works(tmp_path: Path) -> None:
    """OPS-1: it ends with 0 when /healthz answers, and with another code when nothing does."""
    arguments = dict(stages()[-1])["HEALTHCHECK"]
    command = orjson.loads(arguments[arguments.index("[") :])
    assert command[:2] == ["python", "-c"]
    (tmp_path / "healthz").write_text("alive")
    port = free_port()
    program = command[2].replace(":8000/", f":{port}/")
    check = [sys.executable, "-c", program]

    assert program != command[2]
    assert subprocess.run(check, capture_output=True).returncode != 0
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as serving:

        async def exit_code() -> int:
            return subprocess.run(check, capture_output=True).returncode

        try:
            await eventually(exit_code, lambda code: code == 0)
        finally:
            serving.terminate()


def test_what_is_copied_is_there_and_not_left_out() -> None:
    """OPS-2."""
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for stage in stages():
        for sources, _ in copied(stage):
            for source in sources:
                assert (ROOT / source).exists(), source
                assert f"!{source.partition('/')[0]}" in ignored, source


@pytest.mark.timeout(_INSTALL_WITHIN_S + START_WITHIN_S + STOP_WITHIN_S)
async def test_the_installed_wheel_serves_without_the_repository() -> None:
    """OPS-2, OPS-3: what the image copies makes a wheel; installed alone it serves, the page included, for any user."""
    with _open_folder() as folder:
        program = _install(folder)
        prefix, data = _as_another(program, folder)
        print("run by nobody" if prefix else f"run by user {os.geteuid()}")
        port = free_port()
        command = [*prefix, str(program), "serve", "--open", "--port", str(port), "--data-dir", str(data)]
        server = subprocess.Popen(command, cwd=data, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:

            async def page() -> str:
                assert server.poll() is None, "the server ended"
                return _answer(port, "/")

            assert "<title>" in await eventually(page, bool, START_WITHIN_S)
            assert "alive" in _answer(port, "/healthz")
            assert "swagger" in _answer(port, "/docs")
            if prefix:
                assert (data / "postgres").stat().st_uid == NOBODY, "PostgreSQL runs as whoever runs the server"
            server.send_signal(signal.SIGTERM)
            assert server.wait(STOP_WITHIN_S) == 0
        finally:
            server.kill()
            _, said = server.communicate()
            print(said.decode())


@contextmanager
def _open_folder() -> Iterator[Path]:
    """A new folder that every user may enter, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="layercake-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def _install(folder: Path) -> Path:
    """Do as the stage `wheel` of the Containerfile, in `folder`, and return the program."""
    source, wheels, environment = folder / "source", folder / "wheels", folder / "environment"
    source.mkdir()
    for sources, target in copied(stages()[1]):
        for name in sources:
            _copy(ROOT / name, source / target / ("" if (ROOT / name).is_dir() else name))
    _copy(ROOT / "web" / "dist", source / "web" / "dist")
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(*pip, "wheel", "--no-deps", "--wheel-dir", str(wheels), str(source))
    _run(sys.executable, "-m", "venv", str(environment))
    [wheel] = wheels.iterdir()
    within = ("--python", str(environment), "install", "--constraint", str(source / "constraints.txt"), str(wheel))
    _run(*pip, *within)
    shutil.rmtree(source)
    return environment / "bin" / "layercake"


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=_INSTALL_WITHIN_S)
    assert done.returncode == 0, done.stdout.decode()


def _as_another(program: Path, folder: Path) -> tuple[tuple[str, ...], Path]:
    """Return what to put before the command so that nobody special runs it, and a folder for their data."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    if os.geteuid() != 0 or subprocess.run([*AS_NOBODY, program, "--help"], capture_output=True).returncode != 0:
        return (), data  # we are nobody special ourselves, or nobody else may run this Python
    os.chown(data, NOBODY, NOBODY)
    return AS_NOBODY, data


def _answer(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""
