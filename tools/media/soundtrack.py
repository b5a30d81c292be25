"""The sound of a file of any kind, a video or a sound, through PyAV (FFmpeg)."""

from dataclasses import dataclass
from itertools import chain

import av
import numpy as np
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from nuthatch.tools.media.container import (
    FORMATS,
    SOUND_FORMATS,
    beginning,
    check_seconds,
    decoded,
    name_of,
    opened,
    prepare,
)
from nuthatch.tools.media.video_types import Source

SAMPLE_RATE = 16_000

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Track:
    """Mono samples at 16 kHz, and the rate and the channels that the file has."""

    samples: Samples
    rate: int
    channels: int


def read_audio_track(source: Source) -> Samples | None:
    """The sound of a video file: (samples,) float32, 16 kHz mono, -1 to 1.

    Channels are mixed by their mean, as `tools` does with all sounds; ChatBridge takes the first
    one. (So a sound whose channels are each other's opposite is silent here.) Sample s is heard at
    s / 16000 seconds: a track that begins late begins with silence. None where there is no track,
    or nothing of it can be decoded.

    Raises:
        VideoError: no such file, no known format, no decoder, or a limit is exceeded.
    """
    track = read_track(source, name_of(source, "video"), FORMATS)
    return None if track is None else track.samples


def read_track(
    source: Source, name: str, formats: str = f"{FORMATS},{SOUND_FORMATS}"
) -> Track | None:
    """As `read_audio_track`, of sound files too; `name` is what messages call it."""
    with opened(source, name, formats) as container:
        stream = container.streams.best("audio")
        if not isinstance(stream, AudioStream):
            return None
        prepare(stream, name)
        resampler = av.AudioResampler(format="fltp", rate=SAMPLE_RATE)  # keeps the channels
        pieces: list[Samples] = []
        length = 0
        channels = 1
        for frame in chain(decoded(container, stream), [None]):
            if frame is not None and not pieces:
                begins = 0.0
                if frame.pts is not None and stream.time_base is not None:
                    begins = float(frame.pts * stream.time_base - beginning(container))
                check_seconds(begins, name)
                pieces.append(np.zeros(max(0, round(begins * SAMPLE_RATE)), np.float32))
                channels = frame.layout.nb_channels
            if not pieces:
                return None
            for part in resampler.resample(frame):
                pieces.append(part.to_ndarray().mean(axis=0, dtype=np.float32))
                length += len(pieces[-1])
            check_seconds((len(pieces[0]) + length) / SAMPLE_RATE, name)
        rate = stream.rate
    if not length:
        return None
    return Track(np.clip(np.concatenate(pieces), -1, 1), int(rate), channels)
