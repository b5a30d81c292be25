"""What becomes of the words for a thing that is not there, or that is there although denied.

- A thing that is not there leaves its list: "two cups and a giraffe" -> "two cups".
- Where nothing is left it is denied: "I see a giraffe." -> "I see no giraffe."
- A denied thing that is there: "no dog" -> "a dog", "I don't see a dog" -> "I see a dog".

Any other sentence about it stays as it is: to tell it anew could lose or invent claims.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from nuthatch.tools.verification.editing import inflection as grammar
from nuthatch.tools.verification.editing.inflection import Change, agreement, replace, undeny
from nuthatch.tools.verification.extraction import words as w
from nuthatch.tools.verification.extraction.claims import Reading
from nuthatch.tools.verification.extraction.noun_phrases import SIGN
from nuthatch.tools.verification.extraction.places import places
from nuthatch.tools.verification.extraction.scopes import is_negation
from nuthatch.tools.verification.extraction.text import MARKUP, Mention, Sentence, Text
from nuthatch.tools.verification.types import Verdict
from nuthatch.tools.vocabulary import singular

_ONLY_DENIED = w.words_of("anywhere any anything either yet only just but")
"""Words behind a denial that need one."""
Attributed = tuple[Verdict, Change]
"""A change and the refuted claim that it rests on."""


def rewrite_existence(
    reading: Reading, verdicts: Sequence[Verdict], sure: Sequence[Verdict]
) -> list[Attributed]:
    """Changes for things that are surely not there, or surely there although denied.

    `sure` are those of the verdicts by which a claim is surely false.
    """
    wrong = {v.claim.id: v for v in sure if v.claim.kind == "existence"}
    told: dict[int, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        told[reading.anchors[verdict.claim.id].sentence].append(verdict)
    changes: list[Attributed] = []
    for number, sentence in enumerate(reading.text.sentences):
        if wrong and not sentence.is_question:
            each = _Told(reading, sentence, told[number], wrong)
            changes += [*each.affirmed(), *each.without_absent()]
    return changes


@dataclass(slots=True)
class _Told:
    """One sentence, the verdicts on it, and those on existence anywhere that are surely wrong."""

    reading: Reading
    sentence: Sentence
    verdicts: Sequence[Verdict]
    wrong: Mapping[str, Verdict]
    places: dict[int, int] = field(init=False)
    """First token of each place -> its end."""

    def __post_init__(self) -> None:
        self.places = {place.first: place.last for place in places(self.text, self.sentence)}

    @property
    def text(self) -> Text:
        return self.reading.text

    def _about(self, mention: Mention | None) -> list[Verdict]:
        anchors = self.reading.anchors
        return [v for v in self.verdicts if anchors[v.claim.id].mention == mention]

    def _denied(self) -> dict[Mention, Verdict]:
        """Phrases by which the sentence says first that a thing is not there."""
        found = {}
        for verdict in self.verdicts:
            claim, mention = verdict.claim, self.reading.anchors[verdict.claim.id].mention
            if claim.kind == "existence" and not claim.polarity and mention:
                found[mention] = verdict
        return found

    # -- denied, but there ------------------------------------------------------------------------

    def affirmed(self) -> list[Attributed]:
        denied = self._denied()
        chains: list[list[Mention]] = []  # `no cups, plates or knives`: what one denial covers
        lists = [clause for clause in self.sentence.clauses if clause.denied]
        mentions = [
            m for m in self.sentence.mentions if not any(c.holds(m.first, m.last) for c in lists)
        ]
        for before, mention in pairwise([None, *mentions]):
            if mention in denied and before in denied and not mention.denied:
                chains[-1].append(mention)
            elif mention in denied:
                chains.append([mention])
        changes: list[Attributed] = []
        for chain in chains:
            there = {m: denied[m] for m in chain if denied[m].claim.id in self.wrong}
            for because in list(there.values())[:1]:
                made = self._some(chain, there) if chain[0].denied else self._not_denied(chain)
                changes += [(because, change) for change in made]
        return changes

    def _some(self, chain: Sequence[Mention], there: Mapping[Mention, Verdict]) -> list[Change]:
        """`no dog or zebra` -> `a dog but no zebra`"""
        text, first = self.text, chain[0].first
        yes, many = [], []
        for mention, verdict in there.items():
            noun = text.slice(*mention.noun)
            noun = "person" if noun.lower() in ("nobody", "no one") else noun
            many.append(mention.plural and verdict.correction != "1")
            yes.append(grammar.indefinite(noun if many[-1] else singular(noun), many[-1]))
        no = [text.slice(*mention.noun) for mention in chain if mention not in there]
        said = grammar.listed(yes) + (f" but no {grammar.listed(no, 'or')}" if no else "")
        end = chain[-1].last
        after = {text.lower(i) for i in range(end, self.sentence.last)}
        if text.lower(first) in w.ARTICLES or after & _ONLY_DENIED:
            return []
        if any(text.lower(i) in MARKUP for i in range(first, end)):  # **no** cups
            if len(chain) > 1 or text.lower(first) != "no" or many[0] != chain[0].plural:
                return []
            article = grammar.article_for(text.lower(chain[0].noun[0]))
            end, said = first + 1, "some" if many[0] else article
        change = replace(text, first, end, said)
        end = chain[-1].last
        verb = end if text.lower(end) in ("is", "are") else first - 1
        return [change, *agreement(text, verb, many[0] or len(yes) > 1)]

    def _not_denied(self, chain: Sequence[Mention]) -> list[Change]:
        """`I do not see any dog` -> `I see a dog`, where that denies nothing else."""
        text, mention = self.text, chain[0]
        places = [*range(mention.first - 1, self.sentence.first - 1, -1)]
        places += range(mention.last, min(mention.last + 4, self.sentence.last))
        change = next((change for at in places if (change := undeny(text, at))), None)
        if change is None or len(chain) > 1 or mention.determiner == SIGN:
            return []
        if mention.determiner != "any":
            return [change]
        article = grammar.article_for(text.lower(mention.first + 1))
        some = "some" if mention.plural else article
        return [change, replace(text, mention.first, mention.first + 1, some)]

    # -- said to be there, but absent -------------------------------------------------------------

    def without_absent(self) -> list[Attributed]:
        absent = {v.claim.subject: v for v in self.wrong.values() if v.claim.polarity}
        changes: list[Attributed] = []
        for items in self._lists():
            ghosts = [m for m in items if m.name in absent and self._asserts(m)]
            if ghosts and len(ghosts) < len(items):
                made = self._shortened(items, ghosts)
                changes += [(absent[ghosts[0].name], change) for change in made]
            elif ghosts and self._ends_with(items) and not self._answers(absent[items[0].name]):
                changes += [(absent[m.name], self._none(m)) for m in items]
                changes += [(absent[items[0].name], each) for each in self._linked(items)]
        return changes

    def _answers(self, verdict: Verdict) -> bool:
        """Whether a "yes" or "no" before it would stay."""
        opener = self.text.lower(self.sentence.first) in w.YES | w.NO
        return opener and self.reading.anchors[verdict.claim.id].opener is None

    def _asserts(self, mention: Mention) -> bool:
        """Whether the phrase says that the thing is there: not hedged, denied, or only heard."""
        about = [verdict.claim for verdict in self._about(mention)]
        heard = bool(about) and all(claim.kind == "sound" for claim in about)
        unsure = any(claim.hedged or not claim.polarity for claim in about)
        return not (mention.denied or heard or unsure)

    def _lists(self) -> list[list[Mention]]:
        """Things after "there is", "I see", or alone in a sentence."""
        lists: list[list[Mention]] = []
        going, last = False, self.sentence.first
        for mention in self.sentence.mentions:
            between = [self.text.lower(i) for i in range(last, mention.first)]
            going = going and not set(between) & (w.BE | w.SHOWS | w.BOUNDARIES | {"there"})
            if not going and self._opens(mention):
                lists.append([mention])
                going = True
            elif going and between and between[-1] in ("and", ",", "or"):
                lists[-1].append(mention)
            last = mention.last
        return lists

    def _opens(self, mention: Mention) -> bool:
        text, first, at = self.text, self.sentence.first, self._before(mention)
        word = text.lower(at)
        if at < first or (word in (",", ":") and at <= first + 1):
            verbs = w.BE | w.SHOWS | w.POSTURES | w.LOOK_LIKE
            return not any(text.lower(i) in verbs for i in range(mention.last, self.sentence.last))
        if word in w.BE:
            return "there" in (text.lower(at - 1), text.lower(at - 2))
        return word in w.SHOWS or (word == "of" and text.lower(at - 1) in w.PICTURE)

    def _before(self, mention: Mention) -> int:
        """Where a verb before the first thing of a list would stand."""
        at = mention.first - 1
        while self.text.lower(at) in w.ADVERBS | {"about"}:
            at -= 1
        return at

    def _shortened(self, items: Sequence[Mention], ghosts: Sequence[Mention]) -> list[Change]:
        """The list without some of its things and what is said of their places."""
        kept = [item for item in items if item not in ghosts]
        text, changes, ends = self.text, [], self._ends(items)
        starts = {item: text.tokens[item.first].start for item in items}
        verb = self._before(items[0])
        cut_at_end = kept[-1] != items[-1] or text.lower(verb) not in w.BE | w.SHOWS | {"of"}
        if not ends or (cut_at_end and not self._ends_with(items)):
            return []
        if kept[0] != items[0]:
            start, end = starts[items[0]], starts[kept[0]]
            changes.append(Change("delete", (start, end), ""))
            if text.source[start].isupper() and text.source[end].islower():
                changes = [Change("replace", (start, end + 1), text.source[end].upper())]
        final = text.source[ends[items[-2]] : starts[items[-1]]]
        for before, after in pairwise(kept):
            joint = ", "
            if after == kept[-1] and final != joint:  # ", and " of three is " and " of two
                joint = final.removeprefix(",") if len(kept) == 2 else final
            if text.source[ends[before] : starts[after]] != joint:
                changes.append(Change("replace", (ends[before], starts[after]), joint))
        if kept[-1] != items[-1]:
            changes.append(Change("delete", (ends[kept[-1]], ends[items[-1]]), ""))
        if len(kept) == 1 or text.lower(verb) == "is":
            changes += agreement(text, verb, kept[0].plural)
        return changes

    def _none(self, mention: Mention) -> Change:
        """`a red giraffe on the left` -> `no giraffe`"""
        text, end = self.text, self._after(mention)
        if any(text.lower(i) in MARKUP for i in range(mention.first, mention.noun[0])):
            last = mention.number[1] if mention.number else mention.first + 1
            return replace(text, mention.first, last, "no")  # a **red giraffe**
        return replace(text, mention.first, end, f"no {text.slice(*mention.noun)}")

    def _linked(self, items: Sequence[Mention]) -> list[Change]:
        """What goes with `no giraffe`: `a picture with`, and no `or` between two of them."""
        text, verb = self.text, self._before(items[0])
        changes = [replace(text, verb, verb + 1, "with")] if text.lower(verb) == "of" else []
        either = [m.first - 1 for m in items[1:] if text.lower(m.first - 1) == "or"]
        return [*changes, *(replace(text, at, at + 1, "and") for at in either)]

    def _ends(self, items: Sequence[Mention]) -> dict[Mention, int]:
        """Where each thing of a list ends in the text, with what is said of its place; nothing if
        more than places is said of one."""
        for item, following in pairwise(items):
            joint = {self.text.lower(at) for at in range(self._after(item), following.first)}
            if not joint <= {"and", "or", ","}:
                return {}
        return {item: self.text.tokens[self._after(item) - 1].end for item in items}

    def _after(self, item: Mention) -> int:
        """The token behind a thing and its places."""
        at = item.last
        while at in self.places:
            at = self.places[at]
        return at

    def _ends_with(self, items: Sequence[Mention]) -> bool:
        """Whether nothing but where it was seen is said behind a list."""
        text, at = self.text, self._after(items[-1])
        picture = text.lower(at) == "in" and text.lower(at + 2) in w.PICTURE
        word = text.lower(at) if at < self.sentence.last else ""
        if any(is_negation(text.lower(i)) for i in range(at, self.sentence.last)):
            return False  # a cat, but not a dog
        return picture or not word[:1].isalnum() or word in w.BOUNDARIES | {"here", "there"}
