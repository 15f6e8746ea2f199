"""The Silent-Face pipeline with its nets loaded once, in one thread, for `npm run bench -- python`.

    python3 silent_face.py SOURCES IMAGE

SOURCES is a checkout of minivision-ai/Silent-Face-Anti-Spoofing. Prints its versions; then, for each
line `VARIANT SECONDS` on its standard input, the images it judged and its CPU seconds. The nets of
the variant `eager` run as the sources run them, those of `frozen` are traced and frozen by TorchScript.
"""

import os
import sys
import time
import warnings

os.environ["OPENBLAS_NUM_THREADS"] = "1"
# PyTorch 2.15 calls TorchScript deprecated, but `torch.compile` is not faster here.
warnings.simplefilter("ignore", FutureWarning)

import cv2  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402

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


def freeze(net, crop):
    example = torch.zeros(1, 3, crop["out_h"], crop["out_w"])
    return torch.jit.freeze(torch.jit.trace(net, example)), crop


predictor = AntiSpoofPredict(0)
cropper = CropImage()
to_tensor = transform.Compose([transform.ToTensor()])
encoded = numpy.fromfile(image_path, dtype=numpy.uint8)


@torch.inference_mode()
def judge(nets):
    image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
    box = predictor.get_bbox(image)
    scores = 0
    for net, crop in nets:
        view = cropper.crop(org_img=image, bbox=box, **crop)
        logits = net(to_tensor(view).unsqueeze(0).to(predictor.device))
        scores = scores + torch.softmax(logits, dim=1)
    return scores.numpy()


eager = load_nets(predictor)
variants = {"eager": eager, "frozen": [freeze(*net) for net in eager]}
for _ in range(20):
    numpy.testing.assert_allclose(judge(variants["frozen"]), judge(eager), atol=1e-4)
with open("/proc/self/maps", encoding="utf-8") as maps:
    mapped = maps.read()
if not any(blas in mapped for blas in ("openblas", "mkl", "blis")):
    sys.exit("PyTorch is at half its speed with the reference BLAS: apt-get install libopenblas0")
print(f"Python {sys.version.split()[0]}, PyTorch {torch.__version__}, OpenCV {cv2.__version__}", flush=True)
for line in sys.stdin:
    variant, seconds = line.split()
    nets = variants[variant]
    end, cpu, images = time.perf_counter() + float(seconds), time.process_time(), 0
    while time.perf_counter() < end:
        judge(nets)
        images += 1
    print(images, time.process_time() - cpu, flush=True)
