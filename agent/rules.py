"""A planner of rules: the baseline that a trained planner must beat.

Each part of a question is matched against a few patterns; each pattern has a rule that reads like a
recipe: look, look closer, say. `_ObservationCache.look` gives what a call has observed, or notes
the call as wanted and breaks off; when all parts were tried, what is wanted becomes the next turn,
so that independent looks run side by side. When nothing is wanted any more, the sentences are the
draft.
"""

import re
from collections.abc import Callable
from typing import Any

from nuthatch.agent.answer import Draft
from nuthatch.agent.conversation import Conversation
from nuthatch.agent.planner import Call, Turn
from nuthatch.tools.basic.measure import CLEAR_MARGIN
from nuthatch.tools.media.store import Detection, MediaKind
from nuthatch.tools.verification.extraction.words import (
    COLOURS,
    NUMBER_WORDS,
    OPPOSITE,
    PLAIN_PREPOSITIONS,
)
from nuthatch.tools.vocabulary import CATEGORIES, TINTS, canonical, plural, singular, with_article

FEW = 8  # objects of one name that are looked at closely
LONGEST_PART = 300  # characters; nobody asks one thing at greater length, and search is quadratic
OFF_CENTRE = 0.1  # share of the side; nearer to the middle is the middle


class RulesPlanner:
    """Counts, finds, compares, describes, listens and calculates, by patterns of English."""

    def plan(self, conversation: Conversation) -> Turn:
        observed = _ObservationCache(conversation)
        sentences: list[str] = []
        for part in _parts(conversation):
            try:
                sentences.append(_rule(part)(observed))
            except _NotLookedYet:
                continue
            except _Lacking as lack:
                sentences.append(str(lack))
        return observed.wanted or Draft(" ".join(dict.fromkeys(sentences)))


class _NotLookedYet(Exception):
    """The rule needs an observation that the next turn will bring."""


class _Lacking(Exception):
    """The rule cannot go on; the message is what to say instead."""


class _ObservationCache:
    """What was observed for this question, and what is still wanted."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.wanted: list[Call] = []
        self.seen = {
            (result.call.tool, repr(result.call.arguments)): result
            for result in conversation.now.observed
        }

    def look(self, tool: str, **arguments: Any) -> Any:
        """The value of a call, if it was made; else it is wanted."""
        (value,) = self.look_at_all((tool, arguments))
        return value

    def look_at_all(self, *calls: tuple[str, dict[str, Any]]) -> list[Any]:
        """The same for several calls that may run side by side."""
        results = [self.seen.get((tool, repr(arguments))) for tool, arguments in calls]
        missing = [Call(*c) for c, result in zip(calls, results, strict=True) if result is None]
        if missing:
            self.wanted += [call for call in missing if call not in self.wanted]
            raise _NotLookedYet
        for result in results:
            if result is not None and result.fault is not None:
                raise _Lacking(f"I could not find out: {result.fault.message}.")
        return [result.value for result in results if result is not None]

    def medium(self, kind: MediaKind, name: str) -> str:
        """The handle in the question, else the one that came with it, else the latest given.

        What a tool made is never meant without its name.
        """
        conversation = self.conversation
        given = [
            m.handle for m in conversation.media.items() if m.type == kind and m.made_by is None
        ]
        if not given:
            raise _Lacking(f"I need a {name} to answer this.")
        named = [handle for handle in given if re.search(rf"\b{handle}\b", conversation.question)]
        meant = (
            named or [handle for handle in conversation.now.given if handle in given] or given[-1:]
        )
        if len(meant) > 1:
            raise _Lacking(f"Which {name} do you mean, {_joined(meant, 'or')}?")
        return meant[0]

    @property
    def picture(self) -> str:
        return self.medium("image", "picture")

    @property
    def sound(self) -> str:
        return self.medium("audio", "sound")

    def find(self, phrase: str) -> list[Detection]:
        """Everything in the picture that a noun phrase means, e.g. `the red cups`."""
        tint, name = _noun(phrase)
        found: list[Detection] = self.look("detect", image=self.picture, labels=[name]).detections
        if tint is None:
            return found
        looks = [self._closer(each) for each in found[:FEW]]
        tints = [look.tints[0].word for look in self.look_at_all(*looks)]
        return [each for each, seen in zip(found, tints, strict=False) if seen == tint]

    def tint(self, detection: Detection) -> str:
        (look,) = self.look_at_all(self._closer(detection))
        return str(look.tints[0].word)

    def place(self, detection: Detection) -> list[str]:
        """`at the top`, `on the left`: what is clear of the two"""
        size = self.conversation.media[detection.image]
        x, y = detection.box.centre
        dx, dy = x / (size.width or 1) - 0.5, y / (size.height or 1) - 0.5
        parts = [f"at the {'top' if dy < 0 else 'bottom'}"] if abs(dy) > OFF_CENTRE else []
        parts += [f"on the {'left' if dx < 0 else 'right'}"] if abs(dx) > OFF_CENTRE else []
        return parts or ["in the middle"]

    def _closer(self, found: Detection) -> tuple[str, dict[str, Any]]:
        return "describe_attributes", {"image": found.image, "region": found.handle}


# -- rules: one for each kind of question ---------------------------------------------------------


def _count(observed: _ObservationCache, what: str) -> str:
    return " ".join(_there_are(len(observed.find(each)), each) for each in _listed(what))


def _exists(observed: _ObservationCache, what: str) -> str:
    names = _listed(what)
    found = [bool(observed.find(each)) for each in names]
    said = " ".join(
        f"There is {with_article(_name(each))}." if there else _there_are(0, each)
        for each, there in zip(names, found, strict=True)
    )
    yes = any(found) if " or " in what else all(found)
    return f"{'Yes' if yes else 'No'}, {said[0].lower()}{said[1:]}"


def _where(observed: _ObservationCache, what: str) -> str:
    found = observed.find(what)
    if not found:
        return _there_are(0, what)
    places = list(dict.fromkeys(part for each in found for part in observed.place(each)))
    where = ", ".join([f"{places[0]} of the picture", *places[1:]])
    if len(found) == 1:
        return f"The {_name(what)} is {where}."
    return f"{_there_are(len(found), what)[:-1]}, {where}."


def _relation(observed: _ObservationCache, a: str, how: str, b: str) -> str:
    sides = [observed.find(a), observed.find(b)]
    for found, name in zip(sides, (a, b), strict=True):
        if not found:
            return f"No, {_there_are(0, name).lower()}"
    left, right = (found[0].handle for found in sides)
    measured = observed.look("measure", op="relation", a=[left], b=[right])
    if not measured.clear:
        return f"The {_name(a)} and the {_name(b)} are about level: too close to call."
    asked = PLAIN_PREPOSITIONS.get(how) or " ".join(how.split()[-2:])
    # How far `a` lies on the side asked for, as a share of the picture; negative: on the other.
    share = measured.numbers["dx" if asked.endswith(" of") else "dy"]
    share = -share if asked in ("left of", "above") else share
    seen = asked if share > 0 else OPPOSITE[asked]
    seen = seen if abs(share) >= CLEAR_MARGIN else measured.value
    return f"{'Yes' if seen == asked else 'No'}, the {_name(a)} is {seen} the {_name(b)}."


def _colour(observed: _ObservationCache, what: str) -> str:
    found = observed.find(what)
    if not found:
        return _there_are(0, what)
    tint = observed.tint(found[0])
    return f"The {_noun(what)[1]} is {tint}."


def _is_colour(observed: _ObservationCache, what: str, tint: str) -> str:
    said = _colour(observed, what)
    if said.startswith("There"):
        return f"No, {said[0].lower()}{said[1:]}"
    yes = said.endswith(f" {COLOURS.get(tint, tint)}.")
    return f"{'Yes' if yes else 'No'}, {said[0].lower()}{said[1:]}"


def _describe(observed: _ObservationCache) -> str:
    half = len(CATEGORIES) // 2  # `detect` takes at most 64 labels
    looks = [
        ("detect", {"image": observed.picture, "labels": list(labels)})
        for labels in (CATEGORIES[:half], CATEGORIES[half:])
    ]
    labels = [each.label for found in observed.look_at_all(*looks) for each in found.detections]
    if not labels:
        return "I see nothing that I know."
    things = [
        f"{_number(labels.count(name))} {plural(name)}"
        if labels.count(name) > 1
        else with_article(name)
        for name in sorted(set(labels), key=lambda name: (-labels.count(name), name))
    ]
    return f"There {'are' if labels.count(labels[0]) > 1 else 'is'} {_joined(things)}."


def _hear(observed: _ObservationCache) -> str:
    heard = observed.look("tag_sound", audio=observed.sound)
    events = [event for event in heard.events if event.score >= 0.5]
    if heard.silent or not events:
        return "The recording is silent." if heard.silent else "I hear nothing that I know."
    return f"I hear {_joined([event.description for event in events])}."


def _sound_source(observed: _ObservationCache) -> str:
    sound = observed.sound
    try:
        picture = observed.picture
    except _Lacking:
        return f"{_hear(observed)} To point at what makes it, I need a picture."
    links = observed.look("locate_sound_source", image=picture, audio=sound).links
    start = "The sound is" if len(links) == 1 else "I hear"
    said = [
        f"{start} {link.description}; the {link.object} makes it."
        if link.detections
        else f"{start} {link.description}. {_there_are(0, link.object)}"
        for link in links
    ]
    return " ".join(said) or _hear(observed)


def _calculate(observed: _ObservationCache, expression: str) -> str:
    expression = expression.strip(" .")
    spoken = {"plus": "+", "minus": "-", "times": "*", "divided by": "/", "x": "*", "÷": "/"}
    sign = re.compile("|".join(spoken))
    formula = sign.sub(lambda word: spoken[word.group()], expression.replace("×", "*"))
    value = observed.look("calculate", expression=" ".join(formula.split())).value
    return f"{' '.join(formula.split())} = {value:.10g}."


def _fallback(observed: _ObservationCache) -> str:
    return _NOT_UNDERSTOOD


_NOT_UNDERSTOOD = (
    "I did not understand the question. I can count, find, compare and describe objects in a "
    "picture, name sounds, and calculate."
)


_OPERATOR = r"(?:[-+*/x×÷]|plus|minus|times|divided by)"
_SIDE = r"(?:(?:to|on) the )?(?:left|right) of|above|over|below|under|beneath|underneath"
_TINT = "|".join(COLOURS)
_BE = r"(?:is|are) (?:there|this|that|it|these|those)"
_LOOK = rf"(?:{_BE}|(?:do|can) you see|does (?:the|this) \w+ (?:show|contain|have)) "
_MAKES = r"\b(?:mak(?:es?|ing)|produc\w+|com(?:es?|ing) from)\b"
_SHOWN = r"\b(?:see|picture|image|photo|scene|here|there|this|show)"
RULES: list[tuple[str, Callable[..., str]]] = [
    (
        r"^(?:(?:what|how much) is|what's|calculate|compute)? *"
        rf"(\(*-?\d[\d.]*\)*(?: *{_OPERATOR} *\(*-?\d[\d.]*\)*)+)(?: =)?$",
        _calculate,
    ),
    (r"how many (.+?)(?: (?:are|is|can|do|does|have|has)\b.*)?$", _count),
    (r"(?:count|number of) (.+)", _count),
    (r"what colou?rs? (?:is|are|has|have|does|do) (.+?)(?: have)?$", _colour),
    (r"colou?rs? of (.+)", _colour),
    (rf"(?:which|what|who|where)\b.*{_MAKES}", _sound_source),
    (r"source of .*(?:sound|noise)", _sound_source),
    (r"\b(?:hear|sounds?|noises?|audio|recording|listen)\b", _hear),
    (rf"(?:is|are) (?:there )?(.+?) ({_SIDE}) (.+)", _relation),
    (rf"{_LOOK}(.+)", _exists),
    (r"where (?:is|are) (.+)", _where),
    (rf"^(?:is|are) (.+) ({_TINT})$", _is_colour),
    (rf"what\b.*{_SHOWN}|describe|list|name", _describe),
]
"""Pattern of a part of a question -> its rule, which is given what the groups caught."""


def _rule(part: str) -> Callable[[_ObservationCache], str]:
    for pattern, rule in RULES if len(part) <= LONGEST_PART else ():
        found = re.search(pattern, part)
        if found:
            groups, chosen = found.groups(), rule
            return lambda observed: chosen(observed, *groups)
    return _fallback


# -- words ----------------------------------------------------------------------------------------

_OPENER = (
    r"(?:how many|what|which|where|who|is|are|do|does|can|count|describe|name|list|tell|calculate)"
)
_BREAK = re.compile(rf"[?!;]\s*|(?<!\d)\.\s+|,?\s+and\s+(?={_OPENER}\b)|,\s*(?={_OPENER}\b)")
_TAIL = re.compile(
    r"\b(?:(?:in|on|at|within|of) (?:the|this|that) (?:picture|image|photo|photograph|scene)|"
    r"image_\d+|there|here|visible|shown|present|please|in total|do you see|can you see)\b.*$"
)
_RESTRICTED = re.compile(
    r"\b(?:more|fewer|less|most|than|on|in|at|to|of|with|near|by|behind|under|next|that|which)\b"
)
"""Words of phrases that mean some of a kind, or that compare: no noun to look for."""
_LEAD = re.compile(r"^(?:(?:an?|the|any|some|all|other|this|that|these|those|of|me)\s+)+")


def _parts(conversation: Conversation) -> list[str]:
    """The question's parts, lower case. `And the cups?` takes its form from the question before."""
    question = " ".join(conversation.question.lower().split()).rstrip(" ?.!")
    more = re.match(r"(?:and|what about|how about) (.+)", question)
    if more and not re.match(rf"and {_OPENER}\b", question) and len(conversation.exchanges) > 1:
        before = conversation.exchanges[-2].question.lower()
        forms = {"how many": "how many", "colo": "what colour is", "where": "where is"}
        form = next((form for word, form in forms.items() if word in before), "is there")
        question = f"{form} {more[1]}"
    parts = [part.strip(" ,.") for part in _BREAK.split(question)]
    return [part for part in parts if part] or [question]


def _listed(phrase: str) -> list[str]:
    """`cups, plates and a dog` -> its members"""
    cleaned = _TAIL.sub("", phrase).strip(" ,.")
    members = re.split(r",\s*(?:and |or )?|\s+(?:and|or)\s+", cleaned)
    return [member for member in members if member] or [phrase]


def _noun(phrase: str) -> tuple[str | None, str]:
    """(tint, category or unknown noun in the singular) of a noun phrase."""
    words = _LEAD.sub("", _TAIL.sub("", phrase).strip(" ,."))
    if canonical(words) is None and _RESTRICTED.search(words):
        raise _Lacking(_NOT_UNDERSTOOD)
    first, _, rest = words.partition(" ")
    if COLOURS.get(first) in TINTS and rest and canonical(words) is None:
        return COLOURS[first], canonical(rest) or singular(rest)
    short = " ".join(words.replace(".", " ").split()[:8])  # what `detect` takes
    return None, canonical(short) or singular(short) or "object"


def _name(phrase: str) -> str:
    return " ".join(filter(None, _noun(phrase)))


def _there_are(number: int, phrase: str) -> str:
    """`There are two cups.`"""
    name = _name(phrase)
    if number == 1:
        return f"There is one {name}."
    return f"There are {'no' if number == 0 else _number(number)} {plural(name)}."


def _number(number: int) -> str:
    return NUMBER_WORDS[number] if number < len(NUMBER_WORDS) else str(number)


def _joined(parts: list[str], last: str = "and") -> str:
    return f" {last} ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
