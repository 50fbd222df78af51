"""The project around the working directory: its root, its flows, its store."""

from __future__ import annotations

import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

from flowkit.cli.exits import NOT_FOUND, USAGE, Refused
from flowkit.journal.urls import default_url, open_store

if TYPE_CHECKING:
    from flowkit.journal.base import Store

__all__ = ["Project", "existing", "on_path", "project", "store_url"]


class Project(NamedTuple):
    """Where a project is, and what its ``[tool.flowkit.flows]`` names."""

    root: Path
    flows: dict[str, str]


@cache
def project() -> Project:
    """The project of the working directory; without one, the directory itself.

    Raises:
        Refused: its pyproject.toml cannot be read.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        if file.exists():
            return Project(folder, _flows(file))
        if (folder / ".git").exists():
            return Project(folder, {})
    return Project(here, {})


def _flows(file: Path) -> dict[str, str]:
    try:
        found = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(USAGE, f"{file} cannot be read: {error}. Mend it.") from error
    flows = found.get("tool", {}).get("flowkit", {}).get("flows", {})
    if not isinstance(flows, dict) or not all(
        isinstance(each, str) for each in flows.values()
    ):
        raise Refused(
            USAGE,
            f"[tool.flowkit.flows] in {file} maps names to flows. Write a line such "
            f'as: shop = "flows:Shop"',
        )
    return flows


def on_path() -> None:
    """Let modules of the project be imported, as ``python -m`` does."""
    root = project().root
    for folder in (root / "src", root, Path.cwd()):
        text = str(folder)
        if folder.is_dir() and text not in sys.path:
            sys.path.insert(0, text)


def store_url(given: str | None) -> str:
    """The store that is meant: as given, else ``FLOWKIT_STORE``, else the default."""
    url = given or default_url()
    if url.startswith("postgres"):  # its own talk of what our errors say
        import logging

        logging.getLogger("psycopg").addHandler(logging.NullHandler())
    return url


def existing(given: str | None) -> Store:
    """The store that is meant, opened; never created just to look into it.

    Raises:
        Refused: there is none yet.
        StoreError: it cannot be opened.
    """
    url = store_url(given)
    if url.startswith("sqlite:"):
        path = Path(unquote(urlsplit(url).path)[1:]).absolute()
        if path.name and not path.exists():
            raise Refused(
                NOT_FOUND,
                f"There is no store {path} yet. `flowkit run` makes it with its "
                f"first run; another one is named by --store or FLOWKIT_STORE.",
            )
    return open_store(url)
