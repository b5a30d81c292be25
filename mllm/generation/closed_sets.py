"""Closed sets of answers: only one of them can be written, or all of them are scored at once.

A prefix tree keeps generation within the set (Wang et al., "OFA", 2022, section 3.4). For scores
the tree is read in one pass behind the prompt's cache: each node sees the prompt and the nodes
above it (tree attention; Miao et al., "SpecInfer", 2024), so beginnings that candidates share are
read once, and the prompt's keys and values are never copied.

Shapes: N candidates, K beginnings of candidates, T tokens of the prompt, V vocabulary.

Example: `examples/closed_answers.py`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from nuthatch.mllm.generation.decoding import ContextTooLong

Word = tuple[int, ...]
_Node: TypeAlias = dict[int, "_Node"]


class Trie:
    """A prefix tree of words; a word is a sequence of token ids."""

    def __init__(self, words: Iterable[Sequence[int]] = ()) -> None:
        self.words: set[Word] = set()
        self._root: _Node = {}
        for word in words:
            self.insert(word)

    def insert(self, word: Sequence[int]) -> None:
        """Add one word.

        Raises:
            ValueError: the word is empty, or in the tree already.
        """
        if not word or tuple(word) in self.words:
            what = "is in the tree already" if word else "is empty"
            raise ValueError(f"the word {list(word)} {what}; expected different words of tokens")
        self.words.add(tuple(word))
        node = self._root
        for token in word:
            node = node.setdefault(token, {})

    def allowed(self, prefix: Sequence[int]) -> list[int]:
        """The tokens that may follow, sorted; none where a word is complete and none is longer.

        Raises:
            ValueError: no word begins so. (OFA's own tree answers with the end token.)
        """
        node = self._find(prefix)
        if node is None:
            raise ValueError(f"given the prefix {list(prefix)}, with which no word begins")
        return sorted(node)

    def constraint(self, prompt_length: int, end_id: int) -> Callable[[int, Tensor], list[int]]:
        """What `generate` takes as `prefix_allowed_tokens_fn`, to write one word and then end.

        The words are given without the end token. Beams that keep all live beginnings find the best
        word: `num_beams` not less than there are words, and `length_penalty=0.0`. Rows of other
        sets: `lambda row, ids: constraints[row](row, ids)`. Make a new one for every `generate`.

        Args:
            prompt_length: T, the padding on the left included; 0 where `inputs_embeds` are given.
            end_id: the token that ends a row, as `generate` knows it.

        Raises:
            ValueError: the tree is empty; in `generate`, the prompt has another length.
        """
        if not self.words:
            raise ValueError("the tree is empty; insert the words that may be written")
        started = False

        def allowed(row: int, ids: Tensor) -> list[int]:
            nonlocal started
            if not started and len(ids) != prompt_length:
                raise ValueError(
                    f"given prompt_length={prompt_length} for a prompt of {len(ids)} tokens; give "
                    "input_ids.shape[1], and make a new constraint for every generate"
                )
            started = True
            written = tuple(ids[prompt_length:].tolist())
            node = self._find(written)
            if node is None:  # padding of a row that has ended, or a beam of probability 0
                return [end_id]
            return sorted({*node, end_id} if written in self.words else node)

        return allowed

    def _find(self, prefix: Sequence[int]) -> _Node | None:
        node = self._root
        for token in prefix:
            if token not in node:
                return None
            node = node[token]
        return node


class CandidateScores(NamedTuple):
    """How likely each candidate is, in the order given; tensors are on the CPU."""

    log_probabilities: Tensor
    """(N,) of each whole candidate after the prompt, in nats."""
    scores: Tensor
    """(N,) by which candidates are compared: the same, or the mean over the candidate's tokens."""

    @property
    def probabilities(self) -> Tensor:
        """(N,) within the closed set: softmax of the scores."""
        return self.scores.softmax(-1)

    @property
    def best(self) -> int:
        """Index of the candidate with the highest score, the first of equal ones."""
        return int(self.scores.argmax())


@torch.inference_mode()
def score_candidates(
    model: Any,
    candidates: Sequence[Sequence[int]],
    *,
    end_id: int | None = None,
    per_token: bool = False,
    **prompt: Any,
) -> CandidateScores:
    """Exact log-probabilities of all candidates after one prompt, in two forward passes.

    The second pass reads every beginning of a candidate once, K tokens in all, with a mask of
    K x (T + K): sets of some thousand tokens are fine. The model's attention must take a 4-D mask
    ("sdpa", "eager").

    Args:
        model: a `Core`, or any causal language model of transformers with full attention.
        candidates: token ids of each, without the end token where `end_id` is given.
        end_id: appended to every candidate. Without it a candidate is never less likely than one
            that goes on from it.
        per_token: compare by the mean over tokens instead of the sum.
        prompt: what `forward` takes, for a single row without padding, such as a batch of
            `lay_out`: `input_ids` (1, T), with its media, or `inputs_embeds` (1, T, D). `labels`
            are left out. `past_key_values` may hold what was read before; it holds the prompt too
            afterwards, and no candidate.

    Raises:
        ContextTooLong: prompt and longest candidate are longer than the model's context.
        ValueError: no candidates, an empty one, one twice, one that holds the end token or a token
            that the model does not have; or the prompt is not one row without padding.
    """
    words = _closed_set(candidates, end_id)
    inputs = _one_row(prompt)
    _check_room(model, inputs, max(map(len, words)))
    read = model(**inputs, use_cache=True, logits_to_keep=1)
    logits = read.logits[0, -1:]  # (1, V)
    vocabulary = logits.shape[-1]
    if wrong := {token for word in words for token in word if not 0 <= token < vocabulary}:
        raise ValueError(
            f"candidates hold {sorted(wrong)}, expected ids from 0 to {vocabulary - 1}"
        )
    places: dict[Word, int] = {}
    for word in words:
        for length in range(1, len(word)):
            places.setdefault(word[:length], len(places))
    if places:
        logits = torch.cat([logits, _read_tree(model, places, read.past_key_values)])
    chances = logits.float().log_softmax(-1)
    sums = []
    for word in words:
        before = [0, *(1 + places[word[:length]] for length in range(1, len(word)))]
        sums.append(chances[before, list(word)].sum())
    whole = torch.stack(sums).cpu()
    lengths = torch.tensor([len(word) for word in words])
    return CandidateScores(whole, whole / lengths if per_token else whole)


def _read_tree(model: Any, places: Mapping[Word, int], cache: Any) -> Tensor:
    """Logits (K, V) after each beginning, which comes after all beginnings of its own.

    The cache is left as it was.
    """
    past, count = cache.get_seq_length(), len(places)
    sees = torch.zeros(count, past + count, dtype=torch.bool)
    sees[:, :past] = True
    for beginning, place in places.items():
        above = [past + places[beginning[:length]] for length in range(1, len(beginning) + 1)]
        sees[place, above] = True
    dtype = model.get_input_embeddings().weight.dtype
    mask = torch.zeros(sees.shape, dtype=dtype).masked_fill(~sees, torch.finfo(dtype).min)
    logits: Tensor = model(
        input_ids=torch.tensor([[beginning[-1] for beginning in places]], device=model.device),
        position_ids=torch.tensor(
            [[past + len(beginning) - 1 for beginning in places]], device=model.device
        ),
        attention_mask=mask[None, None].to(model.device),
        past_key_values=cache,
        use_cache=True,
    ).logits[0]
    cache.crop(-count)
    return logits


def _closed_set(candidates: Sequence[Sequence[int]], end_id: int | None) -> list[Word]:
    """The candidates as tuples, each with the end token where there is one."""
    words = [tuple(candidate) for candidate in candidates]
    if not words or not all(words):
        raise ValueError(
            f"given {len(words)} candidates, {words.count(())} of them empty; expected at least "
            "one, each of one token or more"
        )
    if len(set(words)) != len(words):
        twice = next(word for word in words if words.count(word) > 1)
        raise ValueError(f"the candidate {list(twice)} is given twice; give each once")
    if end_id is None:
        return words
    if any(end_id in word for word in words):
        raise ValueError(f"a candidate holds the end token {end_id}, which is appended to each")
    return [(*word, end_id) for word in words]


def _one_row(prompt: Mapping[str, Any]) -> dict[str, Any]:
    """The prompt's inputs without a mask, which a single row does not need, and without labels."""
    inputs = dict(prompt)
    mask = inputs.pop("attention_mask", None)
    inputs.pop("labels", None)  # where only the last logits are kept, there is no loss
    rows = inputs.get("input_ids", inputs.get("inputs_embeds"))
    if rows is None or len(rows) != 1 or (mask is not None and not bool(mask.all())):
        shape = None if rows is None else tuple(rows.shape)
        raise ValueError(
            f"given a prompt of shape {shape}, expected input_ids (1, tokens) or inputs_embeds "
            "(1, tokens, width), without padding"
        )
    return inputs


def _check_room(model: Any, inputs: Mapping[str, Any], longest: int) -> None:
    rows = inputs.get("input_ids", inputs.get("inputs_embeds"))
    cache = inputs.get("past_key_values")
    prompt = rows.shape[1] + (0 if cache is None else cache.get_seq_length())
    context = model.config.get_text_config().max_position_embeddings
    if prompt + longest > context:
        raise ContextTooLong(
            f"given a prompt of {prompt:,} tokens, media included, and candidates of up to "
            f"{longest:,}; the model reads at most {context:,}: shorten the prompt or the "
            "candidates"
        )
