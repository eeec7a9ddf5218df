"""XML files of labels."""

import re
from pathlib import Path
from xml.etree import ElementTree

from siamjax.errors import UserError

Element = ElementTree.Element


def load(path: Path) -> Element:
    """The root of a file.

    Raises:
        UserError: not there, or not XML.
    """
    try:
        return ElementTree.parse(path).getroot()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); restore it") from None
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise UserError(f"{path}: not an XML file ({error}); export it again") from None


def root_tag(path: Path) -> str:
    """The name of a file's root; empty: no XML file."""
    if path.suffix.lower() != ".xml" or not path.is_file():
        return ""
    try:
        for _, node in ElementTree.iterparse(path, ("start",)):
            return node.tag
    except (OSError, ElementTree.ParseError, LookupError, ValueError):
        pass
    return ""


def element(parent: Element, tag: str, text: str, **attributes: str) -> Element:
    """A new child with a text."""
    node = ElementTree.SubElement(parent, tag, attributes)
    node.text = text
    return node


def text_of(root: Element, declared: bool = False) -> str:
    """A file's text, with XML's declaration if wanted; characters that XML cannot hold become
    U+FFFD."""
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    text = re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text) + "\n"
    return ('<?xml version="1.0" encoding="utf-8"?>\n' if declared else "") + text
