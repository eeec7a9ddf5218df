"""`--tracker`, which several commands share."""

import argparse


def add_trackers(parser: argparse.ArgumentParser, more: str = "; again for more") -> None:
    """`--tracker`, repeatable, read by `siamjax.evaluation.specs.parse`; =help lists them."""
    text = (
        "a tracker: a built-in name, a checkpoint's path, module:Class or OpenCV's with its model"
        f" files{more}; help lists them"
    )
    parser.add_argument("--tracker", action=_Trackers, default=[], metavar="[NAME=]SPEC", help=text)


class _Trackers(argparse.Action):
    """Collects what --tracker gives; --tracker=help lists the trackers and ends."""

    def __call__(self, parser, namespace, values, option_string=None):
        if values == "help":
            from siamjax.evaluation import specs  # OpenCV

            print(specs.listing())
            parser.exit()
        setattr(namespace, self.dest, [*getattr(namespace, self.dest), values])
