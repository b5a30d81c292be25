"""Chat formats of published systems: messages become text and media for `layout.lay_out`.

A format is a handful of strings; `presets` hold those of the systems. Only the format's own strings
are searched for the mark of a medium and for special tokens, never what is said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from nuthatch.mllm.layout import Medium, Quirk, Segment, Text

Kind = Literal["image", "video", "audio"]
Message = Mapping[str, Any]
KINDS: tuple[Kind, ...] = ("image", "video", "audio")
MARK = "<>"
"""Where a medium stands in `ChatFormat.media`."""


@dataclass(frozen=True)
class ChatFormat:
    """How a talk is written down.

    A talk is `begin`, then of each message what opens its role, its content, and what closes it.
    Of the assistant's messages the content and what closes it are learned, and the latter ends the
    turn when the model speaks.
    """

    begin: str
    user: tuple[str, str]
    """What opens and what closes a user's turn."""
    assistant: tuple[str, str]
    """What opens and what closes the assistant's turn."""
    media: Mapping[tuple[Kind, ...], str]
    """How media of these kinds are written, one `<>` for each kind in its order, in place of which
    stand all media of this kind in a row. Kinds without an entry are written one by one."""
    media_have_a_turn: bool = False
    """Media stand in a user's turn of their own, before what the user says."""
    blank: str = ""
    """What stands between the opening of the assistant's turn and the answer; learned with it."""
    answers_apart: bool = False
    """Answers are tokenized by themselves."""
    stop_strings: tuple[str, ...] = field(default=())
    """What ends the assistant's turn; by default what closes it."""
    style: str = ""
    """The version of the language model that is used to it, see `CoreConfig.prompt_style`."""
    quirk: Quirk | None = None
    """How released code lays out a batch of such talks, for those who ask for that behaviour."""

    def __post_init__(self) -> None:
        if not self.stop_strings:
            object.__setattr__(self, "stop_strings", (self.assistant[1].strip(),))

    def segments(self, messages: Sequence[Message]) -> list[Segment]:
        """A whole talk, or one up to where the assistant begins to speak.

        Args:
            messages: the usual dicts, roles user and assistant. Content is text, or a list of parts
                `{"type": "text", "text": ...}` and `{"type": "image" | "video" | "audio"}`. The
                medium itself may lie under its type's name, as `CoreProcessor.batch` reads it, a
                video as the list of its frames; without it, a video has its number of `frames`.
                Media stand before the text of their message.

        Returns:
            Segments for `lay_out`. Where the user spoke last, the assistant's turn is opened.

        Raises:
            ValueError: no message, or a role or a part that is not known.
        """
        if not messages:
            raise ValueError("given no messages, expected at least one of a user")
        talk = _Talk()
        talk.write(self.begin)
        for message in messages:
            media, text = _content(message)
            if message["role"] == "assistant":
                talk.write(self.assistant[0])
                talk.part_if(self.answers_apart)
                talk.write(self.blank, learned=True)
                talk.write(text, learned=True, said=True)
                talk.write(self.assistant[1], learned=True)
                talk.part_if(self.answers_apart)
                continue
            if media and self.media_have_a_turn:
                talk.write(self.user[0])
                self._write_media(talk, media)
                talk.write(self.user[1])
            talk.write(self.user[0])
            if media and not self.media_have_a_turn:
                self._write_media(talk, media)
            talk.write(text, said=True)
            talk.write(self.user[1])
        if messages[-1]["role"] == "user":
            talk.write(self.assistant[0])
        return talk.segments()

    def read(self, said: str) -> str:
        """The answer in what the model wrote: up to the first stop string, without blanks around.

        Models also write the opening of their own turn, so what stands before it is left out.
        """
        for stop in self.stop_strings:
            said = said.split(stop)[0]
        return said.split(self.assistant[0].strip())[-1].strip()

    def _write_media(self, talk: "_Talk", media: Sequence[tuple[Kind, Medium]]) -> None:
        runs = [(kind, [m for _, m in run]) for kind, run in groupby(media, lambda one: one[0])]
        together = tuple(kind for kind, _ in runs)
        for known in self.media:  # weights have seen these kinds in one order only
            if together not in self.media and sorted(known) == sorted(together):
                together = known
                runs.sort(key=lambda run: known.index(run[0]))
        alone: list[tuple[tuple[Kind, ...], list[list[Medium]]]]
        if together in self.media:
            alone = [(together, [run for _, run in runs])]
        else:
            alone = [((kind,), [run]) for kind, run in runs]
        for kinds, groups in alone:
            if kinds not in self.media:
                raise ValueError(
                    f"this chat format has no way to write {' and '.join(kinds)}; it has "
                    f"{', '.join(' and '.join(known) for known in self.media)}"
                )
            first, *rest = self.media[kinds].split(MARK)
            talk.write(first)
            for group, text in zip(groups, rest, strict=True):
                for medium in group:
                    talk.put(medium)
                talk.write(text)


def _content(message: Message) -> tuple[list[tuple[Kind, Medium]], str]:
    role, content = message["role"], message["content"]
    if role not in ("user", "assistant"):
        raise ValueError(f"given a message of role {role!r}, expected user or assistant")
    parts: Sequence[Message] = (
        [{"type": "text", "text": content}] if isinstance(content, str) else content
    )
    media: list[tuple[Kind, Medium]] = []
    texts: list[str] = []
    for part in parts:
        if part["type"] == "text":
            texts.append(part["text"])
        elif part["type"] in KINDS and role == "user":
            media.append((part["type"], _medium(part)))
        else:
            raise ValueError(
                f"given a part of type {part['type']!r} of the {role}, expected text, or image, "
                "video or audio of the user"
            )
    return media, "".join(texts)


def _medium(part: Message) -> Medium:
    content = part.get(part["type"])
    frames = part.get("frames", 1)
    if part["type"] == "video" and content is not None:
        frames = len(content)
    return Medium("audio" if part["type"] == "audio" else "image", frames, content)


class _Talk:
    """Text and media in the making."""

    def __init__(self) -> None:
        self._done: list[Segment] = []
        self._text = ""
        self._learned: list[tuple[int, int]] = []
        self._said: list[tuple[int, int]] = []

    def write(self, text: str, *, learned: bool = False, said: bool = False) -> None:
        span = (len(self._text), len(self._text) + len(text))
        if learned and self._learned and self._learned[-1][1] == span[0]:
            self._learned[-1] = (self._learned[-1][0], span[1])
        elif learned:
            self._learned.append(span)
        if said:
            self._said.append(span)
        self._text += text

    def put(self, medium: Medium) -> None:
        self.part_if(True)
        self._done.append(medium)

    def part_if(self, apart: bool) -> None:
        """End the piece of text, if so."""
        if apart and self._text:
            self._done.append(Text(self._text, tuple(self._learned), tuple(self._said)))
            self._text, self._learned, self._said = "", [], []

    def segments(self) -> list[Segment]:
        self.part_if(True)
        return self._done
