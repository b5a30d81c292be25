"""Which models must abstain: those that do not know an input.

The models of one preset were trained on one world, so that one of them tells for all of them
whether an input is of it (`CHECKED_BY`): by its `knows`, where a domain lies beside its weights.
Only the preset's own models are bound by that: what a caller put in their place is not.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Literal
from weakref import WeakKeyDictionary

from nuthatch.tools.base.notices import Notice
from nuthatch.tools.domain.check import InputKind, outside
from nuthatch.tools.faults import ToolUnavailable
from nuthatch.tools.media.store import MediaStore
from nuthatch.tools.weights.store import FULL_SIZE_LOADERS, Weights

MediumKind = Literal["image", "audio"]
CHECKED_BY: Mapping[MediumKind, Mapping[str, str]] = {
    "image": dict.fromkeys(("core", "detect", "segment", "tag"), "detect"),
    "audio": {"core": "tag_sound", "tag_sound": "tag_sound", "transcribe": "transcribe"},
}
"""Kind of medium -> name of weights -> whose `knows` is asked."""
MOST_KEPT = 4096

_kept: "WeakKeyDictionary[Any, OrderedDict[str, bool]]" = WeakKeyDictionary()
_lock = threading.Lock()


def unknown_to(
    weights: Weights,
    names: Iterable[str],
    kind: MediumKind,
    medium: Callable[[], Any],
    sha256: str | None = None,
) -> frozenset[str]:
    """Those of the models `names` that do not know a medium.

    Args:
        names: as tools ask for them (`weights.LOADERS` and `ALIASES`).
        medium: gives (H, W, 3) uint8 RGB, or 16 kHz mono float32; called where it is needed.
        sha256: of the content: what was checked under it is not checked again.

    A model that is not here, or has no domain, is not among them.
    """
    checkers: dict[str, set[str]] = {}
    for name in names:
        canonical = weights.canonical(name)
        checker = CHECKED_BY[kind].get(canonical)
        if checker is not None and weights.is_own(name):
            checkers.setdefault(checker, set()).add(name)
    unknown: set[str] = set()
    for checker, bound in checkers.items():
        with suppress(ToolUnavailable):
            if not _knows(weights.own(checker), medium, sha256):
                unknown |= bound
    return frozenset(unknown)


def notices(
    weights: Weights, names: Iterable[str], media: MediaStore, handles: Iterable[str]
) -> list[Notice]:
    """What must be known of the media of a call whose tool works with the weights `names`."""
    names = _at_work(weights, names)
    found: list[Notice] = []
    for handle in dict.fromkeys(handles) if names else ():
        kind: InputKind
        if handle in media.handles("image"):
            look = partial(media.image, handle)
            unknown = unknown_to(weights, names, "image", look, media[handle].sha256)
            kind = "picture"
        elif handle in media.handles("audio"):
            hear = partial(media.audio, handle)
            unknown = unknown_to(weights, names, "audio", hear, media[handle].sha256)
            transcribes = {weights.canonical(name) for name in unknown} == {"transcribe"}
            kind = "speech" if transcribes else "sound"
        else:
            continue
        found += [outside(kind, handle)] if unknown else []
    return found


def _at_work(weights: Weights, names: Iterable[str]) -> list[str]:
    """Those of a tool's weights that it works with here: where there are models without a
    miniature, such as a captioner, these, and else the others."""
    named = list(names)
    large = [name for name in named if weights.canonical(name) in FULL_SIZE_LOADERS]
    return [name for name in large if weights.offers(name)] or [n for n in named if n not in large]


def _knows(model: Any, medium: Callable[[], Any], sha256: str | None) -> bool:
    knows = getattr(model, "knows", None)
    if knows is None:
        return True
    with _lock:
        kept = _kept.setdefault(model, OrderedDict())
        if sha256 is not None and sha256 in kept:
            return kept[sha256]
    (known,) = knows([medium()])
    if sha256 is not None:
        with _lock:
            kept[sha256] = bool(known)
            while len(kept) > MOST_KEPT:
                kept.popitem(last=False)
    return bool(known)
