"""From words to a verb, and from whatever it raises to one sentence and a code."""

from __future__ import annotations

import sys
import traceback
import warnings
from typing import Any

from cyclopts import App, CycloptsError, Parameter

from flowkit.cli import output
from flowkit.cli.exits import FAILED, INTERRUPTED, NOT_FOUND, USAGE, Refused
from flowkit.cli.verbs import VERBS, version
from flowkit.core.validate import closest, is_typo
from flowkit.errors import (
    FlowkitError,
    InputError,
    MissingExtraError,
    NotFoundError,
)
from flowkit.journal import upgrades

__all__ = ["call", "made"]


def made() -> App:
    """The app; a verb's module loads when the verb is asked for."""
    app = App(
        name="flowkit",
        version=version(),
        help_format="markdown",
        result_action="return_value",
        default_parameter=Parameter(
            negative_bool=(), negative_iterable=(), show_default=False
        ),
    )
    for name, verb in VERBS.items():
        app.command(
            f"flowkit.cli.{name}:{name}",
            name=name,
            help_epilogue=f"Example: {verb.example}",
        )
    return app


def call(words: list[str]) -> int:
    """Do what the words say; gives the exit code."""
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    warnings.showwarning = _warned
    if words[:1] != ["migrate"]:  # it tells it itself
        upgrades.heard.append(_upgraded)
    try:
        return _called(words)
    except KeyboardInterrupt:
        output.complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except CycloptsError as error:
        verb = words[0] if words and words[0] in VERBS else ""
        more = f"flowkit {verb}".strip()
        return _failed(f"{_one_line(error)} See: {more} --help", USAGE, debug=debug)
    except Refused as error:
        return _failed(str(error), error.code, debug=debug)
    except FlowkitError as error:
        return _failed(str(error), _code(error), debug=debug)
    except Exception as error:  # noqa: BLE001 - no traceback unless it is asked for
        text = f"{type(error).__name__}: {error} (--debug shows where)"
        return _failed(text, FAILED, debug=debug)
    finally:
        if _upgraded in upgrades.heard:
            upgrades.heard.remove(_upgraded)


def _called(words: list[str]) -> int:
    if words and words[0] not in VERBS and not words[0].startswith("-"):
        slips = [verb for verb in VERBS if is_typo(words[0], verb)]
        guess = slips[0] if slips else closest(words[0], frozenset(VERBS))
        hint = f"Did you mean {guess!r}?" if guess else "flowkit --help lists them."
        raise Refused(USAGE, f"There is no verb {words[0]!r}. {hint}")
    code: Any = made()(words, exit_on_error=False, print_error=False)
    return code if isinstance(code, int) else 0


def _code(error: FlowkitError) -> int:
    if isinstance(error, NotFoundError):
        return NOT_FOUND
    return USAGE if isinstance(error, InputError | MissingExtraError) else FAILED


def _failed(text: str, code: int, *, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    output.complain(text)
    return code


def _one_line(error: CycloptsError) -> str:
    text = " ".join(str(error).split())
    return text if text.endswith((".", "?", "!")) else f"{text}."


def _upgraded(text: str) -> None:
    """A store that was brought to a newer schema, as one line of talk."""
    output.say(f"{output.paint('note:', 'yellow', sys.stderr)} {text}")


def _warned(message: Any, *_where: Any, **_more: Any) -> None:
    """A warning as one line of talk."""
    sys.stdout.flush()
    output.say(f"{output.paint('warning:', 'yellow', sys.stderr)} {message}")
