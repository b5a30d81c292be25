"""Which clauses of a text are understood, by a grammar over chunks.

A clause is understood if all of it matches one of the forms below; nothing is guessed about any
other, so that questions, commands, reports, hypotheticals and mentions need no rules of their own.
What is joined to a clause that is not understood by `and` or a comma may depend on it and is not
read either. After S. Abney, "Parsing by chunks" (1991).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from nuthatch.tools.verification.extraction import lexicon
from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.chunks import Chunk, chunks
from nuthatch.tools.verification.extraction.noun_phrases import name_at
from nuthatch.tools.verification.extraction.text import Clause, Text
from nuthatch.tools.vocabulary import singular

# Possessive quantifiers (`*+`) where a repeated part could be matched in several ways: their number
# would double with every repetition.
_PLACE = r"(?:[pq]|r[NDLXP])"
_REST = r"[AagC]*(?:[NDLXPZJ]|\?\??)"
_HOLE = rf"(?:[+%o]{_REST}|r[Aag]*\?\??|w[NDLXP])"
_DOING = r"(?:gA*+(?:[NDLXJ]|Q|a?\?)?)"
_WHICH = rf"(?:(?:[BbcM]n?B?)?A*(?:C|a|v|s|{_PLACE}|{_DOING}|G[NDLX]?))"
_AFTER = rf"(?:,?A*(?:{_PLACE}(?:&[ND](?!A*[BbMckGgSfslH]))?|{_DOING}|R{_WHICH}|{_HOLE}|~))*+"
_JOIN = r"(?:,&?|&)"
_ITEM = rf"[Ah]*[NDLZX]{_AFTER}"
_LIST = rf"(?:{_ITEM}(?:{_JOIN}{_ITEM})*)"
_OR_NEITHER = rf"(?:{_LIST}|W{_ITEM.replace('D', '')}(?:{_JOIN}{_ITEM})+)"
_SOME = _LIST.replace("Z", "")
_LEAD = rf"(?:(?:{_PLACE}+|w[NDL]),?)?[Ah]*,?"
_TAIL = (
    rf"(?:,?[Ah]*(?:{_PLACE}|{_HOLE}|~|v))*(?:,?[Ah])*(?:,It)?"
    rf"(?:,[BbckidM]n?[TJIq])?(?:(?:,|{_JOIN}|\+)?[>K].*|,?R[^xnkbdOZW]*|{_JOIN}f.*)?(?::@(?:{_JOIN}@)*)?"
)
_BE = r"(?:[Bb]|Mn?B|[ck]B|(?:d|in)?lB)[Ahn]*+"
_BE_SO = r"(?:M?B|lB)[Ah]*+"
_IS = (
    rf"[Ah]*(?:C(?:&C)*+|{_PLACE}+|v|a|x|s"
    rf"|{_DOING}{_AFTER}(?:{_JOIN}[NDLX]{_AFTER})*){_HOLE}*"
)
_NOISE = r"(?:[NDLZ](?:s|E|e)?|E|z)"
_NOISES = rf"(?:[Ah]*{_NOISE}(?:{_JOIN}[Ah]*{_NOISE})*)"
_FORMS = {
    "there is a dog": rf"{_LEAD}T[Ahn]*{_BE}{_OR_NEITHER}{_TAIL}",
    "nowhere is there a dog": rf"x{_PLACE}*BT{_LIST}{_TAIL}",
    "nor is there a dog": rf"V(?:BT|[cki]I[Sf]){_LIST}{_TAIL}",
    "the picture shows a dog": (
        rf"{_LEAD}[IPJe]~?[Ahckidn]*[Sf](?:Pq?[o+])?[Ah]*{_OR_NEITHER}{_TAIL}"
    ),
    "the picture shows a street without dogs": rf"(?:[IPJ][Sf]|J{_BE})?P,?A*w{_LIST}{_TAIL}",
    "the man holds a cup": rf"{_LEAD}[ND]{_AFTER}[Ahc]*f{_SOME}{_TAIL}",
    "shows a dog": rf"\\${_LIST}{_TAIL}",
    "the picture is free of dogs": rf"{_LEAD}[PJ]{_AFTER}(?:{_BE}|l)?,?[Ah]*w{_LIST}{_TAIL}",
    "the street is lined with trees": rf"{_LEAD}P{_BE}[ga]\+{_LIST}{_TAIL}",
    "this is a picture of a dog": rf"(?:J{_BE})?P[q~]*(?:{_BE}q?)?[o+]{_LIST}{_TAIL}",
    "the dog is on the left": (rf"{_LEAD}n?{_LIST}{_BE}{_IS}(?:{_JOIN}(?:{_BE})?{_IS})*{_TAIL}"),
    "neither dogs nor cats are visible": rf"{_OR_NEITHER}{_BE}(?:g?[vq]){_TAIL}",
    "no dog to be seen": rf"Zv{_TAIL}",
    "the dog can be seen": rf"{_LEAD}{_OR_NEITHER}[ck]n?B?A*v{_AFTER}{_TAIL}",
    "the dog is bigger than the cat": rf"D{_AFTER}(?:{_BE}|l)K",
    "the dog looks old": rf"D{_AFTER}l[Ah]*(?:C(?:&C)*|a){_TAIL}",
    "a dog carries a ball": (
        rf"{_LEAD}{_LIST}A*GA*[NDX]?{_AFTER}{_TAIL}|D{_AFTER}GA*a?\?{_AFTER}{_TAIL}"
    ),
    "it is red": rf"{_LEAD}[Jj]{_BE}{_IS}(?:{_JOIN}{_IS})*{_TAIL}",
    "it stands there": rf"[Jj][Ah]*GA*{_AFTER}",
    "the animal is a dog": rf"{_LEAD}(?:[JX]{_AFTER}{_BE_SO}|D[BM]+h)[NL]{_AFTER}{_TAIL}",
    "none of the cups is red": rf"U{_AFTER}{_BE}{_IS}{_TAIL}",
    "none of the things is a dog": rf"[UO](?:{_PLACE}|v)*{_BE_SO}[NL]{_TAIL}",
    "I am unable to find a dog": rf"I(?:BA*)?!{_LIST}{_TAIL}",
    "a dog does not appear": rf"{_LIST}(?:d|in)l(?:{_PLACE}|A)*",
    "on the left is a dog": rf"{_PLACE}+,?(?:B|G)[Ah]*{_LIST}{_TAIL}",
    "I hear a dog": rf"{_LEAD}(?:[IJO]|Z)?[Ahckidn]*H{_NOISES}{_TAIL}",
    "there is rain falling": rf"{_LEAD}T[Ah]*{_BE}{_NOISES}{_TAIL}",
    "the sound is a siren": rf"e{_BE}{_NOISES}{_TAIL}",
    "a dog can be heard": rf"{_NOISES}(?:{_BE})[Ah]*Hs?{_TAIL}",
    "the clock makes it": r"[NDZL]A*m(?:e|J|E|Ns?|Ne)",
    "a dog barks": rf"{_LIST}(?:{_BE})?A*s{_TAIL}",
    "the colour of the dog is red": rf"F[NDL]{_BE}C(?:&C)*",
    'it says "Open"': rf"{_LEAD}[NDLXJPS]{_AFTER}(?:P?{_AFTER})[Ahidnck]*(?:R?Yh?R?:?|g|r?)Q[^&,]*",
    '"Open" is written there': rf"Q{_BE}g{_TAIL}",
    'the word "Open" stands there': rf"[XD]QGA*{_AFTER}",
    "there are none": rf"T{_BE}[O#]{_TAIL}",
    "I count five": rf"IS[A]*#{_TAIL}",
}
_FRAGMENT = re.compile(rf"(?:ItR?)?A*(?:{_LIST}|{_NOISES}|{_PLACE}+|C(?:&C)*|O|Q|#){_TAIL}")
"""A list, a place, a colour, a number: what short answers and captions consist of."""
_CLAUSE = "|".join(f"(?:{form})" for form in _FORMS.values())
_UNDERSTOOD = re.compile(rf"(?:It?uR?|(?:It|IBnu|Bnu|h|lR|Jl)R?,?)?(?:{_CLAUSE})")
_HOLES = re.compile(
    rf"~|[>K].*$|[,&]+f.*$|R(?!{_WHICH}).*$|(?<=Q)[^Q]+$|%{_REST}|(?<!P)(?<!Pq)(?<!PBg)(?<!PBa)[+o]{_REST}|r[Aag]*\?\??"
    r"|(?<=[NDLXZpqCGgav]),?w[NDLXP]"
)
_AT = frozenset({"in", "on", "at", "inside", "across", "along", "around", "by"})
_PICKS_OUT = re.compile(r"[NDLXZ]R|[NLZ],?w|[p+orgGaCK~%s>]")
"""Codes by which a negation may deny some of the things only: `no dog by the bus`."""
_FRAME = re.compile(r"P[q~]*(?:Bq?)?[o+]|,>.*")
_ANSWER = re.compile(r"y[,:]?")
_ECHO = re.compile(r"(?:[TJIBbkdicn,]|NO?|v)*")
"""`Yes, there is.`"""
_STARTS = re.compile(
    rf"[Ah]*(?:{_LEAD})?(?:[TIJjPUO]|[NDLZX]{_AFTER}|E|z|e|F)[Ahn]*[BbMckidSfHGlms]"
)
_VERB = re.compile(r"[BbMSfHGlmsYck]")


def clauses(text: Text) -> list[list[Clause]]:
    """The clauses of each sentence that are understood.

    What stands before a colon (`Not in the picture:`) also says how the list behind it, or in the
    lines below it, is meant.
    """
    found: list[list[Clause]] = []
    meant: bool | None = True
    for sentence in text.sentences:
        if not sentence.is_item:
            meant = True
        if sentence.is_question or sentence.is_heading or sentence.is_code:
            found.append([])
            continue
        row = chunks(text, sentence)
        while row and row[-1].code == ".":
            row.pop()
        if row and row[-1].code == ":":
            meant = _introduces(text, row[:-1])
            sentence.is_heading = meant is not None
            found.append([])
        elif sentence.is_item and meant is not True:
            found.append(_listed(row, denied=True) if meant is False else [])
        else:
            found.append(list(_sentence(text, row)))
    return found


def _introduces(text: Text, row: Sequence[Chunk]) -> bool | None:
    """Whether words before a colon say that what follows is there (True), is not there (False), or
    something else (None)."""
    said = [text.lower(i) for chunk in row for i in range(chunk.first, chunk.last)]
    denials = [word for word in said if word in w.DENYING]
    if not {*said} <= w.INTRODUCING | w.DENYING or len(denials) > 1:
        return None
    return not denials


def _listed(row: Sequence[Chunk], *, denied: bool) -> list[Clause]:
    """All of a row as one list."""
    codes = "".join(chunk.code for chunk in row)
    if not row or not re.fullmatch(_LIST, codes) or (denied and "Z" in codes):
        return []
    return [Clause(row[0].first, row[-1].last, denied)]


def _sentence(text: Text, row: Sequence[Chunk]) -> Iterator[Clause]:
    """The clauses of a sentence; a list without a verb counts only where all is understood, since
    what stands beside it (`a dog - not there`) may say how it is meant."""
    codes = "".join(chunk.code for chunk in row)
    found: list[tuple[Clause, bool]] = []
    start, whole = 0, True
    for end in [i for i, code in enumerate(codes) if code == "/"] + [len(codes)]:
        part = row[start:end]
        while part and part[-1].code == ",":
            part = part[:-1]
        while part and part[0].code == ",":
            part = part[1:]
        if part:
            clauses, complete = _segment(text, part)
            found += clauses
            whole &= complete
        start = end + 1
    if _takes_back(text, row):
        return
    yield from (clause for clause, fragment in found if whole or not fragment)


def _takes_back(text: Text, row: Sequence[Chunk]) -> bool:
    """Whether what is denied may come back: `there is no dog here, but there is one there`."""
    words = [text.lower(i) for i in range(row[0].first, row[-1].last)] if row else []
    joint = next((i for i, word in enumerate(words) if word in w.BOUNDARIES), len(words))
    denied = any(word in w.DENYING or word.endswith("n't") for word in words[:joint])
    if denied and words[-1] in w.NUMBERS and joint < len(words):
        return True
    return denied and not {"one", "ones", "some", "another"}.isdisjoint(words[joint:])


def _segment(text: Text, row: Sequence[Chunk]) -> tuple[list[tuple[Clause, bool]], bool]:
    """Clauses joined by `and` and commas, each with whether it has no verb, and whether all are
    understood; none is read after one that is not."""
    codes = "".join(chunk.code for chunk in row)
    found: list[tuple[Clause, bool]] = []
    colon = codes.find(":")
    if colon >= 0 and "Y" not in codes and codes[colon + 1 : colon + 2] != "@":
        meant = _introduces(text, row[:colon])
        if meant is None and not _turns(text, row[colon:]):
            said = codes[:colon]
            if _is_understood(said, False) and _is_of_kinds(text, row[:colon]):
                told = _counted_up(text, row, colon)
                return [(_clause(text, row[:colon], said), False), *told], bool(told)
        listed = [] if meant is None else _listed(row[colon + 1 :], denied=not meant)
        whole = [replace(each, first=row[0].first) for each in listed]
        return [(each, False) for each in whole], bool(listed)
    opener = _ANSWER.match(codes)
    if opener:
        found.append((Clause(row[0].first, row[0].last), False))
        row, codes = row[opener.end() :], codes[opener.end() :]
        if row and _ECHO.fullmatch(codes):
            return [*found, (Clause(row[0].first, row[-1].last), False)], True
    for start, end in _split(codes):
        part, said = row[start:end], codes[start:end]
        fragment = _FRAGMENT.fullmatch(said) is not None
        if not (_is_understood(said, fragment) and _is_of_kinds(text, part)):
            return found, False
        found.append((_clause(text, part, said), fragment))
    return found, True


def _counted_up(text: Text, row: Sequence[Chunk], colon: int) -> list[tuple[Clause, bool]]:
    """The list behind `there are two vehicles:`, whose things are of the kind named before it."""
    before = row[:colon]
    kind = singular(text.lower(before[-1].last - 1)) in lexicon.CLASSES
    codes = "".join(chunk.code for chunk in before)
    if not kind or re.search("[bkdnwxOUWV!ZMhlt]", codes):
        return []
    return [(clause, False) for clause in _listed(row[colon + 1 :], denied=False)]


def _turns(text: Text, row: Sequence[Chunk]) -> bool:
    """Whether what stands behind a colon may turn round what stands before it: `a dog: no`."""
    said = {text.lower(i) for i in range(row[0].first, row[-1].last)}
    return not said.isdisjoint(w.TURNING)


def _clause(text: Text, row: Sequence[Chunk], codes: str) -> Clause:
    denied = codes[0] == "x" or (codes[0] in "UO" and codes.rstrip("pqA")[-1] in "NL")
    holes = [(row[m.start()].first, row[m.end() - 1].last) for m in _HOLES.finditer(codes)]
    deep = any(
        not w.DEPTHS.isdisjoint(text.lower(i) for i in range(chunk.first, chunk.last))
        for chunk in row
        if chunk.code == "q"
    )
    bare = not deep and _PICKS_OUT.search(_FRAME.sub("", codes)) is None
    return Clause(row[0].first, row[-1].last, denied, tuple(holes), bare)


def _is_of_kinds(text: Text, row: Sequence[Chunk]) -> bool:
    """Whether what is said to be a dog, or none of which is one, is a whole kind of things (`the
    animal is a dog`, but not `the question is a dog`), and `not` at the start denies `all`."""
    codes = "".join(chunk.code for chunk in row)
    if codes[0] == "n":
        return text.lower(row[0].last) in w.EVERY
    if re.fullmatch(rf"{_LEAD}[ND]{_AFTER}[Ahc]*f.*", codes):  # what a cup has may be painted on it
        holder = next(chunk for chunk in row if chunk.code in "ND")
        named = name_at(text, holder.last - 1, holder.last)
        return named is not None and named[1].category == "person"
    if codes[0] == "U" and text.lower(row[0].last - 1) in lexicon.POINTERS:
        return codes.rstrip("pqA")[-1] in "NL"  # none of them is red
    if _is_elsewhere(text, row) or _is_general(text, row):
        return False
    if re.fullmatch(r".*L[A]*s", codes) and not text.lower(row[-1].first).endswith("ing"):
        return False  # dogs bark
    if not re.match(rf"[XU].*{_BE}[NL]", codes):
        return True
    return text.lower(row[0].last - 1) in lexicon.CLASSES | lexicon.POINTERS


def _is_elsewhere(text: Text, row: Sequence[Chunk]) -> bool:
    """Whether a clause begins with a place that need not be in the picture: `at the zoo`."""
    first, last = row[0].first, row[len(row) > 1 and row[0].code == "r"].last
    if row[0].code not in "pr" or text.lower(first) not in _AT:
        return False
    words = [text.lower(i) for i in range(first, last)]
    if not w.MANY.isdisjoint(words):
        return True
    named = (name_at(text, i, last) for i in range(first + 1, last))
    known = any(found is not None and found[0] == last for found in named)
    return not known and singular(words[-1]) not in lexicon.PARTS


def _is_general(text: Text, row: Sequence[Chunk]) -> bool:
    """Whether a verb in the simple present has no place and no object with an article, so that it
    may be said of all such things: `the dog eats meat`, `a bear sleeps through winter`."""
    codes = "".join(chunk.code for chunk in row)
    verb = codes.find("G")
    if verb <= 0 or text.lower(row[verb].first) in w.POSTURES or re.fullmatch("DA*GA*", codes):
        return False  # the dog sleeps
    return re.search(r"[NDXpQ]", codes[verb:]) is None


def _split(codes: str) -> Iterator[tuple[int, int]]:
    """Where clauses begin and end: at a comma or `and` behind a verb and before a subject with
    its verb."""
    start, verb, at = 0, False, 0
    while at < len(codes):
        after = at
        while after < len(codes) and codes[after] in ",&":
            after += 1
        begins = after > at and _STARTS.match(codes, after) is not None
        if verb and (begins or codes[after : after + 1] == "V"):
            yield start, at
            start, verb = after, False
        at = max(after, at + 1)
        verb = verb or _VERB.match(codes[at - 1]) is not None
    if start < len(codes):
        yield start, len(codes)


def _is_understood(codes: str, fragment: bool) -> bool:
    """One form, one negation at most but for `not missing`, and no list of tints, of which nobody
    knows how they are shared."""
    if re.search("C,&?C", codes):
        return False
    negations = [code for code in _HOLES.sub("", codes) if code in "bkdnwxOUWV!"]
    if len(negations) > 1 and "".join(negations) not in ("nx", "bx"):
        return False
    if negations and "Z" in codes:
        return False
    return fragment or _UNDERSTOOD.fullmatch(codes) is not None
