"""Sphinx reads this: `make docs` builds the pages, and any warning is an error."""

import inspect
import re
import sys
from pathlib import Path

import latex2mathml.converter
from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]

from siamjax.version import __version__  # noqa: E402

project, author, release = "siamjax", "the siamjax authors", __version__
copyright = "the siamjax authors, Apache-2.0"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
exclude_patterns = ["_build"]
suppress_warnings = ["ref.python"]  # a short name such as `init` exists in several modules

# Markdown: GitHub's own forms, so that the pages read as well there
myst_enable_extensions = ["dollarmath"]
myst_fence_as_directive = ["math"]
myst_heading_anchors = 3

default_role = "py:obj"  # `name` in a docstring links to what is called so, and is code otherwise
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_mock_imports = ["onnx", "onnxruntime", "trax", "aiohttp", "torch"]
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
RETURN_VALUES = "Return values"
napoleon_custom_sections = [(RETURN_VALUES, "params_style")]

highlight_language = "text"
html_theme = "furo"
html_title = f"siamjax {release}"
html_static_path = ["static"]
html_css_files = ["style.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_search_scorer = str(HERE / "static" / "scorer.js")

API = HERE / "_api"
# One page per room, in the order of use.
ROOMS = {
    "api": "What scripts call",
    "tracking": "Tracking",
    "media": "Frames and boxes in files",
    "viz": "Pictures",
    "evaluation": "Evaluation",
    "measures": "Measures",
    "datasets": "Benchmarks and result files",
    "finetuning": "Fine-tuning on own videos",
    "data": "Training data",
    "synthetic": "The synthetic world",
    "bundled": "Bundled experiments and data preparation",
    "training": "Training",
    "config": "Experiments",
    "schema": "Values that a config may have",
    "models": "The network",
    "geometry": "Boxes, anchors, crops, polygons",
    "studies": "Studies",
    "integrations": "Other programs",
    "remote": "Files at addresses",
    "commands": "The commands",
    "arguments": "Command lines",
    "constants": "Constants of the tracker",
    "npz": "Files of arrays",
    "checksums": "Checksums of output files",
    "files": "Output files",
    "devices": "The device that computes",
    "installation": "How siamjax was installed",
    "opencv": "The OpenCV that is installed",
    "locks": "Locks",
    "processes": "Worker processes",
    "compile_cache": "Compiled programs",
    "errors": "Errors and exit codes",
    "wording": "Words of messages",
}


def write_api_pages(*_) -> None:
    """A page per room with all its modules; a module that belongs to none is an error."""
    API.mkdir(exist_ok=True)
    package = ROOT / "siamjax"
    modules = sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in package.rglob("*.py")
        if path.stem not in ("__init__", "__main__", "version", "cli")
    )
    lost = {name.split(".")[1] for name in modules} - ROOMS.keys()
    if lost:
        raise ValueError(f"docs/conf.py: give the rooms {sorted(lost)} a title in ROOMS")
    for room, title in ROOMS.items():
        lines = [title, "=" * len(title), ""]
        for name in (m for m in modules if m.split(".")[1] == room):
            lines += [name, "-" * len(name), "", f".. automodule:: {name}", "   :members:"]
            lines += ["   :exclude-members: setup", ""]  # for Flax alone
        text = "\n".join(lines)
        path = API / f"{room}.rst"
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields):")
NAMED = re.compile(r"    \w+: ")  # one of several return values
TOGETHER = re.compile(r"    \w+(, \w+)+: ")  # several arguments explained at once


def text_to_rst(app, what, name, obj, options, lines) -> None:
    """Docstrings are plain text with `names` and indented examples; RST wants a little more: an
    example is announced by ``::``, several return values are a section of their own, and asterisks,
    bars and trailing underscores mean themselves."""
    result: list[str] = []
    place = "text"
    for i, line in enumerate(lines):
        if line and not line.startswith(" "):
            place = "section" if SECTION.fullmatch(line) else "text"
            if line == "Returns:" and NAMED.match(lines[i + 1]):
                line = f"{RETURN_VALUES}:"
        elif place == "text" and line.startswith("    ") and not (i and lines[i - 1].strip()):
            result += ["::", ""]
            place = "example"
        if place != "example":
            line = re.sub(r"([*|]|_\b)", r"\\\1", line)
        if place == "section" and (names := TOGETHER.match(line)):
            line = names[0].rstrip().replace(", ", ",") + " " + line[names.end() :]
        result.append(line)
    lines[:] = result


def field_comments(app, what, name, obj, options, lines) -> None:
    """A named tuple's fields are explained by the comments behind them."""
    if lines and lines[0].startswith("Alias for field number"):
        module, cls, field = name.rsplit(".", 2)
        source = inspect.getsource(getattr(sys.modules[module], cls))
        comment = re.search(rf"^    {field}: [^#\n]*#(.*)$", source, re.MULTILINE)
        lines[:] = [comment[1].strip()] if comment else []


class LinkNames(SphinxTransform):
    """On the Markdown pages, `siamjax.room.module.thing` links to what is called so; a name that
    does not exist is a warning, which is an error here."""

    default_priority = 400
    name = re.compile(r"siamjax\.\w+\.\w+(\.\w+)*")

    def apply(self, **kwargs) -> None:
        page = self.env.docname
        if page.startswith("_api/") or page == "changelog":  # it names what is gone
            return
        for literal in list(self.document.findall(nodes.literal)):
            if self.name.fullmatch(literal.astext()):
                link = addnodes.pending_xref(
                    "",
                    literal.deepcopy(),
                    refdomain="py",
                    reftype="obj",
                    reftarget=literal.astext(),
                    refdoc=page,
                    refexplicit=True,
                    refwarn=True,
                )
                literal.replace_self(link)


def _mathml(display):
    def visit(writer, node):
        text = node.astext()
        writer.body.append(latex2mathml.converter.convert(text, display=display))
        raise nodes.SkipNode

    return visit


def setup(app) -> None:
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(_mathml("inline"), None),
        block_renderers=(_mathml("block"), None),
    )
    app.add_transform(LinkNames)
    app.connect("builder-inited", write_api_pages)
    app.connect("autodoc-process-docstring", field_comments, priority=300)
    app.connect("autodoc-process-docstring", text_to_rst, priority=400)
