"""A static folder that tracks in the browser alone: the page, the network as ONNX, onnxruntime-web.

The browser needs no server behind it but one that hands out files.
"""

import os
import shutil
from pathlib import Path

from siamjax import api, checksums, files
from siamjax.errors import UserError

PAGE = api.ASSETS / "web"
# of the npm package onnxruntime-web: the program with WebAssembly alone, and its code
RUNTIME = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
CONSTANTS = "tracker.json"
SUMS = "sha256"  # of the halves, in it: parts of two exports are never taken for one
_PLACES = ("", "dist", "package/dist", "onnxruntime-web/dist", "node_modules/onnxruntime-web/dist")
NPM = "npm install --prefix=ort onnxruntime-web, then --ort=ort"


def runtime(folder: str | os.PathLike) -> Path:
    """Where in a folder the files of onnxruntime-web lie.

    Args:
        folder: the npm package, unpacked, or a folder that it is installed in.

    Raises:
        UserError: a file is missing.
    """
    for place in _PLACES:
        found = Path(folder) / place
        if all((found / name).is_file() for name in RUNTIME):
            return found
    raise UserError(f"--ort={folder}: no onnxruntime-web with {' and '.join(RUNTIME)}; {NPM}")


def halves(folder: str | os.PathLike) -> list[Path]:
    """The files of a tracker that `siamjax.integrations.onnx` wrote.

    Raises:
        UserError: one is missing, damaged or of another export.
    """
    fix = f"siamjax export --onnx={folder} writes it"
    constants = Path(folder) / CONSTANTS
    if not constants.is_file():
        raise UserError(f"{constants}: not there; {fix}")
    about = files.read_json(constants, "a tracker's")
    lost = ["search_lost.onnx"] * bool(about.get("long_term"))
    sums = known if isinstance(known := about.get(SUMS), dict) else {}  # none before 0.3
    found = [constants, *(Path(folder) / name for name in ("template.onnx", "search.onnx", *lost))]
    for path in found:
        if not path.is_file():
            raise UserError(f"{path}: not there; {fix}")
        if path.name in sums and checksums.sha256(path) != sums[path.name]:
            raise UserError(f"{path}: not the one that {CONSTANTS} was written with; {fix}")
    return found


def write(out: str | os.PathLike, network: str | os.PathLike, ort: str | os.PathLike) -> Path:
    """Writes the folder, which appears when it is whole.

    Args:
        out: must not exist.
        network: folder of the halves.
        ort: as `runtime` takes it.

    Raises:
        UserError: a part is missing, or the folder is there or cannot be written.
    """
    own = [*sorted(PAGE.iterdir()), api.ASSETS / "serve.css"]  # looks like that of siamjax serve
    parts = [*own, *halves(network), *(runtime(ort) / name for name in RUNTIME)]
    files.check_new(out)
    with files.replacing(out) as site:
        site.mkdir()
        for path in parts:
            shutil.copyfile(path, site / path.name)
    return Path(out)
