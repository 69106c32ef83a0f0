"""`layercake project archive` and `layercake project unarchive`: one project as a file that goes anywhere."""

import asyncio
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from auth.audit import TERMINAL
from auth.policy import OPERATOR, Action
from persistence.archives import Archives
from persistence.graphs import Graphs
from persistence.identifiers import new_id
from persistence.operations import StoredDocuments
from persistence.projects import Projects
from persistence.records import ProjectRow
from server.commands.catalogue import DatabaseUrl, DataDir, GroupOption, group_named, nothing_is_live
from server.commands.new_file import new_file
from server.commands.sentences import explained
from server.community import build_audit
from server.documents import assemble, check_document, read_stored
from server.settings import Settings
from server.store import open_store
from workspace import archive as archives
from workspace.catalogue import Catalogue
from workspace.unarchiving import unpacked_graphs, unpacked_project

ProjectId = Annotated[UUID, typer.Argument(help="The project, by its id.")]
Out = Annotated[Path, typer.Option(help="The zip to write.")]
ArchiveFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help="A zip that `layercake project archive` wrote.")
]
NewName = Annotated[
    str | None, typer.Option("--name", help="Name of the new project.", show_default="the archived one")
]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command("archive")(archive)
    app.command("unarchive")(unarchive)


def archive(project_id: ProjectId, out: Out, data_dir: DataDir = None, database_url: DatabaseUrl = None) -> None:
    """Write a project with its graphs to a new zip, without what is in the bin; a server may go on serving.

    Each graph is as it is committed when its turn comes.
    """
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        with new_file(out) as unfinished:
            count = asyncio.run(archive_project(settings, project_id, unfinished))
        typer.echo(f"{out}: {count} graph(s), {out.stat().st_size} bytes")


async def archive_project(settings: Settings, project_id: UUID, file: Path) -> int:
    """Write a project to `file` and return how many graphs it has. Raises StoreError, NotFoundError."""
    async with open_store(settings) as database:
        catalogue = Catalogue(Projects(database), Graphs(database), nothing_is_live)
        await catalogue.authorise_project(OPERATOR, project_id, Action.READ)
        project, graphs = await Archives(database).read(OPERATOR.caller, project_id)
        documents = StoredDocuments(database)
        with archives.writing(file) as writer:
            for graph in graphs:
                assembled = assemble(await read_stored(documents, graph.id))
                writer.add(graph, assembled.document, assembled.pending)
            writer.finish(project)
        await build_audit(database).archived(TERMINAL, project_id)
    return len(graphs)


def unarchive(
    file: ArchiveFile,
    name: NewName = None,
    group: GroupOption = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a new project of an archive: all of it, or nothing."""
    with explained():
        settings = Settings.with_options(data_dir=data_dir, database_url=database_url)
        project, count = asyncio.run(unarchive_project(settings, file, name, group))
        typer.echo(f"{project.id}  {project.name}: {count} graph(s)")


async def unarchive_project(
    settings: Settings, file: Path, name: str | None, group: str | None = None
) -> tuple[ProjectRow, int]:
    """Store the project in `file` as a new one; return it and its number of graphs. Raises ArchiveError, StoreError."""
    with archives.opened(file) as opened:
        async with open_store(settings, create=True) as database:
            catalogue = Catalogue(Projects(database), Graphs(database), nothing_is_live)
            group_id = await catalogue.group_for_new_project(OPERATOR, await group_named(database, group))
            project = unpacked_project(opened, new_id(), name)
            graphs = unpacked_graphs(opened, new_id, check_document)
            archived_id = opened.manifest.project.id
            await Archives(database).store(OPERATOR.caller, group_id, project, archived_id, graphs)
        return project, len(opened.manifest.graphs)
