"""The tracked frame of benchmarks/forward.py by another program's runtime, from the ONNX export.

    python benchmarks/forward_onnx.py onnxruntime|openvino search.onnx inputs.npz

One JSON answer per line: the runtime's version, then for each line read wall and CPU seconds of one
frame. "maps" in place of a line writes the outputs to maps.npz beside the inputs. It needs NumPy
and the runtime.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

CORES = len(os.sched_getaffinity(0))


def by_onnxruntime(path, inputs):
    """Version, and a call of the network."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = CORES
    session = onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])
    fed = {node.name: array for node, array in zip(session.get_inputs(), inputs, strict=True)}
    return onnxruntime.__version__, lambda: session.run(None, fed)


def by_openvino(path, inputs):
    """The same, computing in float32 also where the processor has bfloat16."""
    import openvino

    settings = {
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": CORES,
    }
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
    return openvino.__version__, lambda: [*request.infer(inputs).values()]


def main():
    name, path, file = sys.argv[1:]
    stored = np.load(file)
    inputs = [stored[key] for key in stored.files]
    version, run = {"onnxruntime": by_onnxruntime, "openvino": by_openvino}[name](path, inputs)
    print(json.dumps({name: version}), flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        maps = run()
        spent = time.perf_counter() - wall, time.process_time() - cpu
        if line == "maps\n":
            np.savez(Path(file).with_name(f"maps-{name}.npz"), *maps)
        print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()
