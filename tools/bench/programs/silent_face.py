"""The Silent-Face pipeline with its nets loaded once, in one thread, for `npm run bench -- python`.

    python3 silent_face.py SOURCES IMAGE

SOURCES is a checkout of minivision-ai/Silent-Face-Anti-Spoofing. Prints `ready`; then, for each line
with a number of seconds on its standard input, the images it judged and its CPU seconds.
"""

import os
import sys
import time

import cv2
import numpy
import torch

sources, image_path = sys.argv[1], os.path.abspath(sys.argv[2])
# The sources name their files relative to themselves.
os.chdir(sources)
sys.path.insert(0, os.getcwd())

from src.anti_spoof_predict import AntiSpoofPredict  # noqa: E402
from src.data_io import transform  # noqa: E402
from src.generate_patches import CropImage  # noqa: E402
from src.utility import parse_model_name  # noqa: E402

cv2.setNumThreads(1)
torch.set_num_threads(1)
FOLDER = os.path.join("resources", "anti_spoof_models")


def load_nets(predictor):
    """Each net with the shape of its crop; `predict` of the sources loads it for every image."""
    nets = []
    for name in sorted(os.listdir(FOLDER)):
        if not name.endswith(".pth"):
            continue
        predictor._load_model(os.path.join(FOLDER, name))
        height, width, _, scale = parse_model_name(name)
        crop = {"scale": scale, "out_w": width, "out_h": height, "crop": scale is not None}
        nets.append((predictor.model.eval(), crop))
    return nets


predictor = AntiSpoofPredict(0)
cropper = CropImage()
to_tensor = transform.Compose([transform.ToTensor()])
nets = load_nets(predictor)
encoded = numpy.fromfile(image_path, dtype=numpy.uint8)


def judge():
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    box = predictor.get_bbox(image)
    scores = 0
    with torch.no_grad():
        for net, crop in nets:
            view = cropper.crop(org_img=image, bbox=box, **crop)
            logits = net(to_tensor(view).unsqueeze(0).to(predictor.device))
            scores = scores + torch.softmax(logits, dim=1)
    return int(scores.argmax())


for _ in range(5):
    judge()
print("ready", flush=True)
for line in sys.stdin:
    end, cpu, images = time.perf_counter() + float(line), time.process_time(), 0
    while time.perf_counter() < end:
        judge()
        images += 1
    print(images, time.process_time() - cpu, flush=True)
