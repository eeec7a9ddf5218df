"""The parser of every command."""

import argparse
import sys
from collections.abc import Sequence


class Parser(argparse.ArgumentParser):
    """Takes its flags with "_" and with "-" between words: --box_file and --box-file are one."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace=None):
        """As the base class; what it does not know stays as it was given."""
        words = sys.argv[1:] if args is None else list(args)
        known = {flag for action in self._actions for flag in action.option_strings}
        spelt = {flag.replace("_", "-"): flag for flag in known if flag.startswith("--")}
        end = words.index("--") if "--" in words else len(words)
        for i, word in enumerate(words[:end]):
            flag, equals, value = word.partition("=")
            if flag not in known:
                words[i] = spelt.get(flag.replace("_", "-"), flag) + equals + value
        return super().parse_known_args(words, namespace)
