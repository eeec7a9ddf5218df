"""The tracked frame of benchmarks/forward.py in eager PyTorch; needs torch.

    python benchmarks/forward_torch.py weights.npz images.npz

One JSON answer per line: what it runs on, then for each line read the seconds of one frame.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))

from torch_twin import Twin


def main():
    weights, images = sys.argv[1:]
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    twin = Twin(dict(np.load(weights)))
    z, x = (torch.from_numpy(np.load(images)[name]).contiguous() for name in ("z", "x"))
    with torch.inference_mode():
        kernels = twin.kernels(twin.template(z))
        print(json.dumps({"torch": torch.__version__}), flush=True)
        for _ in sys.stdin:
            start = time.perf_counter()
            twin.correlate(kernels, twin.search(x))
            print(json.dumps(time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
