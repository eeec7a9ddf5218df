"""The same tracker in eager PyTorch, timed on request by benchmarks/track.py.

It needs torch and OpenCV, and is its own process, so that the two libraries do not share threads.
Commands on standard input, one JSON answer per line: {"load": weights.npz, "kind", "instance",
"frames", "box", "settings"}, {"maps": file}, {"run": n}, {"quit": true}.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from torch_twin import Mobile, Twin  # noqa: E402

from siamjax.geometry import crops  # noqa: E402
from siamjax.geometry.anchors import Anchors, decode, score_map_size  # noqa: E402


class Tracker:
    """The published state machine around a twin."""

    def __init__(self, network, instance, penalty_k, window_influence, lr):
        self.network, self.instance = network, instance
        self.penalty_k, self.influence, self.lr = penalty_k, window_influence, lr
        size = score_map_size(instance, 127, 8, 8)
        self.anchors = Anchors().grid(size).reshape(-1, 4)
        window = np.outer(np.hanning(size), np.hanning(size)).reshape(-1)
        self.window = np.tile(window, 5)

    def init(self, frame, box):
        x, y, w, h = box
        self.centre, self.size = np.array([x + (w - 1) / 2, y + (h - 1) / 2]), np.array([w, h])
        self.average = frame.mean(axis=(0, 1))
        side = round(crops.context_size(*self.size))
        crop = crops.subwindow(frame, self.centre, 127, side, self.average)
        self.kernels = self.network.kernels(self.network.template(_tensor(crop)))

    def maps(self, frame):
        side = crops.context_size(*self.size)
        self.scale = 127 / side
        side = round(side * self.instance / 127)
        crop = crops.subwindow(frame, self.centre, self.instance, side, self.average)
        return self.network.correlate(self.kernels, self.network.search(_tensor(crop)))

    def update(self, frame):
        cls, loc = self.maps(frame)
        score = torch.softmax(cls[0].reshape(2, -1), 0)[1].numpy()
        box = decode(self.anchors, loc[0].reshape(4, -1).T.numpy())
        target = self.size * self.scale
        change = crops.context_size(box[:, 2], box[:, 3]) / crops.context_size(*target)
        ratio = (target[0] / target[1]) / (box[:, 2] / box[:, 3])
        change, ratio = np.maximum(change, 1 / change), np.maximum(ratio, 1 / ratio)
        penalty = np.exp(-(change * ratio - 1) * self.penalty_k)
        final = penalty * score * (1 - self.influence) + self.window * self.influence
        best = int(final.argmax())
        rate = penalty[best] * score[best] * self.lr
        limit = np.array([frame.shape[1], frame.shape[0]])
        self.centre = np.clip(self.centre + box[best, :2] / self.scale, 0, limit)
        size = self.size * (1 - rate) + box[best, 2:] / self.scale * rate
        self.size = np.maximum(10, np.minimum(size, limit))
        return *(self.centre - self.size / 2), *self.size


def _tensor(crop):
    return torch.from_numpy(crop.transpose(2, 0, 1)[None].astype(np.float32))


def main():
    torch.set_grad_enabled(False)
    kinds = {"resnet50": Twin, "mobilenetv2": Mobile}
    for line in sys.stdin:
        order = json.loads(line)
        answer = {}
        if "load" in order:
            tensors = dict(np.load(order["load"]))
            frames = np.load(order["frames"])
            tracker = Tracker(kinds[order["kind"]](tensors), order["instance"], *order["settings"])
            tracker.init(frames[0], order["box"])
            answer = {"torch": torch.__version__, "threads": torch.get_num_threads()}
            position = 0
        elif "maps" in order:
            cls, loc = tracker.maps(frames[1])
            np.savez(order["maps"], cls=cls.numpy(), loc=loc.numpy())
        elif "run" in order:
            seconds = []
            for _ in range(order["run"]):
                position = position % (len(frames) - 1) + 1
                started = time.perf_counter(), time.process_time()
                tracker.update(frames[position])
                ended = time.perf_counter(), time.process_time()
                seconds.append([end - start for start, end in zip(started, ended)])
            answer = {"seconds": seconds}
        else:
            return
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
