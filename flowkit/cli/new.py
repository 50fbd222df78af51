"""``flowkit new``."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from pathlib import Path

from flowkit.cli import output
from flowkit.cli.exits import DONE, USAGE, Refused

__all__ = ["new"]

FILES = {
    "pyproject.toml": "pyproject.toml.txt",
    "flows.py": "flows.py.txt",
    "test_flows.py": "test_flows.py.txt",
    ".gitignore": "gitignore.txt",
}


def new(name: str, /) -> int:
    """Make a small project that runs.

    A folder with a flow in flows.py, a test of it, and a pyproject.toml that names
    the flow. Prints the folder.

    Args:
        name: Of the folder and of the flow.
    """
    folder = Path(name)
    word = re.sub(r"\W+", "_", folder.name).strip("_").lower()
    if not word.isidentifier() or keyword.iskeyword(word):
        text = f"{name!r} gives no name for a flow. Begin it with a letter: shop."
        raise Refused(USAGE, text)
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        text = f"{name!r} is there already. Give another name; nothing was changed."
        raise Refused(USAGE, text)
    folder.mkdir(parents=True, exist_ok=True)
    cls = "".join(part.capitalize() for part in word.split("_"))
    for file, template in FILES.items():
        text = (files("flowkit.cli") / "template" / template).read_text("utf-8")
        made = text.replace("@name@", word).replace("@Class@", cls)
        (folder / file).write_text(made, "utf-8")
    output.data(str(folder))
    output.say(f"Now: cd {folder} && flowkit run {word} -i pieces=3")
    return DONE
