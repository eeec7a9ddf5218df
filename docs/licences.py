"""Writes docs/licences.md: the packages siamjax needs and their licences, as their metadata say.

    python docs/licences.py

Packages of extras that are not installed keep the line they have; run it with another environment's
Python to fill them in.
"""

import re
import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

HERE = Path(__file__).parent
PAGE = HERE / "licences.md"
HEAD = """# Licences

siamjax is Apache-2.0. These tables are written by `python docs/licences.py` from the packages' own
metadata: first everything that `pip install siamjax` brings, then what the extras name.

Wheels may carry libraries of other licences. av's hold FFmpeg with x264 and x265 (GPL-2.0 or
later); x264 encodes `.mp4`. siamjax ships none of them; who passes an environment or a container on
passes them on, too. With a PyAV that was built against an FFmpeg without x264, `.mp4` holds MPEG-4
part 2, which browsers do not play, and all else works.

The bundled weights hold the backbone of NanoTrackV3 (github.com/HonglinChu/SiamTrackers,
Apache-2.0); their [training images](bundled.md) are under research licences.

`docs/images/tracking.webp` shows frames of Big Buck Bunny, (c) Blender Foundation,
www.bigbuckbunny.org, CC BY 3.0.
"""
# Names that classifiers and free texts use, as SPDX has them.
SPDX = {
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD License": "BSD",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "ISC License (ISCL)": "ISC",
}


def licence(name: str) -> str | None:
    """A package's licence, from its expression, classifiers or free text; None: not installed."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    if expression := about.get("License-Expression"):
        return expression
    classifiers = [
        line.split(" :: ")[-1]
        for line in about.get_all("Classifier") or ()
        if line.startswith("License :: ") and line.count("::") > 1
    ]
    text = about.get("License", "").strip()
    names = classifiers or [text.splitlines()[0]] if classifiers or text else ["not stated"]
    return " or ".join(SPDX.get(each, each) for each in names)


def requirements() -> tuple[set[str], dict[str, set[str]]]:
    """Names of everything the core needs, and of the direct requirements of each extra."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    extras = {
        extra: {_name(Requirement(line).name) for line in lines}
        for extra, lines in project["optional-dependencies"].items()
    }
    return _closure([Requirement(line) for line in project["dependencies"]]), extras


def _closure(direct: list[Requirement]) -> set[str]:
    found: set[str] = set()
    waiting = [(each.name, frozenset(each.extras)) for each in direct]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        found.add(_name(name))
        try:
            lines = metadata.requires(name) or ()
        except metadata.PackageNotFoundError:
            continue
        for each in map(Requirement, lines):
            wanted = (
                any(each.marker.evaluate({"extra": e}) for e in extras | {""})
                if each.marker
                else True
            )
            step = (each.name, frozenset(each.extras))
            if wanted and step not in seen:
                seen.add(step)
                waiting.append(step)
    return found


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def known() -> dict[str, str]:
    """Package and licence of each line that the page has."""
    text = PAGE.read_text() if PAGE.exists() else ""
    return dict(re.findall(r"^\| ([a-z0-9-]+) \| ([^|]+) \|", text, re.MULTILINE))


def page() -> str:
    """The page's text.

    Raises:
        ValueError: a package that is neither installed nor known from the page.
    """
    core, extras = requirements()
    before = known()
    names = core.union(*extras.values()) - {"siamjax"}
    table = {name: licence(name) or before.get(name, "").strip() for name in names}
    missing = sorted(name for name in names if not table[name])
    if missing:
        raise ValueError(f"not installed, not known: {', '.join(missing)}")
    lines = [HEAD, "| package | licence |", "|---|---|"]
    lines += [f"| {name} | {table[name]} |" for name in sorted(core)]
    lines += ["", "| package | licence | extra |", "|---|---|---|"]
    for name in sorted(names - core):
        users = ", ".join(extra for extra, members in extras.items() if name in members)
        lines.append(f"| {name} | {table[name]} | {users} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page())
