"""The `layercake` command."""

import typer

from server.commands import graphs, importing, log, project, serving

app = typer.Typer(
    help="Layercake: graphs that people and programs edit together, live, every edit durable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
serving.register(app)
importing.register(app)
graphs.register(app)
project.register(app)
log.register(app)


def main() -> None:
    """Run the command line."""
    app()
