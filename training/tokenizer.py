"""Train the core's tokenizer: a byte-level BPE that keeps JSON's marks apart from words and digits.

A text is first split into letters or a single digit with the space before, runs of other marks,
and white space (after GPT-4's splits); merges never cross a split. So `"cup"` is one label between
two marks wherever it stands, `"]}}` can be one token, and every number is spelt digit by digit.

A word is spelt the same with a space before it and without: what a user says, ` handbags`, and
what a call copies of it, `handbags`, are ` hand` `bags` and `hand` `bags`. For that, merges are
learned of words alone; those of a space with the first piece of a word come last. Otherwise a model
would have to know how every word is spelt before it can copy it.
"""

import json
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from nuthatch.mllm.chat import BOS, CHAT_TEMPLATE, END, PAD, SPECIAL_TOKENS

WORDS = r"[\p{L}\p{M}]+|\p{N}|[^\s\p{L}\p{M}\p{N}]+|\s"
SPLITS = r" ?[\p{L}\p{M}]+| ?\p{N}|[^\s\p{L}\p{M}\p{N}]+|\s"
SPACE = "\u0120"  # a space, as byte-level BPE writes it
SPACED = 0.36
"""Share of the learned entries that are a piece with a space before it."""


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
    texts = list(texts)
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = _splitting(WORDS)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - round(SPACED * (vocab_size - least)),
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator(texts, trainer)
    tokenizer = Tokenizer(_with_spaced(words, texts, vocab_size))
    tokenizer.pre_tokenizer = _splitting(SPLITS)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=END,
        additional_special_tokens=[t for t in SPECIAL_TOKENS if t not in (PAD, BOS, END)],
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def spelt_alike(tokenizer: PreTrainedTokenizerBase) -> list[tuple[int, int]]:
    """Ids of the pieces that there are without and with a space before them."""
    ids = tokenizer.get_vocab()
    return [(ids[t[1:]], ids[t]) for t in ids if t.startswith(SPACE) and t[1:] in ids]


def _splitting(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


def _with_spaced(words: Tokenizer, texts: list[str], vocab_size: int) -> models.BPE:
    """The pieces of words, and those that most often follow a space once more with that space."""
    found: Counter[str] = Counter()
    for encoding in words.encode_batch(texts):
        for before, piece in pairwise(encoding.tokens):
            if before == SPACE and piece[0].isalnum():
                found[piece] += 1
    learned = json.loads(words.to_str())["model"]
    vocabulary: dict[str, int] = learned["vocab"]
    merges = [tuple(pair) for pair in learned["merges"]]
    for piece, _ in found.most_common(vocab_size - len(vocabulary)):
        vocabulary[SPACE + piece] = len(vocabulary)
        merges.append((SPACE, piece))
    return models.BPE(vocab=vocabulary, merges=merges)
