"""The parser of every command."""

import argparse
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from siamjax.errors import UserError, near, one_of

_MINUS = re.compile(r"-\.?\d")


class Parser(argparse.ArgumentParser):
    """Says what is wrong with arguments in one line, as a `UserError`, with the nearest known word.

    Takes its flags with "_" and with "-" between words: --box_file and --box-file are one.
    """

    _words: Sequence[str] = ()

    def parse_known_args(self, args: Sequence[str] | None = None, namespace=None):
        """As the base class; what it does not know stays as it was given."""
        words = sys.argv[1:] if args is None else list(args)
        known = self._flags()
        spelt = {flag.replace("_", "-"): flag for flag in known if flag.startswith("--")}
        end = words.index("--") if "--" in words else len(words)
        found: list[str] = []
        for word in words[:end]:
            flag, equals, value = word.partition("=")
            if flag not in known:
                word = spelt.get(flag.replace("_", "-"), flag) + equals + value
            if found and found[-1].startswith("--") and found[-1] in known and _MINUS.match(word):
                found[-1] += f"={word}"  # --box -5,10,40,30: no flag, as argparse would have it
            else:
                found.append(word)
        self._words = found
        return super().parse_known_args([*found, *words[end:]], namespace)

    def unknown(self, argument: str, otherwise: str = "") -> UserError:
        """The line for an argument that the command does not take.

        Args:
            otherwise: what is said where no flag resembles it.
        """
        flag = argument.partition("=")[0]
        hint = near(flag, self._flags()) if flag.startswith("-") else ""
        if argument.isdecimal() and "--box" in self._flags():
            hint = "; a box is one word, --box=x,y,w,h"
        return UserError(f"unknown argument {argument}{hint or otherwise or self._see()}")

    def error(self, message: str) -> NoReturn:
        """Refuses the arguments.

        Raises:
            UserError: always.
        """
        if message.startswith("the following arguments are required"):
            for word in self._words:  # a misspelt flag is the likely cause
                flag = word.partition("=")[0]
                if flag.startswith("--") and not self._takes(flag) and near(flag, self._flags()):
                    raise self.unknown(word)
        if message.startswith("unrecognized arguments: "):
            raise self.unknown(message.split()[2])
        raise UserError(message + ("" if message.endswith("?") else self._see()))

    def _see(self) -> str:
        return f"; see {self.prog} --help"

    def _check_value(self, action: argparse.Action, value) -> None:
        """Where the base class lists the choices, the nearest one is named too."""
        if action.choices is not None and value not in action.choices:
            names = [str(choice) for choice in action.choices]
            if action.option_strings:
                shown = f"{action.option_strings[-1]}={value}: "
            else:
                shown = f"{value}: no such {action.metavar or action.dest}; "
            raise argparse.ArgumentError(None, shown + one_of(str(value), names))

    def _flags(self) -> set[str]:
        return {flag for action in self._actions for flag in action.option_strings}

    def _takes(self, flag: str) -> bool:
        """Whether a flag, or its beginning, is one of this parser's."""
        return flag.startswith("--config.") or any(own.startswith(flag) for own in self._flags())
