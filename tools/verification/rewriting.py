"""What becomes of a sentence when a thing in it is not there.

Lists lose the thing ("two cups and a giraffe" -> "two cups"); a list with nothing left says so
("There is no giraffe."); any other sentence about it is told anew from what is left of it. Later
sentences about it go.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nuthatch.tools.verification import grammar
from nuthatch.tools.verification import words as w
from nuthatch.tools.verification.claims import Reading
from nuthatch.tools.verification.denials import Attributed, Change, affirm
from nuthatch.tools.verification.reading import Mention, Sentence, Text
from nuthatch.tools.verification.types import Verdict


@dataclass(frozen=True, slots=True)
class _Item:
    """One thing of a list: its mention, and the tokens up to what separates it from the next."""

    mention: Mention
    last: int


def rewrite_existence(
    reading: Reading, verdicts: Sequence[Verdict], sure: Sequence[Verdict]
) -> list[Attributed]:
    """Changes for things that are surely not there, or surely there although denied."""
    absent = {v.claim.subject: v for v in sure if v.claim.kind == "existence" and v.claim.polarity}
    wrong = {verdict.claim.id for verdict in sure}
    told: dict[int, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        told[reading.anchors[verdict.claim.id].sentence].append(verdict)
    changes: list[Attributed] = []
    for number, sentence in enumerate(reading.text.sentences):
        if told[number]:
            changes += affirm(reading, sentence, told[number], wrong)
        named = any(mention.name in absent for mention in sentence.mentions)
        if (told[number] or named) and not sentence.is_question:
            changes += _Absences(reading, told[number], sentence, absent).changes()
    return changes


@dataclass(slots=True)
class _Absences:
    """One sentence, and what is known of the things in it."""

    reading: Reading
    verdicts: Sequence[Verdict]
    sentence: Sentence
    absent: dict[str, Verdict]

    @property
    def text(self) -> Text:
        return self.reading.text

    def changes(self) -> list[Attributed]:
        spoken = {
            self.reading.anchors[v.claim.id].mention
            for v in self.verdicts
            if not (v.claim.kind == "existence" and not v.claim.polarity)
        }
        ghosts = [
            mention
            for mention in self.sentence.mentions
            if mention.name in self.absent
            and not mention.denied
            and (mention in spoken or self.absent[mention.name].claim.polarity)
            and not self._hedged_or_heard(mention)
        ]
        orphans = [v for v in self.verdicts if v.rule == "parent.refuted" and not v.claim.hedged]
        orphans = [v for v in orphans if v.claim.subject.split()[-1] in " ".join(self.absent)]
        if not ghosts:
            bare = [v for v in orphans if self.reading.anchors[v.claim.id].mention is None]
            if bare and bare[0].claim.span[0] != self.text.tokens[self.sentence.first].start:
                return [(bare[0], self._without_sentence())]
            return []
        items = self._list_with(ghosts)
        if items is not None:
            return self._shorten(items, ghosts)
        return [(self.absent[ghosts[0].name], self._told_anew(ghosts))]

    def _hedged_or_heard(self, mention: Mention) -> bool:
        """Whether the mention says something else than that the thing is there."""
        about = [
            v.claim for v in self.verdicts if self.reading.anchors[v.claim.id].mention is mention
        ]
        return any(claim.hedged or not claim.polarity for claim in about) or (
            bool(about) and all(claim.kind == "sound" for claim in about)
        )

    def _list_with(self, ghosts: Sequence[Mention]) -> list[_Item] | None:
        """The list that holds all the ghosts as its things, if there is one."""
        for items in self._lists():
            if {id(ghost) for ghost in ghosts} <= {id(item.mention) for item in items}:
                return items
        return None

    def _lists(self) -> Iterator[list[_Item]]:
        """Things after "there is", "I see", or alone in a sentence."""
        mentions = self.sentence.mentions
        index = 0
        while index < len(mentions):
            if not self._opens(mentions[index]):
                index += 1
                continue
            starts = [index]
            for later in range(index + 1, len(mentions)):
                between = range(mentions[later - 1].last, mentions[later].first)
                words = [self.text.lower(i) for i in between]
                if set(words) & (w.BE | w.SHOWS | w.BOUNDARIES | {"there"}):
                    break
                if words and words[-1] in ("and", ",", "or"):
                    starts.append(later)
            ends = [self._separator(mentions[start].first) for start in starts[1:]]
            final = mentions[starts[-1]]
            yield [
                _Item(mentions[start], end)
                for start, end in zip(starts, [*ends, self._end(final)], strict=True)
            ]
            index = starts[-1] + 1

    def _opens(self, mention: Mention) -> bool:
        at = mention.first - 1
        while at >= self.sentence.first and self.text.lower(at) in w.ADVERBS | {"about"}:
            at -= 1
        if at < self.sentence.first or (
            self.text.lower(at) in (",", ":") and at <= self.sentence.first + 1
        ):
            return not any(
                self.text.lower(i) in w.BE | w.SHOWS | w.POSTURES | w.LOOK_LIKE
                for i in range(mention.last, self.sentence.last)
            )
        word = self.text.lower(at)
        if word in w.BE:
            return self.text.lower(at - 1) == "there" or self.text.lower(at - 2) == "there"
        return word in w.SHOWS or (word == "of" and self.text.lower(at - 1) in w.PICTURE)

    def _separator(self, first: int) -> int:
        """The token where what separates two things begins."""
        at = first - 1
        while self.text.lower(at - 1) in (",", "and", "or"):
            at -= 1
        return at

    def _end(self, mention: Mention) -> int:
        """Where the last thing ends: with what is said of its place."""
        ends = [mention.last]
        for verdict in self.verdicts:
            anchor = self.reading.anchors[verdict.claim.id]
            if verdict.claim.kind == "relation" and anchor.mention is mention:
                ends += [
                    i + 1
                    for i in range(anchor.words[1] - 1, self.sentence.last)
                    if self.text.tokens[i].end == verdict.claim.span[1]
                ]
        return max(ends)

    def _shorten(self, items: list[_Item], ghosts: Sequence[Mention]) -> list[Attributed]:
        gone = {id(ghost) for ghost in ghosts}
        kept = [item for item in items if id(item.mention) not in gone]
        verdict = self.absent[ghosts[0].name]
        if not kept or any(self._new_inside(item) for item in items if item not in kept):
            return (
                self._emptied(items, ghosts) if not kept else [(verdict, self._told_anew(ghosts))]
            )
        text = self.text
        changes: list[Attributed] = []
        first, last = items[0].mention.first, items[-1].last
        if kept[0] is not items[0]:
            span = (text.tokens[first].start, text.tokens[kept[0].mention.first].start)
            new = ""
            if first == self.sentence.first:  # the next thing begins the sentence now
                word = text.tokens[kept[0].mention.first].text
                span, new = (span[0], span[1] + 1), word[:1].upper()
            changes.append((verdict, Change("replace" if new else "delete", span, new)))
        for before, after in pairwise(kept):
            gap = text.tokens[before.last - 1].end, text.tokens[after.mention.first].start
            joint = self._joint(items, kept, after)
            if text.source[gap[0] : gap[1]] != joint:
                changes.append((verdict, Change("replace", gap, joint)))
        if kept[-1] is not items[-1]:
            span = (text.tokens[kept[-1].last - 1].end, text.tokens[last - 1].end)
            changes.append((verdict, Change("delete", span, "")))
        return changes + self._agreement(items, kept, verdict)

    def _new_inside(self, item: _Item) -> bool:
        """Whether a thing of the list says first of another thing that it is there."""
        return any(
            v.claim.kind == "existence"
            and v.verdict != "refuted"
            and (mention := self.reading.anchors[v.claim.id].mention) is not None
            and item.mention.last <= mention.first < item.last
            for v in self.verdicts
        )

    def _joint(self, items: list[_Item], kept: list[_Item], after: _Item) -> str:
        """What stands between two things that are left."""
        original = self._gap(items, items.index(after))
        if after is not kept[-1]:
            return ", "
        final = self._gap(items, len(items) - 1)
        if len(kept) == 2 and final.startswith(","):
            return final[1:] if final.strip(" ,") else final
        return final if "and" in final or "or" in final else original

    def _gap(self, items: list[_Item], index: int) -> str:
        start = self.text.tokens[items[index - 1].last - 1].end
        return self.text.source[start : self.text.tokens[items[index].mention.first].start]

    def _verb(self, items: list[_Item]) -> int | None:
        at = items[0].mention.first - 1
        while self.text.lower(at) in w.ADVERBS:
            at -= 1
        if self.text.lower(at) in ("is", "are") and self.text.lower(at - 1) == "there":
            return at
        return None

    def _agreement(
        self, items: list[_Item], kept: list[_Item], verdict: Verdict
    ) -> list[Attributed]:
        """`There are two giraffes and a cup` -> `There is a cup`"""
        at = self._verb(items)
        if at is None:
            return []
        many = kept[0].mention.plural
        was = self.text.lower(at)
        if was == grammar.be_for(many) or (was == "are" and len(kept) > 1):
            return []
        verb = Change("replace", self.text.span(at, at + 1), grammar.be_for(many))
        return [(verdict, verb)]

    def _emptied(self, items: list[_Item], ghosts: Sequence[Mention]) -> list[Attributed]:
        """`There is a giraffe` -> `There is no giraffe`"""
        text, verdict = self.text, self.absent[ghosts[0].name]
        if text.lower(items[0].mention.first - 1) == "of" or self._first_told_elsewhere(ghosts):
            return [(verdict, self._told_anew(ghosts))]
        nouns = [text.slice(*item.mention.noun) for item in items]
        new = f"no {grammar.listed(nouns, 'or')}"
        old = text.tokens[items[0].mention.first].text
        start = text.tokens[items[0].mention.first].start
        end = text.tokens[max(item.mention.last for item in items) - 1].end
        changes = [(verdict, Change("replace", (start, end), grammar.like(old, new)))]
        return changes + self._agreement(items, items, verdict)

    def _first_told_elsewhere(self, ghosts: Sequence[Mention]) -> bool:
        return all(
            self.reading.anchors[self.absent[ghost.name].claim.id].mention is not ghost
            for ghost in ghosts
        )

    def _told_anew(self, ghosts: Sequence[Mention]) -> Change:
        """The whole sentence from what is left of it."""
        text = self.text
        gone = [
            g for g in ghosts if self.reading.anchors[self.absent[g.name].claim.id].mention is g
        ]
        left = [
            mention
            for mention in self.sentence.mentions
            if mention.name not in self.absent
            and not mention.denied
            and any(
                v.claim.kind == "existence"
                and v.claim.polarity
                and self.reading.anchors[v.claim.id].mention is mention
                for v in self.verdicts
            )
        ]
        if not gone and not left:
            return self._without_sentence()
        things = [self._introduced(mention) for mention in left]
        nothing = f"no {grammar.listed([text.slice(*ghost.noun) for ghost in gone], 'or')}"
        many = (left or gone)[0].plural
        said = grammar.listed(things) if things else nothing
        if things and gone:
            said = f"{said} but {nothing}"
        first = self.sentence.first
        opener = text.lower(first) in w.YES | w.NO and text.lower(first + 1) == ","
        start = text.tokens[first + 2 if opener else first].start
        last = self.sentence.last - 1
        ended = text.tokens[last].text in (".", "!", ";")
        end = text.tokens[last].start if ended else text.tokens[last].end
        new = f"there {grammar.be_for(many)} {said}"
        return Change("replace", (start, end), new if opener else grammar.like("T", new))

    def _introduced(self, mention: Mention) -> str:
        """The phrase as it would be said for the first time."""
        text = self.text
        if not mention.definite or mention.value:
            words = text.slice(mention.first, mention.last)
            return words[:1].lower() + words[1:]
        rest = text.slice(mention.first + 1, mention.last)
        if mention.colours:
            return f"{grammar.article_for(rest)} {rest}" if not mention.plural else f"some {rest}"
        return grammar.indefinite(rest, mention.plural)

    def _without_sentence(self) -> Change:
        text = self.text
        start = text.tokens[self.sentence.first - 1].end if self.sentence.first else 0
        end = text.tokens[self.sentence.last - 1].end
        if not start and self.sentence.last < len(text.tokens):
            end = text.tokens[self.sentence.last].start
        return Change("delete", (start, end), "")
