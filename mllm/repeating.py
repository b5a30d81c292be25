"""Media of rows that are repeated, for beams or several samples: each repetition has all of them.

Shapes: B rows, T tokens, N media.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from nuthatch.mllm.config import CoreConfig


def repeat_media(
    media: Mapping[str, Tensor], input_ids: Tensor, config: CoreConfig, times: int
) -> dict[str, Tensor]:
    """The media inputs of a batch whose rows are each repeated, in a row, `times` times.

    Args:
        media: those of `pixel_values`, `filter_banks`, `media_embeds` and `frame_counts` there are.
        input_ids: (B, T) before they are repeated.
        config: says which tokens are placeholders, and how many a video takes.
        times: repetitions.
    """
    media = dict(media)
    counts = media.pop("frame_counts", None)
    is_image = input_ids == config.image_token_id
    is_audio = input_ids == config.audio_token_id
    places = {
        "pixel_values": is_image,
        "filter_banks": is_audio,
        "media_embeds": is_image | is_audio,
    }
    repeated: dict[str, Tensor] = {}
    for name, tensor in media.items():
        frames = counts if counts is not None and name == "pixel_values" else None
        number = len(tensor) if frames is None else len(frames)
        if frames is None:
            a_medium = int(places[name].sum()) // max(number, 1)
            sizes = torch.full((number,), a_medium)  # places that each medium takes
        else:
            sizes = torch.tensor([config.num_tokens("image", int(n)) for n in frames])
        ends = places[name].sum(-1).cumsum(0).cpu()
        up_to = (sizes.cumsum(0)[None] <= ends[:, None]).sum(-1)  # media up to each row's end
        of_rows = torch.arange(number).split(up_to.diff(prepend=up_to.new_zeros(1)).tolist())
        order = torch.cat([row for row in of_rows for _ in range(times)])
        if frames is None:
            repeated[name] = tensor[order.to(tensor.device)]
        else:
            of_media = tensor.split([int(n) for n in frames])
            repeated[name] = torch.cat([of_media[index] for index in order.tolist()])
            repeated["frame_counts"] = torch.as_tensor(frames)[order]
    return repeated
