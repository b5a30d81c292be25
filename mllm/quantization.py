"""A language model in 8 or 4 bits, its eyes, ears and bridge as they are.

The bridge's queries and the towers' outliers do not survive rounding (in 8 bits the towers do not
even run: they call weights that are no floats), and they are a tenth of a core at most. So only the
layers of the language model are rounded; its head stays whole as well.
"""

from typing import Literal

import torch
from transformers import BitsAndBytesConfig

from nuthatch.messages import shown

KEPT_WHOLE = ["vision_tower", "audio_tower", "bridge", "audio_bridge", "lm_head"]


def quantized(bits: Literal[4, 8], *, dtype: torch.dtype = torch.bfloat16) -> BitsAndBytesConfig:
    """What `Core.from_pretrained(folder, quantization_config=...)` reads; needs bitsandbytes.

    Args:
        bits: 8 (Dettmers et al., "LLM.int8()", 2022) or 4 (NormalFloat with doubly quantised
            constants: Dettmers et al., "QLoRA", 2023, section 3), a quarter or an eighth of
            float32.
        dtype: what layers of 4 bits compute in; those of 8 bits compute in float16.

    Raises:
        ValueError: other than 4 or 8 bits.
    """
    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=KEPT_WHOLE)
    if bits != 4:
        raise ValueError(f"given {shown(bits)} bits, expected 4 or 8")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=KEPT_WHOLE,
    )
