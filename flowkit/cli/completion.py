"""``flowkit completion``."""

from __future__ import annotations

from typing import Literal

from flowkit.cli import output
from flowkit.cli.exits import DONE

__all__ = ["completion"]


def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print what teaches a shell to complete flowkit's words.

    bash: write it to ~/.local/share/bash-completion/completions/flowkit.
    zsh: to a file _flowkit in a folder of $fpath.
    fish: to ~/.config/fish/completions/flowkit.fish.

    Args:
        shell: Which one.
    """
    from flowkit.cli.app import made

    output.data(made().generate_completion(shell=shell))
    return DONE
