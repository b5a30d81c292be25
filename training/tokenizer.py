"""Train the core's tokenizer: a byte-level BPE that keeps JSON's marks apart from words and digits.

A text is first split into letters or a single digit with the space before, runs of other marks,
and white space (after GPT-4's splits); merges never cross a split. So `"cup"` is one label between
two marks wherever it stands, `"]}}` can be one token, and every number is spelt digit by digit.
"""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from nuthatch.mllm.chat import BOS, CHAT_TEMPLATE, END, PAD, SPECIAL_TOKENS

SPLITS = r" ?[\p{L}\p{M}]+| ?\p{N}|[^\s\p{L}\p{M}\p{N}]+|\s"


def train_tokenizer(texts: Iterable[str], *, vocab_size: int = 2048) -> PreTrainedTokenizerFast:
    """A tokenizer with the special tokens of the chat (ids 0 to 9) and its template.

    Every byte has its own token, so there is no text that it cannot write. `save_pretrained`
    writes it, the template included.

    Raises:
        ValueError: `vocab_size` has no room for the bytes and the special tokens.
    """
    least = 256 + len(SPECIAL_TOKENS)
    if vocab_size < least:
        raise ValueError(f"vocab_size={vocab_size}: at least {least} for bytes and special tokens")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLITS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=END,
        additional_special_tokens=[t for t in SPECIAL_TOKENS if t not in (PAD, BOS, END)],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )
