"""Call tools by hand, without an agent; results go on to the next tool."""

from pathlib import Path

from nuthatch import Toolbox

HERE = Path(__file__).parent

box = Toolbox()
print(box)  # what can work here, and what cannot
found = box.run("detect", image=HERE / "kitchen.png", labels=["cup", "clock"])
for each in found.value.detections:
    print(f"{each.label} {each.score:.2f} at {each.box.xyxy}")  # pixels, x1 y1 x2 y2

print(box.run("segment", detections=found))  # a result goes on as it is
print(box.run("tag_sound", audio=HERE / "kitchen.wav"))
