"""`taskflow openapi`."""

from __future__ import annotations

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
@click.option("-o", "--output", metavar="FILE", help="[default: standard output]")
def openapi(kind: str, output: str | None) -> None:
    """Write the API's description or a request collection."""
    import msgspec

    import taskflow_http
    from taskflow_cli.writing import output_file

    if kind == "http":
        text = taskflow_http.http_file()
    else:
        document = taskflow_http.openapi_document()
        text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    with output_file(output) as file:
        file.write(text.encode())
    click.echo(f"Wrote {output}", err=True)
