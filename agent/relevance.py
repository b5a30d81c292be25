"""Which media a question is about, by its words.

A small core that is given a picture and a sound describes the sound, whatever was asked. So it is
given a sound only where the question may be about it.
"""

import re

from nuthatch.tools.media.store import MediaKind

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_HEARD = re.compile(
    "hear|listen|sound|nois|audio|audib|record|clip|acoustic|loud|quiet|silen|volum|music|song|sing|"
    "melod|tune|play|voice|vocal|speak|spok|speech|say|said|talk|utter|dictat|transcri|word|"
    "pronounc|accent|languag|shout|whisper|scream|yell|laugh|cry|cries|sob|snor|cough|sneez|ring|"
    "rang|chim|toll|bark|howl|growl|meow|mew|purr|moo|roar|neigh|bleat|oink|croak|hiss|chirp|tweet|"
    "squawk|cluck|buzz|hum|rattl|rumbl|racket|bang|crash|clang|click|clatter|creak|squeak|tick|beep|"
    "honk|hoot|blar|siren|whistl|strum|pluck|drip|splash|rustl|thunder"
)
"""Beginnings of words about sounds; more than needed, since a sound must not be lost."""
_SEEN = re.compile(
    r"\b(?:(?:in|on|of|from) (?:the|this|that|my) (?:picture|image|photo|photograph|scene)"
    r"|(?:is|are|was|were) there|there(?:'s|’s| is| are)|how many|how much of|where(?:'s|’s)?"
    r"|wh(?:at|ich) colou?r|colou?rs?|(?:do|can|could) you see|visible|look(?:s|ing)? like"
    r"|(?:to the )?(?:left|right) of|above|below|under|behind|in front of|next to|beside|between"
    r"|count|find|locate|point|outline|segment|detect|crop|box(?:es)?|mask|caption)\b"
)
"""Words for what is seen."""


def is_about_sound(question: str) -> bool:
    """Whether the question has a word about sounds."""
    return any(_HEARD.match(word.lower()) for word in _WORD.findall(question))


def beside_the_question(question: str, kinds: frozenset[MediaKind]) -> frozenset[MediaKind]:
    """The kinds of media, of those that are there, which the question is surely not about.

    A sound beside a picture, where the words are those of a question about something seen. What
    could be about both ("What is going on here?") keeps both.
    """
    if not kinds >= {"image", "audio"} or is_about_sound(question):
        return frozenset()
    return frozenset({"audio"}) if _SEEN.search(question.lower()) else frozenset()
