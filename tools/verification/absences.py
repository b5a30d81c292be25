"""What becomes of a sentence about a thing that is not there, or that is there although denied.

- A thing that is not there leaves its list: "two cups and a giraffe" -> "two cups".
- Any other sentence about it says instead what is there and what not: "I see a giraffe." -> "There
  is no giraffe.", "The dog is left of it." -> "There is a dog." What says nothing new goes.
- A denied thing that is there: "no dog" -> "a dog", "I don't see a dog" -> "I see a dog".
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nuthatch.tools.verification import grammar
from nuthatch.tools.verification import words as w
from nuthatch.tools.verification.claims import Reading
from nuthatch.tools.verification.grammar import Change, agreement, replace, undeny
from nuthatch.tools.verification.reading import Mention, Sentence, Text
from nuthatch.tools.verification.types import Verdict
from nuthatch.tools.vocabulary import singular

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

    @property
    def text(self) -> Text:
        return self.reading.text

    def _about(self, mention: Mention | None) -> list[Verdict]:
        anchors = self.reading.anchors
        return [v for v in self.verdicts if anchors[v.claim.id].mention == mention]

    def _existing(self, polarity: bool) -> dict[Mention, Verdict]:
        """Phrases by which the sentence says first that a thing is there, or that it is not."""
        found = {}
        for verdict in self.verdicts:
            claim, mention = verdict.claim, self.reading.anchors[verdict.claim.id].mention
            if claim.kind == "existence" and claim.polarity is polarity and mention:
                found[mention] = verdict
        return found

    # -- denied, but there ------------------------------------------------------------------------

    def affirmed(self) -> list[Attributed]:
        denied = self._existing(False)
        chains: list[list[Mention]] = []  # `no cups, plates or knives`: what one denial covers
        for before, mention in pairwise([None, *self.sentence.mentions]):
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
        change = replace(text, first, chain[-1].last, said)
        return [change, *agreement(text, first - 1, many[0])]

    def _not_denied(self, chain: Sequence[Mention]) -> list[Change]:
        """`I do not see any dog` -> `I see a dog`, where that denies nothing else."""
        text, mention = self.text, chain[0]
        places = [*range(mention.first - 1, self.sentence.first - 1, -1)]
        places += range(mention.last, min(mention.last + 4, self.sentence.last))
        change = next((change for at in places if (change := undeny(text, at))), None)
        if change is None or len(chain) > 1:
            return []
        if mention.determiner != "any":
            return [change]
        article = grammar.article_for(text.lower(mention.first + 1))
        some = "some" if mention.plural else article
        return [change, replace(text, mention.first, mention.first + 1, some)]

    # -- said to be there, but absent -------------------------------------------------------------

    def without_absent(self) -> list[Attributed]:
        absent = {v.claim.subject: v for v in self.wrong.values() if v.claim.polarity}
        named = [m for m in self.sentence.mentions if m.name in absent and not m.denied]
        ghosts = {mention: absent[mention.name] for mention in named if self._asserts(mention)}
        start = self.text.tokens[self.sentence.first].start
        # `It is red.`: what is said without its name; short answers are turned where they stand.
        orphans = [
            self.wrong[parent]
            for v in self._about(None)
            if v.rule == "parent.refuted" and not v.claim.hedged and v.claim.span[0] != start
            for parent in v.claim.depends_on
            if parent in self.wrong
        ]
        if not ghosts and not orphans:
            return []
        because = [*ghosts.values(), *orphans][0]
        items = next((each for each in self._lists() if ghosts.keys() <= set(each)), [])
        if orphans or not set(items) - ghosts.keys():
            return [(because, self._told_anew(ghosts))]
        return [(because, change) for change in self._shortened(items, ghosts)]

    def _asserts(self, mention: Mention) -> bool:
        """Whether the phrase says that the thing is there: not hedged, denied, or only heard."""
        about = [verdict.claim for verdict in self._about(mention)]
        heard = bool(about) and all(claim.kind == "sound" for claim in about)
        return not heard and not any(claim.hedged or not claim.polarity for claim in about)

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

    def _shortened(
        self, items: Sequence[Mention], ghosts: Mapping[Mention, Verdict]
    ) -> list[Change]:
        kept = [item for item in items if item not in ghosts]
        text, changes, ends = self.text, [], self._ends(items)
        starts = {item: text.tokens[item.first].start for item in items}
        if kept[0] != items[0]:
            changes.append(Change("delete", (starts[items[0]], starts[kept[0]]), ""))
            if items[0].first == self.sentence.first:  # the next thing begins the sentence now
                capital = text.source[starts[kept[0]]].upper()
                span = starts[items[0]], starts[kept[0]] + 1
                changes = [Change("replace", span, capital)]
        final = text.source[ends[items[-2]] : starts[items[-1]]]
        for before, after in pairwise(kept):
            joint = ", "
            if after == kept[-1] and final != joint:  # ", and " of three is " and " of two
                joint = final.removeprefix(",") if len(kept) == 2 else final
            if text.source[ends[before] : starts[after]] != joint:
                changes.append(Change("replace", (ends[before], starts[after]), joint))
        if kept[-1] != items[-1]:
            changes.append(Change("delete", (ends[kept[-1]], ends[items[-1]]), ""))
        verb = self._before(items[0])
        if len(kept) == 1 or text.lower(verb) == "is":
            changes += agreement(text, verb, kept[0].plural)
        return changes

    def _ends(self, items: Sequence[Mention]) -> dict[Mention, int]:
        """Where each thing of a list ends in the text, with what is said of its place."""
        text, ends = self.text, {}
        for item, following in pairwise(items):
            at = following.first - 1
            while text.lower(at - 1) in (",", "and", "or"):
                at -= 1
            ends[item] = text.tokens[at - 1].end
        places = [v.claim.span[1] for v in self._about(items[-1]) if v.claim.kind == "relation"]
        ends[items[-1]] = max([text.tokens[items[-1].last - 1].end, *places])
        return ends

    def _told_anew(self, ghosts: Mapping[Mention, Verdict]) -> Change:
        text, first, last = self.text, self.sentence.first, self.sentence.last
        told = {m: v for m, v in self._existing(True).items() if not v.claim.hedged}
        left = [mention for mention in told if mention not in ghosts]
        gone = [mention for mention in told if mention in ghosts]
        start, end = text.span(first, last)
        if not told:  # what separates it from its neighbours goes with it
            if first:
                start = text.tokens[first - 1].end
            elif last < len(text.tokens):
                end = text.tokens[last].start
            return Change("delete", (start, end), "")
        said = [grammar.listed([self._introduced(mention) for mention in left])] if left else []
        if gone:
            said.append(f"no {grammar.listed([text.slice(*m.noun) for m in gone], 'or')}")
        new = f"there {grammar.be_for((left or gone)[0].plural)} {' but '.join(said)}"
        if text.tokens[last - 1].text in (".", "!", ";"):
            end = text.tokens[last - 1].start
        if text.lower(first) in w.YES | w.NO and text.lower(first + 1) == ",":
            start = text.tokens[first + 2].start
        return Change("replace", (start, end), grammar.like(text.source[start], new))

    def _introduced(self, mention: Mention) -> str:
        """The phrase as it would be said for the first time."""
        if mention.determiner not in w.DEFINITE | w.EVERY | w.NONE | w.MOST:
            words = self.text.slice(mention.first, mention.last)
            return words[:1].lower() + words[1:]
        start = min((mention.noun[0], *mention.colours))
        return grammar.indefinite(self.text.slice(start, mention.last), mention.plural)
