"""`layercake project`: commands about one project."""

import typer

app = typer.Typer(help="Commands about one project.", no_args_is_help=True)
