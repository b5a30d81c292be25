"""`nuthatch weights`: what each tool can use, here or not; fetched and verified on demand."""

import json
from pathlib import Path
from typing import Any

from nuthatch.tools.weights.fetching import Checked, fetch, verify
from nuthatch.tools.weights.released import RELEASED, Released, released, serving, weights_home
from nuthatch.tools.weights.store import FULL_SIZE_LOADERS, LOADERS, Weights


def print_weights(
    fetch_name: str | None = None,
    *,
    verify_all: bool = False,
    as_json: bool = False,
    home: str | Path | None = None,
) -> int:
    """List what each tool can use; fetch some of it first, or hash all that is here.

    Args:
        fetch_name: released weights to fetch; only they are listed then.
        verify_all: hash the files of all released weights that are here, or of those fetched.
        as_json: print one JSON object; progress goes to standard error.
        home: where fetched weights live (default: `weights_home`).

    Returns:
        Exit status: 1 if a file is not what it should be.

    Raises:
        ToolUnavailable: what was asked for cannot be fetched; the message says what to do.
    """
    place = weights_home(home)
    if fetch_name is not None:
        fetch(fetch_name, home)
    rows = _rows(home)
    if fetch_name is not None:
        rows = [row for row in rows if row["name"] == fetch_name]
    if verify_all:
        for row in rows:
            row["files"] = [_checked(found) for found in _verify(row)]
    if as_json:
        print(json.dumps({"home": str(place), "weights": rows}))
    else:
        _print(rows, place)
    found = [file["state"] for row in rows for file in row.get("files", ())]
    return int("wrong" in found or "missing" in found)


def _rows(home: str | Path | None) -> list[dict[str, Any]]:
    """One record for each set of weights: those in the package, then released ones."""
    users = _users()
    rows = []
    for name in (*LOADERS, *FULL_SIZE_LOADERS):
        tools = users.get(name, [])
        if name in LOADERS:
            rows.append(_shipped(name, tools))
        rows += [_released(entry, tools, home) for entry in serving(name)]
    return rows


def _users() -> dict[str, list[str]]:
    """Names of weights, and the tools that use them."""
    from nuthatch.tools.catalogue import default_tools

    users: dict[str, list[str]] = {}
    for tool in default_tools():
        for name in tool.weights:
            users.setdefault(name, []).append(tool.name)
    return users


def _shipped(name: str, tools: list[str]) -> dict[str, Any]:
    status = Weights().status(name)
    return {
        "name": "embedded",
        "serves": name,
        "tools": tools,
        "here": status.present,
        "bytes": status.bytes,
        "licence": "Apache-2.0",
        "commercial": True,
        "source": "in the package",
        "path": str(status.path),
        "note": "knows the miniature world only",
    }


def _released(entry: Released, tools: list[str], home: str | Path | None) -> dict[str, Any]:
    status = Weights(folders={entry.serves: entry.name}, home=home).status(entry.serves)
    return {
        "name": entry.name,
        "serves": entry.serves,
        "tools": tools,
        "here": status.present,
        "bytes": status.bytes if status.present else entry.bytes,
        "licence": entry.licence,
        "commercial": entry.commercial,
        "source": entry.page,
        "path": str(status.path),
        "note": entry.note,
    }


def _verify(row: dict[str, Any]) -> list[Checked]:
    """What hashing the files of one record found; nothing where they are not here."""
    if row["name"] not in RELEASED or not Path(row["path"]).is_dir():
        return []
    return verify(Path(row["path"]), released(row["name"]))


def _checked(found: Checked) -> dict[str, str]:
    return {"path": found.path, "state": found.state, "detail": found.detail}


def _print(rows: list[dict[str, Any]], home: Path) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    console.width = max(console.width, 160)  # addresses stay whole, to be copied
    width = max(len(row["name"]) for row in rows) + 1
    heading = None
    for row in rows:
        if row["serves"] != heading:
            heading = row["serves"]
            users = f" [dim]for {', '.join(row['tools'])}[/]" if row["tools"] else ""
            console.print(f"[bold]{heading}[/]{users}")
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_column(no_wrap=True, min_width=width + 2)  # what is to be typed is never cut
        line.add_column(no_wrap=True, min_width=8)
        line.add_column(no_wrap=True, min_width=7)
        line.add_column(min_width=12)
        line.add_column(overflow="fold")
        line.add_row(
            f"  {row['name']}{'*' if row['note'] else ''}",
            "[green]here[/]" if row["here"] else "[dim]not here[/]",
            _size(row["bytes"]),
            escape(row["licence"] + ("" if row["commercial"] else " (not for commerce)")),
            f"[dim]{escape(row['source'].removeprefix('https://'))}[/]",
        )
        console.print(line)
    notes = {row["name"]: row["note"] for row in rows if row["note"]}
    for name, note in notes.items():
        console.print(f"[dim]* {name}: {escape(note)}[/]")
    for row in rows:
        for file in row.get("files", ()):
            style = {"right": "green", "unknown": "yellow"}.get(file["state"], "red")
            said = f"{row['name']} {file['path']}: {file['detail']}"
            console.print(f"[{style}]{file['state']:>7}[/] {escape(said)}", soft_wrap=True)
    console.print(f"[dim]fetched ones live in[/] {escape(str(home))}", soft_wrap=True)


def _size(size: int | None) -> str:
    if size is None:
        return "unknown"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
