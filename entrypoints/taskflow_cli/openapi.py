"""`taskflow openapi`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "--format",
    "kind",
    type=click.Choice(["json", "http"]),
    default="json",
    show_default=True,
    help="json: OpenAPI 3.1; http: a request collection that editors run.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
def openapi(kind: str, output: Path | None) -> None:
    """Write the API's description or a request collection."""
    import msgspec

    import taskflow_http

    if kind == "http":
        text = taskflow_http.http_file()
    else:
        document = taskflow_http.openapi_document()
        text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from error
    click.echo(f"Wrote {output}", err=True)
