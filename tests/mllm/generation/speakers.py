"""Small speakers for tests: a tokenizer that knows JSON, a random Llama, and a teacher."""

import json
from functools import cache
from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import Tokenizer, decoders
from tokenizers.models import BPE
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from transformers.modeling_outputs import CausalLMOutputWithPast

from nuthatch.mllm.chat import END
from nuthatch.tools.catalogue import default_tools
from nuthatch.training.tokenizer import train_tokenizer

TOOLS = default_tools()
SCHEMAS = TOOLS.schemas()
HANDLES = {
    "image": ["image_1", "image_2"],
    "audio": ["audio_1"],
    "mask": [],
    "detection": ["detection_1", "detection_1.1", "detection_1.2"],
}
CALLS = [
    {"name": "detect", "arguments": {"image": "image_1", "labels": ["cup", "wine glass"]}},
    {"name": "detect", "arguments": {"image": "image_2", "labels": ["dog"], "threshold": 0.25}},
    {"name": "segment", "arguments": {"image": "image_1", "boxes": [[1, 2, 3.5, 4], [5, 6, 7, 8]]}},
    {"name": "measure", "arguments": {"op": "count", "a": ["detection_1", "detection_1.2"]}},
    {"name": "tag_sound", "arguments": {"audio": "audio_1", "top_k": 3}},
    {"name": "calculate", "arguments": {"expression": "(3 + 4) * 2"}},
    {"name": "crop", "arguments": {"image": "image_1", "detection": "detection_1.1"}},
]


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """800 tokens, learned from calls, schemas and a few sentences."""
    texts = [json.dumps(call, separators=(",", ":")) for call in CALLS] * 9
    texts += [json.dumps(schema) for schema in SCHEMAS]
    texts += ["How many cups are there?", "There are two cups.", "Which object rings?"] * 9
    return train_tokenizer(texts, vocab_size=800)


@cache
def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a letter; what is not ASCII is written in bytes, as Llama's tokenizer does."""
    special = ["<unk>", "<s>", "</s>"]
    tokens = [*special, *(f"<0x{byte:02X}>" for byte in range(256)), *map(chr, range(32, 127))]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    whole = Tokenizer(BPE(vocabulary, [], unk_token="<unk>", byte_fallback=True))
    whole.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    names = dict(zip(("unk_token", "bos_token", "eos_token"), special, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=whole, **names)


class CountingLlama(LlamaForCausalLM):
    """A random Llama that counts its passes and the tokens it was given."""

    passes = tokens = 0

    def forward(self, input_ids: Tensor, **inputs: Any) -> CausalLMOutputWithPast:
        self.passes += 1
        self.tokens += input_ids.numel()
        return super().forward(input_ids, **inputs)


def random_llama(seed: int = 0, context: int = 2048) -> CountingLlama:
    """Two layers, width 64; its words depend on all that came before."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer()),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=context,
    )
    model = CountingLlama(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8)
    return model


class Teacher:
    """Prefers the next token of `whole`, the ids of prompt and target, wherever it is asked."""

    device = torch.device("cpu")

    def __init__(self, whole: list[int]) -> None:
        self.whole = whole
        text = SimpleNamespace(max_position_embeddings=4096)
        self.config = SimpleNamespace(get_text_config=lambda: text)

    def forward(
        self, input_ids: Tensor, position_ids: Tensor, logits_to_keep: Tensor, **_: Any
    ) -> CausalLMOutputWithPast:
        logits = torch.zeros(*input_ids.shape, len(tokenizer()))
        end = tokenizer().convert_tokens_to_ids(END)
        following = [*self.whole[1:], end]
        for row, places in enumerate(position_ids.tolist()):
            for column, place in enumerate(places):
                logits[row, column, following[min(place, len(following) - 1)]] = 1.0
        return CausalLMOutputWithPast(logits=logits[:, logits_to_keep])  # type: ignore[arg-type]

    __call__ = forward
