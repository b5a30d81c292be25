"""What constrained decoding promises of any model."""

import pytest
import torch

from nuthatch.mllm.chat import END, encode, parse_turn, prompt_ids
from nuthatch.mllm.config import CoreConfig
from nuthatch.mllm.core import Core
from nuthatch.mllm.generation.decoding import (
    CLOSING,
    ContextTooLong,
    Decoder,
    Medium,
    PrefixCache,
    Row,
)
from nuthatch.mllm.generation.grammar import turn_grammar
from nuthatch.tools.base import ToolCall
from nuthatch.tools.media.geometry import Box, Mask
from nuthatch.tools.media.store import Detection, MediaStore
from tests.agent.little_tools import PHOTO, TONE
from tests.mllm.generation.speakers import (
    HANDLES,
    SCHEMAS,
    TOOLS,
    Teacher,
    random_llama,
    tokenizer,
)

QUESTION = {"role": "user", "content": "How many cups are there?"}
QUERIES = 6


def row(grammar: str, question: str = "How many cups are there?", seed: int = 0) -> Row:
    prompt = prompt_ids(tokenizer(), [{"role": "user", "content": question}], SCHEMAS)
    return Row(prompt, grammar, seed=seed)


def said(ids: list[int]) -> object:
    return parse_turn(tokenizer(), ids)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> MediaStore:
    """Two pictures, a sound, a mask and two sets of detections."""
    store = MediaStore(tmp_path_factory.mktemp("media"))
    store.add_image(PHOTO)
    store.add_image(PHOTO // 2)
    store.add_audio(TONE)
    mask = Mask.of(PHOTO[..., 0] > 0)
    store.add_mask(mask, made_by=None, parents=("image_1",))
    cup = Detection(
        image="image_1", label="cup", score=0.9, score_kind="score", box=Box.of((1, 1, 9, 9))
    )
    for count in (2, 1):
        store.add_detections(store.reserve_detections(), [cup] * count)
    return store


# -- whatever the weights -------------------------------------------------------------------------


@pytest.mark.parametrize(("temperature", "seeds"), [(0.0, 4), (1.0, 4), (4.0, 4)])
def test_random_weights_make_valid_calls_and_name_live_handles_only(store, temperature, seeds):
    kinds = ("image", "audio", "mask", "detection")
    handles = {kind: store.handles(kind) for kind in kinds}
    grammars = [turn_grammar([schema], handles, allow="calls") for schema in SCHEMAS]
    grammars.append(turn_grammar(SCHEMAS, handles, allow="calls"))
    made = set()
    for seed in range(seeds):
        decoder = Decoder(
            random_llama(seed), tokenizer(), max_new_tokens=96, temperature=temperature
        )
        for ids in decoder.generate([row(grammar, seed=seed) for grammar in grammars]):
            for name, arguments in said(ids):
                TOOLS.check(ToolCall("call_1", name, arguments), store)  # raises if it is wrong
                made.add(name)
    assert made == set(TOOLS.names)


def test_a_turn_whose_tokens_are_used_up_is_closed_and_still_valid(store):
    handles = {"image": store.handles("image")}
    detect = [schema for schema in SCHEMAS if schema["name"] == "detect"]
    grammar = turn_grammar(detect, handles, allow="calls")
    decoder = Decoder(random_llama(), tokenizer(), max_new_tokens=30, temperature=4.0)
    for ids in decoder.generate([row(grammar, seed=seed) for seed in range(8)]):
        assert len(ids) <= 30 + CLOSING
        for name, arguments in said(ids):
            TOOLS.check(ToolCall("call_1", name, arguments), store)


def test_an_answer_whose_tokens_are_used_up_ends_at_once():
    decoder = Decoder(random_llama(), tokenizer(), max_new_tokens=12, temperature=2.0)
    for ids in decoder.generate([row(turn_grammar([], {}), seed=seed) for seed in range(8)]):
        assert len(ids) <= 16  # a character of several bytes is ended first
        assert isinstance(said(ids), str)


# -- the same tokens as in training ---------------------------------------------------------------

NESTED = {
    "name": "plan",
    "parameters": {
        "type": "object",
        "properties": {
            "route": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "at": {"type": "array", "items": {"type": "number"}, "maxItems": 3},
                        "by": {"enum": ["foot", "boat", "foot and boat"]},
                        "note": {"type": "string"},
                    },
                    "required": ["at"],
                },
            },
            "quiet": {"type": "boolean"},
            "count": {"type": "integer"},
            "who": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["who"],
    },
}


def plan(**arguments: object) -> dict:
    return {"name": "plan", "arguments": {"who": None, **arguments}}


TARGETS = [
    "There are two cups.",
    'She said "so": {"a": 1} — é, 中文, 😀.\nAnd <|end|> more…',
    "7",
    [{"name": "detect", "arguments": {"image": "image_1", "labels": ["cup"]}}],
    [{"name": "detect", "arguments": {"labels": ["wine glass", "cup"], "image": "image_2"}}],
    [{"name": "detect", "arguments": {"image": "image_1", "labels": ["é中"], "threshold": 0.05}}],
    [{"name": "tag_sound", "arguments": {"audio": "audio_1"}}] * 2,
    [
        {"name": "tag_sound", "arguments": {"audio": "audio_1", "top_k": 12}},
        {"name": "measure", "arguments": {"op": "count", "a": ["detection_1.1", "detection_1"]}},
        {"name": "segment", "arguments": {"image": "image_1", "boxes": [[1, 20.5, 300, 4]] * 2}},
    ],
    [{"name": "calculate", "arguments": {"expression": "(3 + 4) * 12 / 0.5"}}],
    [{"name": "calculate", "arguments": {"expression": ' "\\\n\t" \x7f<|end|>\x01 é中😀}]'}}],
    [{"name": "crop", "arguments": {"image": "image_1", "detection": "detection_1"}}],
    [{"name": "describe_attributes", "arguments": {"image": "image_1", "region": [1, 2, 3, 4]}}],
    [plan()],
    [plan(who="Zoë", quiet=True, count=-120)],
    [plan(route=[])],
    [plan(route=[{"at": [], "by": "foot"}, {"note": "", "at": [0.5, -3, 1e6]}], quiet=False)],
    [plan(route=[{"at": [1], "by": "foot and boat", "note": 'say "]}}" \\ {"a":1}'}])],
]


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_the_tokens_of_a_training_target_are_those_that_decoding_writes(target):
    tools = [*SCHEMAS, NESTED]
    answer = {"content": target} if isinstance(target, str) else {"tool_calls": target}
    whole, marks = encode(tokenizer(), [QUESTION, {"role": "assistant", **answer}], tools)
    wanted = [token for token, mark in zip(whole, marks, strict=True) if mark]
    teacher = Teacher(whole)
    prompt = prompt_ids(tokenizer(), [QUESTION], tools)
    for more in ([], [NESTED]):
        grammar = turn_grammar([*tools, *({**tool, "name": "plant"} for tool in more)], HANDLES)
        assert Decoder(teacher, tokenizer()).generate([Row(prompt, grammar)])[0] == wanted


@pytest.mark.parametrize("allow", ["calls", "answer"])
def test_what_random_weights_write_can_be_taught_token_by_token(allow):
    grammar = turn_grammar([*SCHEMAS, NESTED], HANDLES, allow=allow)
    wild = Decoder(random_llama(), tokenizer(), max_new_tokens=100, temperature=2.0)
    tools = [*SCHEMAS, NESTED]
    prompt = prompt_ids(tokenizer(), [QUESTION], tools)
    for ids in wild.generate([row(grammar, seed=seed) for seed in range(20)]):
        turn = said(ids)
        if isinstance(turn, str):
            answer = {"content": turn}
        else:
            answer = {"tool_calls": [{"name": n, "arguments": a} for n, a in turn]}
        whole, marks = encode(tokenizer(), [QUESTION, {"role": "assistant", **answer}], tools)
        wanted = [token for token, mark in zip(whole, marks, strict=True) if mark]
        taught = Decoder(Teacher(whole), tokenizer(), max_new_tokens=400)
        assert taught.generate([Row(prompt, grammar)])[0] == wanted


# -- passes ---------------------------------------------------------------------------------------


def test_forced_tokens_ride_in_one_pass_with_the_next_choice():
    locate = [schema for schema in SCHEMAS if schema["name"] == "locate_sound_source"]
    handles = {"image": ["image_1"], "audio": ["audio_1"]}
    model = random_llama()
    grammar = turn_grammar(locate, handles, allow="calls", max_calls=1)
    [ids] = Decoder(model, tokenizer()).generate([row(grammar)])
    assert said(ids) == [("locate_sound_source", {"image": "image_1", "audio": "audio_1"})]
    assert ids[-1] == tokenizer().convert_tokens_to_ids(END)
    assert model.passes <= 1
    assert len(ids) > 20


def test_a_batch_says_what_each_row_says_alone():
    tag_sound = [schema for schema in SCHEMAS if schema["name"] == "tag_sound"]
    grammars = [
        turn_grammar(SCHEMAS, HANDLES),
        turn_grammar(SCHEMAS, HANDLES, allow="answer"),
        turn_grammar(SCHEMAS, {"image": ["image_1"]}, allow="calls", max_calls=1),
        turn_grammar(
            tag_sound,
            {"audio": ["audio_1"]},
            allow="calls",
            max_calls=1,
        ),
    ]
    questions = ["?", "How many cups are there, and where?", "Which object rings? " * 9, "Go."]
    for temperature in (0.0, 1.0):
        decoder = Decoder(random_llama(), tokenizer(), max_new_tokens=60, temperature=temperature)
        rows = [row(grammars[n % 4], questions[n * 3 % 4], seed=n) for n in range(8)]
        alone = [decoder.generate([one])[0] for one in rows]
        assert decoder.generate(rows) == alone
        assert len({len(ids) for ids in alone}) > 2  # rows end at different times


def test_a_seed_says_the_same_again_and_another_seed_something_else():
    decoder = Decoder(random_llama(), tokenizer(), max_new_tokens=40, temperature=1.0)
    grammar = turn_grammar(SCHEMAS, HANDLES, allow="answer")
    first, again, other = (decoder.generate([row(grammar, seed=s)])[0] for s in (1, 1, 2))
    assert first == again != other


# -- the prefix cache -----------------------------------------------------------------------------


def talk(turns: int) -> list[dict]:
    """A talk of questions and answers."""
    told = []
    for n in range(turns):
        told.append({"role": "user", "content": f"How many cups are there in {n}?"})
        told.append({"role": "assistant", "content": f"There are {n} cups."})
    return told[:-1]


def test_a_step_computes_only_what_is_new_and_says_the_same():
    model = random_llama()
    decoder = Decoder(model, tokenizer(), max_new_tokens=40)
    grammar = turn_grammar(SCHEMAS, HANDLES)
    cache, told, known = PrefixCache(), [QUESTION], 0
    for step in range(5):
        prompt = prompt_ids(tokenizer(), told, SCHEMAS)
        model.tokens = 0
        [cached] = decoder.generate([Row(prompt, grammar)], cache)
        assert model.tokens <= len(prompt) - known + 1 + len(cached)
        [fresh] = decoder.generate([Row(prompt, grammar)])
        assert cached == fresh
        known = len(prompt)  # what was said is read again where it is written otherwise
        turn = said(cached)
        if isinstance(turn, str):
            told += [{"role": "assistant", "content": "Two."}, QUESTION]
        else:
            calls = [{"name": name, "arguments": arguments} for name, arguments in turn]
            told += [{"role": "assistant", "tool_calls": calls}]
            told += [{"role": "tool", "content": f"call_{step}: nothing found"}]


def test_what_was_said_is_not_read_again_when_it_stays_in_the_talk():
    model = random_llama()
    decoder = Decoder(model, tokenizer())
    cache = PrefixCache()
    locate = [schema for schema in SCHEMAS if schema["name"] == "locate_sound_source"]
    grammar = turn_grammar(
        locate, {"image": ["image_1"], "audio": ["audio_1"]}, allow="calls", max_calls=2
    )
    [ids] = decoder.generate([Row(prompt_ids(tokenizer(), [QUESTION], locate), grammar)], cache)
    calls = [{"name": name, "arguments": arguments} for name, arguments in said(ids)]
    result = {"role": "tool", "content": "call_1 locate_sound_source: nothing found"}
    told = [QUESTION, {"role": "assistant", "tool_calls": calls}, result]
    prompt = prompt_ids(tokenizer(), told, locate)
    [answer] = decoder.generate([Row(prompt, turn_grammar([], {}, allow="answer"))], cache)
    assert model.tokens == len(prompt) + len(answer) - 1  # each is read once, the last one never


def test_two_talks_in_turn_do_not_take_each_others_memory():
    model = random_llama()
    decoder = Decoder(model, tokenizer(), max_new_tokens=20)
    grammar = turn_grammar([], {})
    cache = PrefixCache()
    known = {"Hello.": 0, "Good day to you.": 0}
    for turns in (1, 2, 3):
        for start in known:
            told = [{"role": "user", "content": start}, {"role": "assistant", "content": "Yes?"}]
            prompt = prompt_ids(tokenizer(), [*told, *talk(turns)], SCHEMAS)
            model.tokens = 0
            [cached] = decoder.generate([Row(prompt, grammar)], cache)
            assert model.tokens <= len(prompt) - known[start] + 1 + len(cached)
            known[start] = len(prompt)
            assert cached == decoder.generate([Row(prompt, grammar)])[0]


def test_a_cache_serves_one_row():
    grammar = turn_grammar([], {})
    with pytest.raises(ValueError, match="2 rows and a prefix cache"):
        Decoder(random_llama(), tokenizer()).generate([row(grammar)] * 2, PrefixCache())


# -- media ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def core() -> Core:
    torch.manual_seed(0)
    config = CoreConfig.tiny()
    config.text_config.vocab_size = len(tokenizer())
    config.text_config.max_position_embeddings = 1024
    core = Core(config).eval()
    with torch.no_grad():
        for parameter in core.language_model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(8)
    return core


def medium(key: str) -> Medium:
    random = torch.Generator().manual_seed(sum(key.encode()))
    return Medium(key, 4 * torch.randn(QUERIES, 40, generator=random))


def looking(*keys: str, question: str = "What is there?") -> Row:
    parts = [{"type": "image", "handle": f"image_{n}"} for n in range(1, len(keys) + 1)]
    told = [{"role": "user", "content": [*parts, {"type": "text", "text": question}]}]
    prompt = prompt_ids(tokenizer(), told, queries=QUERIES)
    return Row(prompt, turn_grammar([], {}), [medium(key) for key in keys])


def test_a_core_sees_the_media_of_each_row_alone_in_a_batch_and_from_the_cache(core):
    decoder = Decoder(core, tokenizer(), max_new_tokens=30)
    rows = [looking("a"), looking(), looking("b", "a"), looking("b"), looking("a", "b")]
    alone = [decoder.generate([one])[0] for one in rows]
    assert decoder.generate(rows) == alone
    cache = PrefixCache()
    assert [decoder.generate([one], cache)[0] for one in [*rows, *rows]] == alone * 2
    assert alone[0] != alone[3]
    assert alone[2] != alone[4]


def test_another_picture_in_the_same_place_is_not_taken_for_the_first(core):
    decoder, cache = Decoder(core, tokenizer(), max_new_tokens=30), PrefixCache()
    first, other = (decoder.generate([looking(key)], cache)[0] for key in "ab")
    assert first != other == decoder.generate([looking("b")])[0]


def test_placeholders_and_media_must_match(core):
    decoder = Decoder(core, tokenizer())
    one = looking("a")
    with pytest.raises(ValueError, match="6 placeholders for 2 media of 12 vectors"):
        decoder.generate([Row(one.prompt, one.grammar, [medium("a"), medium("b")])])
    with pytest.raises(ValueError, match="6 placeholders for 0 media"):
        decoder.generate([Row(one.prompt, one.grammar)])


# -- errors ---------------------------------------------------------------------------------------


def test_a_prompt_without_room_for_a_turn_is_refused_with_the_numbers():
    decoder = Decoder(random_llama(context=512), tokenizer(), max_new_tokens=100)
    assert decoder.longest_prompt == 512 - 100 - CLOSING
    with pytest.raises(ContextTooLong, match=r"at most 348 leave room .* model's 512"):
        decoder.generate([Row([11] * 349, turn_grammar([], {}))])
    assert decoder.generate([Row([11] * 348, turn_grammar([], {}))])


def test_a_wrong_grammar_is_an_error_with_the_engines_reason():
    wrong = row('{"grammars": [{"lark_grammar": "x"}]}')
    with pytest.raises(ValueError, match="grammar of the turn is wrong"):
        Decoder(random_llama(), tokenizer()).generate([wrong])
