"""What a user of the miniature world says aloud: questions, requests and captions.

Frames with slots, filled with the world's words, so that every word comes often enough to be
learned and no sentence has to come twice. One sentence in ten is held out by its text.
"""

from functools import cache
from random import Random
from zlib import crc32

from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS, THEMES, TINTS, plural

NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
PLACES = ("next to", "behind", "in front of", "under", "above", "near", "on", "to the left of")
_SLOTS: dict[str, tuple[str, ...]] = {
    "image": ("picture", "image", "photo", "scene"),
    "sound": ("recording", "clip", "sound"),
    "event": tuple(sound.description for sound in SOUNDS.values()),
    "theme": tuple(THEMES),
    "tint": tuple(TINTS),
    "place": (*PLACES, "to the right of", "below", "beside"),
    "side": ("on the left", "on the right", "at the top", "at the bottom", "in the middle"),
    "adjective": ("small", "big", "old", "new", "little", "large", "round", "dark", "bright"),
    "number": NUMBERS,
    "nth": ("first", "second", "third", "last"),
    "day": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    "doing": ("standing", "sitting", "lying", "waiting", "sleeping", "moving"),
    "please": ("please", "thank you", "now", "again", "quickly"),
    "can": ("can you", "could you", "will you", "would you"),
}
QUESTIONS = (
    "how many {many} are there in the {image}?",
    "how many {tint} {many} can you see?",
    "how many {many} are {place} {the}?",
    "is there {a} in the {image}?",
    "are there any {many} {side}?",
    "is {the} {place} {the}?",
    "what colour is {the}?",
    "is {the} {tint} or {tint}?",
    "where is {the}?",
    "what is {place} {the}?",
    "which side of {the} is {the} on?",
    "how far is {the} from {the}?",
    "what can you hear in the {sound}?",
    "do you hear {event} or {event}?",
    "what is making that noise?",
    "who is {doing} {place} {the}?",
    "what does it say {side}?",
    "why is {the} so {adjective}?",
    "when do you need {the}?",
    "does this look like {the}?",
)
REQUESTS = (
    "find {the} and {the}.",
    "find all the {many} in the {image}.",
    "show me {the} {side}.",
    "count the {many} {please}.",
    "{can} cut out {the}?",
    "{can} tell me about the {nth} {image}?",
    "{can} draw {a} {place} {a}?",
    "please describe the {nth} {image}.",
    "please paint {the} {tint}.",
    "make {the} {adjective} and {tint}.",
    "take {the} out of the {image}.",
    "put {a} {place} {the}.",
    "zoom in on {the}.",
    "listen to the {nth} {sound} {please}.",
    "write down what they say.",
    "compare the {nth} {image} with the {nth} one.",
    "look at the {many} {side}.",
    "give me a box around {the}.",
    "bring {number} {many} on {day}.",
    "read the text {place} {the}.",
)
CAPTIONS = (
    "{a} {place} {a}.",
    "{a} {doing} {side}.",
    "{number} {tint} {many} and {a}.",
    "there are {number} {many} {place} {the}.",
    "this is a {theme} with {number} {many}.",
    "{a} with {a} in the {theme}.",
    "i see {a} and {number} {many}.",
    "we saw {a} on {day}.",
    "they have {number} {adjective} {many}.",
    "my {bare} is {tint} but your {bare} is {tint}.",
    "i can hear {event}.",
    "{event} and {event}.",
    "no {bare} is in this {image}.",
    "it was {adjective} and {tint} on {day}.",
)
KINDS = (QUESTIONS, REQUESTS, CAPTIONS)


def sentence(seed: int, *, held_out: bool = False) -> str:
    """Lower case, one of `. ?` at the end; always the same for the same seed.

    Args:
        seed: which one.
        held_out: one of those that training never says.
    """
    draw = Random(f"spoken {seed}")
    while True:
        text = _fill(draw.choice(draw.choice(KINDS)), draw)
        if (crc32(text.encode()) % 10 == 0) == held_out:
            return text


def _fill(frame: str, draw: Random) -> str:
    words = []
    for word in frame[:-1].split():
        if not word.startswith("{"):
            words.append(word)
        elif word in ("{a}", "{the}"):
            words.append(_noun_phrase(word == "{the}", draw))
        elif word in ("{many}", "{bare}"):
            category = draw.choice(CATEGORIES)
            words.append(plural(category) if word == "{many}" else category)
        else:
            words.append(draw.choice(_SLOTS[word[1:-1]]))
    return " ".join(words) + frame[-1]


def _noun_phrase(definite: bool, draw: Random) -> str:
    kinds = ("", draw.choice(_SLOTS["adjective"]), draw.choice(_SLOTS["tint"]))
    phrase = f"{draw.choices(kinds, (6, 2, 2))[0]} {draw.choice(CATEGORIES)}".strip()
    if definite:
        return f"the {phrase}"
    return f"{'an' if phrase[0] in 'aeiou' and phrase[:3] != 'uni' else 'a'} {phrase}"


@cache
def words() -> tuple[str, ...]:
    """Every word that sentences are made of, in alphabetical order."""
    parts = [*CATEGORIES, *map(plural, CATEGORIES), "a", "an", "the"]
    parts += [part for slot in _SLOTS.values() for part in slot]
    for kind in KINDS:
        parts += [word for frame in kind for word in frame[:-1].split() if "{" not in word]
    return tuple(sorted({word for part in parts for word in part.split()}))
