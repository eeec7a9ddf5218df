"""Speed of the synthetic world on one core: planning, painting, rendering, and crops for training.

python benchmarks/synthetic.py
"""

import time

import cv2
import numpy as np

from data_prep.synthetic import _crops_of
from siamjax.synthetic import SyntheticVideo

VIDEOS = 20
LENGTH = 60


def main():
    cv2.setNumThreads(1)
    SyntheticVideo(999, length=2).frames[0]  # warm-up
    times = {"plan": [], "paint": [], "render": []}
    for seed in range(VIDEOS):
        start = time.process_time()
        video = SyntheticVideo(seed, length=LENGTH)
        planned = time.process_time()
        video.frames[0]
        painted = time.process_time()
        for i in range(1, LENGTH):
            video.frames[i]
        rendered = time.process_time()
        times["plan"].append(planned - start)
        times["paint"].append(painted - planned)
        times["render"].append((rendered - painted) / (LENGTH - 1))
    print(f"{VIDEOS} videos of {LENGTH} frames, 320 x 240, one core")
    for name, values in times.items():
        what = "frame" if name == "render" else "video"
        print(f"  {name:<7}{1e3 * np.mean(values):7.2f} ms / {what}")
    print(f"  {1 / np.mean(times['render']):.0f} frames / s")
    start = time.process_time()
    crops = sum(len(_crops_of((seed, LENGTH, 3))[1]) for seed in range(5))
    spent = time.process_time() - start
    print(f"  shards: {crops / spent:.0f} crops / s (511 px, JPEG), {spent / 5:.2f} s / video")


if __name__ == "__main__":
    main()
