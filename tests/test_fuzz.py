"""Whatever bytes come from elsewhere, nothing but `UserError` or `BadRecord` comes out, after at
most a second of CPU and with at most 256 MiB beyond the input.

The table of readers is `fuzz_table.py`. In the default run quick ones get 300 damaged files each,
others 20 or none. The slow run gives 300 to each, and more with other seeds until
SIAMJAX_FUZZ_MINUTES (default 10, at most 60) are over: `pytest -m slow tests/test_fuzz.py`.
"""

import ast
import os
import random
import re
import resource
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from siamjax.data.tfrecord import BadRecord
from siamjax.errors import UserError

from .fuzz_table import READERS

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = 300
CPU, MEMORY = 1.0, 256 << 20  # s, bytes

EXTREMES = [
    *(b"0", b"-1", b"1e999", b"-1e308", b"NaN", b"null", b"true", b'"x"', b"[]", b"{}", b""),
    *(b"1.5", b"1e9", b"100000000000", b"2147483648", b"4294967295", b"-9223372036854775809"),
    *(b"9" * 400, b"1" * 5000, b"\xb2", "١".encode(), b"1_0", b"0x10", b"../../x", b"\x00"),
]
PIECES = [
    *(b"\n", b"\r", b",", b";", b'"', b"'", b"<", b">", b"&", b"[", b"{", b":", b"\x00"),
    *(b"[" * 3000, b'{"a":' * 3000, b"<a>" * 3000, b"\n" * 3000, b"," * 3000, b"0," * 3000),
    *(b"PK\x01\x02", b"\x93NUMPY", b"\xff\xd9", b"\xff\xfe", b"\xef\xbb\xbf"),
    *(b"frame,x,y,w,h\n", b"nan,nan\n"),
]
WORDS = [
    *(b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\0\x80"),
    *(b"\0\0\0\x40", b"\1\0\0\0"),
]
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
KINDS = ("flip", "cut", "double", "insert", "number", "word", "move", "end", "repeat")

# which file, and what is done to it, from a number: hypothesis takes long for lists
INPUTS = st.tuples(st.integers(0, 1 << 16), st.integers(0, 1 << 62))


def change_of(number: int):
    """Edits, or bytes instead of the file's."""
    draw = random.Random(number)
    if draw.random() < 1 / 8:
        return draw.randbytes(draw.randrange(400))
    count = draw.choice((1, 1, 2, 3, 4))
    return [(draw.choice(KINDS), draw.getrandbits(30), draw.getrandbits(30)) for _ in range(count)]


def damaged(data: bytes, edits) -> bytes:
    """Some bytes after some edits, each a kind and two numbers."""
    for kind, a, b in edits:
        place, length = a % (len(data) + 1), 1 + b % 48
        if kind == "flip" and data:
            i = a % len(data)
            data = data[:i] + bytes((data[i] ^ (1 << b % 8),)) + data[i + 1 :]
        elif kind == "cut":
            data = data[:place] + data[place + length :]
        elif kind == "double":
            data = data[: place + length] + data[place:]
        elif kind == "insert":
            data = data[:place] + PIECES[b % len(PIECES)] + data[place:]
        elif kind == "number" and (found := list(NUMBER.finditer(data[:200_000]))):
            match = found[a % len(found)]
            data = data[: match.start()] + EXTREMES[b % len(EXTREMES)] + data[match.end() :]
        elif kind == "word":
            word = WORDS[b % len(WORDS)]
            data = data[:place] + word + data[place + len(word) :]
        elif kind == "move":
            piece = data[place : place + length]
            data = data[:place] + data[place + length :]
            other = b % (len(data) + 1)
            data = data[:other] + piece + data[other:]
        elif kind == "end":
            data = data[:place]
        elif kind == "repeat":
            data = data + data[place : place + length] * 200
    return data


class Opened:
    """A reader with its files, in a folder."""

    def __init__(self, name, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.seeds, self.read = READERS[name].build(folder)
        self.good = {}
        for path, content in self.seeds:
            self.good.setdefault(path, content)
        for path, content in self.good.items():
            path.write_bytes(content)
        self.count = 0

    def run(self, which, change):
        """Reads the files with one of them damaged; the others are whole."""
        path, content = self.seeds[which % len(self.seeds)]
        content = change if isinstance(change, bytes) else damaged(content, change)
        path.write_bytes(content)
        self.count += 1
        os.utime(path, ns=(self.count * 10**9,) * 2)  # some readers keep what they read last
        try:
            guarded(self.read, len(content))
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"{path.name}: {error!r} from {content[:300]!r}") from error
        finally:
            path.write_bytes(self.good[path])
            os.utime(path, ns=(0, 0))


def used() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def highest() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def guarded(read, length, again=True):
    """Calls it; a refusal in words is fine, anything else and any excess is not."""

    def stop(*_):
        raise AssertionError(f"no end after {5 * CPU:g} s of CPU")

    before, most = used(), highest()
    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, 5 * CPU)
    begin = time.process_time()
    try:
        read()
    except (UserError, BadRecord):
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    spent = time.process_time() - begin
    if spent > CPU and again:  # a collection of garbage may fall into it
        return guarded(read, length, again=False)
    assert spent <= CPU, f"{spent:.1f} s of CPU"
    peak = highest()
    assert peak <= most or peak - before <= MEMORY + length, f"{(peak - before) >> 20} MiB"
    return None


def fuzz(name, folder, examples, start=None):
    opened = Opened(name, folder)
    called = set()

    def note(frame, event, _):
        if event == "call":
            module = frame.f_globals.get("__name__", "")
            called.add(f"{module.removesuffix('.__init__')}:{frame.f_code.co_qualname}")

    for i, (_, content) in enumerate(opened.seeds):  # good files are read, or refused, too
        sys.setprofile(note)
        try:
            opened.run(i, content)
        finally:
            sys.setprofile(None)
    if name != "archives":  # in another process
        assert {*READERS[name].covers} - called == set(), "it does not call what it names"

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=start is None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(INPUTS)
    def each(example):
        which, number = example
        opened.run(which, change_of(number))

    (each if start is None else seed(start)(each))()


@pytest.mark.parametrize("name", [name for name, reader in READERS.items() if reader.examples])
def test_damaged_files(name, tmp_path):
    fuzz(name, tmp_path / "files", READERS[name].examples)


@pytest.mark.slow
def test_damaged_files_for_a_while(tmp_path):
    """300 of each reader, then more with other seeds until the time is over."""
    minutes = min(float(os.environ.get("SIAMJAX_FUZZ_MINUTES", 10)), 60)
    end, start, done = time.monotonic() + 60 * minutes, random.randrange(1 << 30), 0
    faults = {}
    while time.monotonic() < end:
        for name in READERS:
            try:
                if time.monotonic() < end or not done:
                    fuzz(name, tmp_path / f"{done}" / name, EXAMPLES, start + done)
            except pytest.skip.Exception:
                pass
            except AssertionError as error:
                faults[f"{name}, seed {start + done}"] = str(error)[:400]
        done += 1
    print(f"{done} rounds of {EXAMPLES} files for {len(READERS)} readers", file=sys.stderr)
    assert not faults, "\n".join(f"{name}: {fault}" for name, fault in faults.items())


# --- no reader is forgotten

DOTTED = """
json.load json.loads np.load np.frombuffer np.fromfile np.memmap np.loadtxt np.genfromtxt
yaml.safe_load yaml.load torch.load pickle.load pickle.loads cv2.imread cv2.imdecode
cv2.imdecodeanimation cv2.VideoCapture Image.open av.open tarfile.open zipfile.ZipFile csv.reader
csv.DictReader ElementTree.parse ElementTree.iterparse ElementTree.fromstring struct.unpack
struct.unpack_from configparser.ConfigParser runpy.run_path export.deserialize os.open opener.open
files.read_json npz.read
""".split()  # noqa: SIM905
METHODS = ("read_text", "read_bytes", "ParseFromString", "restore", "open", "frPyObjects")
PLAIN = ("open", "read_json", "read_text")
NOT_FOREIGN = {
    "siamjax.finetuning.run:Finetuning.__init__": "the config that it was given, as JSON has it",
    "data_prep.parts:_write_spec": "writes what is not there already, byte by byte",
    "data_prep.parts:code_hash": "the source of this package",
    "data_prep.parts:make_part": "specifications that the same run wrote",
    "data_prep.parts:open_work": "compared as a text",
    "siamjax.bundled:preparation": "files of this package",
    "siamjax.checksums:sha256": "sums bytes",
    "siamjax.commands.search:run": "what was just written",
    "siamjax.commands.study:_alone": "what was just written",
    "siamjax.compile_cache:_processor": "of the kernel",
    "siamjax.compile_cache:_program": "programs of the user's own cache, under a checksum",
    "siamjax.compile_cache:_read": "of the user's own cache, under a checksum",
    "siamjax.compile_cache:_source": "the source of this package",
    "siamjax.compile_cache:kept_json": "of the user's own cache, under a checksum",
    "siamjax.config:load_config": "experiment files are programs",
    "siamjax.data.index:_names": "writes",
    "siamjax.data.index:write_manifest": "writes",
    "siamjax.data.prefetch:Layout.views": "memory shared with own workers",
    "siamjax.data.prefetch:_memory": "memory shared with own workers",
    "siamjax.data.shards:RecordFiles.add": "writes",
    "siamjax.datasets.dataset:Dataset.load": "calls the loader of a benchmark",
    "siamjax.datasets.got10k:Got10k.open": "calls the base class",
    "siamjax.datasets.lasot:Lasot.open": "calls the base class",
    "siamjax.evaluation.page:_video": "embeds bytes as they are",
    "siamjax.evaluation.page:render": "files of this package",
    "siamjax.evaluation.scoring:Scores.to_dict": "own values",
    "siamjax.evaluation.specs:_digest": "sums bytes",
    "siamjax.evaluation.specs:_own": "sums bytes",
    "siamjax.evaluation.specs:checkpoint_identity": "sums bytes",
    "siamjax.evaluation.submission:write": "writes",
    "siamjax.files:Appending.__init__": "writes",
    "siamjax.files:_sync": "writes",
    "siamjax.files:write_whole": "writes",
    "siamjax.installation:_pip": "of the environment that Python runs in",
    "siamjax.integrations.serving.results:result": "writes",
    "siamjax.integrations.serving.run:Run.last_picture": "pictures of this server",
    "siamjax.integrations.serving.scratch:_locked": "opens a folder",
    "siamjax.integrations.serving.server:_asset": "files of this package",
    "siamjax.integrations.web:halves": "copies files; `read_json` checks the one it reads",
    "siamjax.locks:Lock._take": "opens; `_read` reads the bytes",
    "siamjax.locks:_machine": "of the kernel",
    "siamjax.locks:alone": "opens a file for its lock",
    "siamjax.locks:share": "opens a file for its lock",
    "siamjax.media.camera:Camera.__init__": "a device",
    "siamjax.media.download:download": "copies bytes; the video is read by the decoder",
    "siamjax.media.journal:Journal.close": "its own first line is cut off",
    "siamjax.media.labels.pictures:_read": "copies bytes",
    "siamjax.media.writer:VideoWriter._open": "writes",
    "siamjax.media.writer:VideoWriter.copy": "videos of this class",
    "siamjax.remote.places:Place.stream": "copies bytes, which its callers compare with checksums",
    "siamjax.schema:_known": "a file of this package",
    "siamjax.studies.constants:_surface": "what the study has just measured",
    "siamjax.studies.runs:Run.kept": "what the study has measured; `read_json` checks it",
    "siamjax.studies.runs:key_of": "own values",
    "siamjax.studies.views:Frames.__getitem__": "decodes what it has encoded",
    "siamjax.tracking.export:export": "a file of this package",
    "siamjax.tracking.export:export.archive": "writes",
    "siamjax.training.hosts:Hosts.__init__": "writes",
    "siamjax.training.loop:_Run.restore": "calls `Checkpoints.restore`",
    "siamjax.training.loop:train": "calls `_Run.restore`",
    "siamjax.training.mirroring:Mirror._ask": "bytes with the checksum of the list",
    "siamjax.training.mirroring:Mirror._put_file": "copies bytes",
    "siamjax.training.parallel:from_lead": "messages of the hosts of one run",
    "siamjax.training.parallel:on_all": "messages of the hosts of one run",
    "siamjax.training.saving:Checkpoints.save": "own values",
}


def opener(node: ast.Call) -> bool:
    """Whether a call opens a file or reads bytes."""
    function = node.func
    if isinstance(function, ast.Name):
        return function.id in PLAIN
    if not isinstance(function, ast.Attribute):
        return False
    base = function.value
    owner = getattr(base, "attr", getattr(base, "id", ""))
    return f"{owner}.{function.attr}" in DOTTED or function.attr in METHODS


def readers(source: str, module: str) -> set[str]:
    """The functions of a module that open files or read bytes."""
    found = set()

    def visit(node, names):
        for child in ast.iter_child_nodes(node):
            inner = names
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = [*names, child.name]
            if isinstance(child, ast.Call) and opener(child):
                found.add(f"{module}:{'.'.join(inner)}")
            visit(child, inner)

    visit(ast.parse(source), [])
    return found


def test_every_reader_of_foreign_bytes_is_in_the_table():
    found = set()
    for room in ("siamjax", "data_prep"):
        for path in sorted((ROOT / room).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found |= readers(path.read_text(), module.removesuffix(".__init__"))
    covered = {name for reader in READERS.values() for name in reader.covers}
    assert found - covered - NOT_FOREIGN.keys() == set(), "name their reader in fuzz_table.py"
    assert covered - found == set(), "no such readers any more"
    assert NOT_FOREIGN.keys() - found == set(), "no such functions any more"
    assert covered & NOT_FOREIGN.keys() == set()


def test_a_new_reader_is_seen():
    text = "class A:\n    def b(self):\n        return json.loads(self.path.read_text())\n"
    assert readers(text, "m") == {"m:A.b"}
    assert readers("def f(x):\n    return np.frombuffer(x)\n", "m") == {"m:f"}
    assert readers("def f(x):\n    return x.split()\n", "m") == set()
