"""Peak memory of verdicts over 2,000 CIFAR-10 samples: flat in draws and radii."""

from __future__ import annotations

import resource
import subprocess
import sys

CODE = """
import resource, sys, torch
from rurk_core.data import forget_set
from rurk_core.data import load_dataset
from rurk_core.models import create_model
from rurk_core.measure.verdicts import count_verdicts
draws, radii = int(sys.argv[1]), int(sys.argv[2])
data = load_dataset("cifar10")
index = torch.tensor(forget_set(data, "class:0:0.4").indices)
names = ("original", "unlearned", "reference-1", "reference-2", "reference-3")
models = {n: create_model("resnet9:2", data.input_shape, 10, seed=k).eval() for k, n in enumerate(names)}
images, labels = data.train_images[index].clone(), data.train_labels[index]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count_verdicts(models, names[2:], images, labels, index.tolist(), attack="gaussian",
               taus=[0.003 * (i + 1) for i in range(radii)], draws=draws, seed=0, classes=10)
print(len(index), before // 1024, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main() -> None:
    print("peak memory of verdicts over 2,000 CIFAR-10 samples × 5 models (resnet9:2)")
    for draws, radii in ((1, 1), (10, 2), (10, 11), (40, 2)):
        done = subprocess.run(
            [sys.executable, "-c", CODE, str(draws), str(radii)], capture_output=True, text=True, check=True
        )
        samples, before, after = done.stdout.split()
        print(f"  {samples} samples × {draws:>3} draws × {radii:>2} radii: {after} MB, {before} MB of it before")


if __name__ == "__main__":
    assert resource
    main()
