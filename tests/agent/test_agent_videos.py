"""Questions about videos: tools look at frames, which know their times."""

import pytest

from nuthatch.agent.agent import Agent
from nuthatch.agent.journal import JOURNAL, load_run, read_events
from nuthatch.agent.planner import ScriptedPlanner
from nuthatch.tools.basic.crop import CropPicture
from nuthatch.tools.media.ingest import MediaError
from tests.agent.little_tools import Find, Say
from tests.tools.media.little_videos import write_video

CUPS = [(1, 1, 9, 9), (20, 5, 40, 25), (41, 1, 60, 30)]
CLOSER = ("crop", {"image": "image_3", "box": [0, 0, 16, 16]})
AT_FRAMES = [("detect", {"image": "image_2", "labels": ["cup"]}), CLOSER, "Three cups."]


def viewer(tmp_path, *script) -> Agent:
    tools = [Find(cup=CUPS), CropPicture(), Say()]
    return Agent(ScriptedPlanner(list(script)), tools, verify=False, home=tmp_path / "home")


def test_tools_look_at_the_frames_of_a_video(tmp_path):
    house = viewer(tmp_path, *AT_FRAMES)
    path = write_video(tmp_path / "a.mp4", 30, sound=2.0)
    answer = house.ask("How many cups?", video=path)
    assert answer.text == "Three cups."
    assert [result.ok for result in answer.calls] == [True, True]
    handles = ["video_1", "image_1", "image_2", "image_3", "image_4", "audio_1", "image_5"]
    assert [media.handle for media in answer.media] == handles
    assert [f"{media.time:.1f}" for media in answer.media[1:5]] == ["0.3", "1.1", "1.9", "2.6"]
    assert house.planner.received[1].endswith("(image_2: 1.10 s of video_1)")
    assert house.planner.received[2].endswith("(image_3: 1.90 s of video_1)")
    first = read_events(answer.run_folder)[0]
    assert first["given"] == handles[1:6]  # what a planner can see and hear
    assert [(m["video"], m["time"]) for m in first["media"]][2] == ("video_1", pytest.approx(1.1))


@pytest.mark.parametrize("events", [1, 2, 3])
def test_a_run_with_a_video_goes_on_after_a_kill_without_the_file(events, tmp_path):
    path = write_video(tmp_path / "a.mp4", 30)
    answer = viewer(tmp_path, *AT_FRAMES).ask("How many cups?", video=path)
    path.unlink()
    journal = answer.run_folder / JOURNAL
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:events]))
    again = viewer(tmp_path, *AT_FRAMES[min(events - 1, 1) :]).resume(answer.run_id)
    assert (again.text, again.media) == (answer.text, answer.media)
    assert [result.value for result in again.calls] == [result.value for result in answer.calls]
    tools = viewer(tmp_path).tools
    assert load_run(answer.run_id, tmp_path / "home", tools=tools) == again


def test_the_next_question_knows_the_frames_of_the_video(tmp_path):
    first = viewer(tmp_path, "Done.").ask("?", video=write_video(tmp_path / "a.mp4", 30))
    more = write_video(tmp_path / "b.mp4", 1)
    second = viewer(tmp_path, CLOSER, "Done.").ask("?", video=[more], after=first)
    assert second.calls[0].ok
    assert [m.handle for m in second.media[5:]] == ["video_2", "image_5", "image_6"]


def test_a_video_that_cannot_be_read_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(MediaError, match="there is no file"):
        viewer(tmp_path, "x").ask("?", video=tmp_path / "gone.mp4")
    assert not (tmp_path / "home" / "runs").exists()
