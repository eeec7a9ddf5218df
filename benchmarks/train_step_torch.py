"""The same training step in PyTorch, timed on request by benchmarks/train_step.py; needs torch.

Commands on standard input, one JSON answer per line: {"phase": "frozen" or "full", "dtype",
"weights": file, "data": file, "device", "fast"}, {"run": n}. "fast" is for GPUs: channels last,
torch.compile, TF32, and autocast where the type is bfloat16.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parent))

from torch_twin import Twin

TRAINED = ("backbone.layer2", "backbone.layer3", "backbone.layer4", "neck", "rpn_head")


class TrainTwin(Twin):
    """The twin with batch normalisations that train where their phase says so."""

    def __init__(self, tensors, phase, device, layout):
        super().__init__(tensors)
        trained = TRAINED if phase == "full" else TRAINED[3:]
        for name, tensor in self.tensors.items():
            tensor = tensor.to(device)
            if tensor.ndim == 4:
                tensor = tensor.to(memory_format=layout)
            fixed = name.endswith(("running_mean", "running_var", "num_batches_tracked"))
            self.tensors[name] = tensor.requires_grad_(name.startswith(trained) and not fixed)
        self.trained = trained

    def conv_bn(self, x, conv, bn, relu=True, **where):
        t = self.tensors
        x = F.conv2d(x, t[f"{conv}.weight"], **where)
        x = F.batch_norm(
            x,
            t[f"{bn}.running_mean"],
            t[f"{bn}.running_var"],
            t[f"{bn}.weight"],
            t[f"{bn}.bias"],
            training=bn.startswith(self.trained),
        )
        return F.relu(x, inplace=True) if relu else x

    def __call__(self, z, x):
        return self.correlate(self.kernels(self.template(z)), self.search(x))


def loss_of(cls, loc, batch):
    """Balanced cross-entropy plus 1.2 times the weighted L1 of the offsets."""
    label = batch["label"]  # (B, A, S, S)
    size, anchors, side, _ = label.shape
    log_p = F.log_softmax(cls.float().reshape(size, 2, anchors, side, side), 1)
    # sums over masks: picking elements would break the compiled graph in two
    positive = -(log_p[:, 1] * (label == 1)).sum() / (label == 1).sum()
    negative = -(log_p[:, 0] * (label == 0)).sum() / (label == 0).sum()
    error = loc.float().reshape(size, 4, anchors, side, side) - batch["delta"]
    offsets = (error.abs().sum(1) * batch["weight"]).sum() / size
    return 0.5 * (positive + negative) + 1.2 * offsets


class Trainer:
    """SGD with momentum, decay, clipping, and the backbone at a tenth of the rate."""

    def __init__(self, phase, dtype, weights, data, device, fast, **_):
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        layout = torch.channels_last if fast else torch.contiguous_format
        if fast:
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
            torch.backends.cudnn.benchmark = True
        self.device, self.autocast = device, dtype == "bfloat16"
        self.net = TrainTwin(dict(np.load(weights)), phase, device, layout)
        arrays = {name: torch.from_numpy(x).to(device) for name, x in np.load(data).items()}
        self.images = [
            arrays[name].permute(0, 3, 1, 2).float().contiguous(memory_format=layout)
            for name in ("template", "search")
        ]
        self.batch = arrays
        groups = [
            [t for n, t in self.net.tensors.items() if t.requires_grad and n.startswith(part)]
            for part in ("backbone", ("neck", "rpn_head"))
        ]
        self.parameters = groups[0] + groups[1]
        groups = [{"params": g, "lr": lr} for g, lr in zip(groups, (5e-4, 5e-3)) if g]
        self.optimiser = torch.optim.SGD(groups, momentum=0.9, weight_decay=1e-4)
        self.forward = torch.compile(self._forward) if fast else self._forward

    def _forward(self, z, x):
        return loss_of(*self.net(z, x), self.batch)

    def step(self):
        self.optimiser.zero_grad()
        with torch.autocast(self.device, torch.bfloat16, enabled=self.autocast):
            loss = self.forward(*self.images)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, 10.0)
        self.optimiser.step()
        return float(loss.detach()), float(norm)


def main():
    trainer = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if "phase" in command:
                trainer = Trainer(**command)
                answer = {"version": torch.__version__, "threads": torch.get_num_threads()}
            else:
                seconds, values = [], []
                for _ in range(command["run"]):
                    started = time.perf_counter(), time.process_time()
                    values.append(trainer.step())
                    ended = time.perf_counter(), time.process_time()
                    seconds.append([end - start for start, end in zip(started, ended)])
                answer = {"seconds": seconds, "values": values}
        except torch.cuda.OutOfMemoryError:
            answer = {"does not fit": True}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
