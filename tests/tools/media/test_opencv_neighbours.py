"""The reader of text works beside packages that bring an OpenCV of their own."""

import os
import site
import subprocess
import venv
from pathlib import Path

import pytest

from tests.paths import ROOT

READ = """
import cv2, supervision
from PIL import Image, ImageDraw, ImageFont
import numpy as np
from nuthatch.tools.ocr.readers import read

picture = Image.new("RGB", (420, 160), "white")
font = ImageFont.load_default(36)
ImageDraw.Draw(picture).text((30, 50), "Fresh coffee", fill="black", font=font)
print(cv2.__file__)
print([line.text for line in read(np.asarray(picture))])
"""


@pytest.mark.slow
def test_text_is_read_beside_supervision_and_the_opencv_of_groundingdino(tmp_path: Path) -> None:
    venv.create(tmp_path, with_pip=True)
    python = tmp_path / "bin" / "python"
    packages = next(tmp_path.glob("lib/*/site-packages"))
    (packages / "others.pth").write_text("\n".join(site.getsitepackages()))
    # opencv-python is what groundingdino-py asks for; both kinds of it fill one folder.
    wanted = ["opencv-python", "opencv-python-headless", "supervision", "pydeprecate", "defusedxml"]
    install = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed"]
    subprocess.run([*install, *wanted], check=True, capture_output=True)
    done = subprocess.run(
        [python, "-c", READ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    where, said = done.stdout.strip().splitlines()
    assert where.startswith(str(tmp_path))
    assert "Fresh coffee" in said
