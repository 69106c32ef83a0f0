"""The `layercake` command."""

import signal

import typer

from server.commands import (
    archiving,
    backup,
    exporting,
    graphs,
    groups,
    importing,
    log,
    plan,
    project,
    quarantine,
    replaying,
    running,
    serving,
    users,
)

app = typer.Typer(
    help="Layercake: graphs that people and programs edit together, live, every edit durable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
serving.register(app)
importing.register(app)
exporting.register(app)
graphs.register(app)
replaying.register(app)
running.register(plan.app)
backup.register(app)
archiving.register(project.app)
app.add_typer(project.app, name="project")
app.add_typer(plan.app, name="plan")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(users.app, name="user")
app.add_typer(groups.app, name="group")
log.register(app)


def main() -> None:
    """Run the command line. SIGTERM ends a command as Ctrl-C does: nothing is left behind. `serve` has its own way."""
    signal.signal(signal.SIGTERM, _end)
    app()


def _end(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)
