"""The tracked frame of benchmarks/forward.py in eager PyTorch; needs torch.

    python benchmarks/forward_torch.py weights.npz images.npz resnet50|mobilenetv2

One JSON answer per line: what it runs on, then for each line read wall and CPU seconds of a frame.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from torch_twin import Mobile, Twin


def main():
    weights, images, kind = sys.argv[1:]
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    twin = (Mobile if kind == "mobilenetv2" else Twin)(dict(np.load(weights)))
    z, x = (torch.from_numpy(np.load(images)[name]).contiguous() for name in ("z", "x"))
    with torch.inference_mode():
        kernels = twin.kernels(twin.template(z))
        print(json.dumps({"torch": torch.__version__}), flush=True)
        for _ in sys.stdin:
            wall, cpu = time.perf_counter(), time.process_time()
            twin.correlate(kernels, twin.search(x))
            spent = time.perf_counter() - wall, time.process_time() - cpu
            print(json.dumps(spent), flush=True)


if __name__ == "__main__":
    main()
