"""The events that answers name, in the classes of AudioSet (Gemmeke et al. 2017, "Audio Set").

An event is a thing and its sound, however the answer puts it: "a dog barking" and "I hear a dog"
claim the same. Classes that *mean* an event are those of its name and, in AudioSet's ontology,
those below them; any of them supports the claim. Classes that *may be* it (a wider one, a sound
that is taken for it, music around an instrument) support nothing, and where one of them may be
heard the claim is not refuted either.

A noun outside the table is met by name only, as one part of a class's name (`violin` -> `Violin,
fiddle`); what else its sound may be called nobody has listed, so it is never refuted.

No thresholds were measured for the released weights. Theirs is that of a sigmoid, 0.5, and the band
around it is left undecided: heard is what scores 0.8 or more, unheard what scores 0.05 or less. The
band is wider below, since training on mixed sounds lowers the scores of what is there. Beyond it
the tagger decides as a judge would that is right in 95 of 100 cases: by decree, not by measure.
"""

from collections.abc import Iterable
from typing import NamedTuple

from nuthatch.tools.vocabulary import SOUNDS, canonical, singular

HEARD, UNHEARD = 0.8, 0.05
"""Scores from which, and up to which, an event is heard or not."""
_MUSIC = ("Music", "Musical instrument")


class Meaning(NamedTuple):
    """Names of classes; `may_be` is None where nobody has listed them."""

    means: tuple[str, ...]
    may_be: tuple[str, ...] | None


_TABLE = {
    "bell": Meaning(
        (
            *("Bell", "Church bell", "Jingle bell", "Bicycle bell"),
            "Change ringing (campanology)",
        ),
        (
            *("Chime", "Wind chime", "Tuning fork", "Tubular bells", "Glockenspiel", "Gong"),
            *("Singing bowl", "Cowbell", "Doorbell", "Ding-dong", "Ding", "Clang"),
            *("Jingle, tinkle", "Alarm", "Alarm clock"),
            *("Telephone", "Telephone bell ringing", "Ringtone"),
        ),
    ),
    "siren": Meaning(
        (
            *("Siren", "Civil defense siren", "Police car (siren)", "Ambulance (siren)"),
            "Fire engine, fire truck (siren)",
        ),
        (
            *("Emergency vehicle", "Truck", "Alarm", "Car alarm", "Fire alarm", "Foghorn"),
            *("Smoke detector, smoke alarm", "Air horn, truck horn", "Whoop"),
        ),
    ),
    "clock": Meaning(
        ("Clock", "Tick", "Tick-tock"),
        ("Mechanisms", "Ratchet, pawl", "Clicking", "Alarm clock", "Chime", "Gears", "Tap"),
    ),
    "phone": Meaning(
        ("Telephone", "Telephone bell ringing", "Ringtone"),
        (
            *("Telephone dialing, DTMF", "Dial tone", "Busy signal", "Alarm", "Alarm clock"),
            *("Beep, bleep", "Bell", "Music"),
        ),
    ),
    "drum": Meaning(
        (
            *("Drum", "Drum kit", "Drum machine", "Snare drum", "Rimshot", "Drum roll"),
            *("Bass drum", "Timpani", "Tabla"),
        ),
        (*_MUSIC, "Percussion", "Cymbal", "Hi-hat", "Wood block", "Beatboxing", "Thump, thud"),
    ),
    "guitar": Meaning(
        (
            *("Guitar", "Electric guitar", "Bass guitar", "Acoustic guitar", "Strum"),
            *("Steel guitar, slide guitar", "Tapping (guitar technique)"),
        ),
        (
            *(*_MUSIC, "Plucked string instrument", "Banjo", "Sitar", "Mandolin", "Zither"),
            *("Ukulele", "Harp", "Bowed string instrument", "Pizzicato"),
        ),
    ),
    "engine": Meaning(
        (
            *("Engine", "Light engine (high frequency)", "Medium engine (mid frequency)"),
            *("Heavy engine (low frequency)", "Engine knocking", "Engine starting", "Idling"),
            *("Accelerating, revving, vroom", "Motorcycle"),
        ),
        (
            *("Vehicle", "Motor vehicle (road)", "Car", "Car passing by", "Truck", "Bus"),
            *("Race car, auto racing", "Traffic noise, roadway noise", "Boat, Water vehicle"),
            *("Motorboat, speedboat", "Ship", "Train", "Rail transport", "Aircraft"),
            *("Aircraft engine", "Jet engine", "Propeller, airscrew", "Helicopter"),
            *("Fixed-wing aircraft, airplane", "Lawn mower", "Chainsaw", "Power tool", "Drill"),
            *("Mechanisms", "Mechanical fan", "Hum", "Rumble", "Vibration"),
        ),
    ),
    "rain": Meaning(
        ("Rain", "Raindrop", "Rain on surface"),
        (
            *("Thunderstorm", "Thunder", "Water", "Drip", "Patter", "Stream", "Waterfall"),
            *("Trickle, dribble", "Splash, splatter", "Pour", "Spray", "White noise", "Static"),
            *("Frying (food)", "Sizzle"),
        ),
    ),
    "whistle": Meaning(
        ("Train whistle",),
        (
            *("Whistle", "Whistling", "Train", "Train horn", "Rail transport", "Toot", "Foghorn"),
            *("Railroad car, train wagon", "Train wheels squealing", "Air horn, truck horn"),
            *("Subway, metro, underground", "Steam whistle", "Steam"),
        ),
    ),
    "dog": Meaning(
        ("Dog", "Bark", "Yip", "Howl", "Bow-wow", "Growling", "Whimper (dog)"),
        ("Canidae, dogs, wolves", "Whimper", "Roar"),
    ),
    "cat": Meaning(
        ("Cat", "Purr", "Meow", "Caterwaul"),
        ("Hiss", "Growling", "Baby cry, infant cry"),
    ),
    "bird": Meaning(
        (
            *("Bird", "Bird vocalization, bird call, bird song", "Chirp, tweet", "Squawk"),
            *("Pigeon, dove", "Coo", "Crow", "Caw", "Owl", "Hoot"),
            "Bird flight, flapping wings",
        ),
        (
            *("Fowl", "Chicken, rooster", "Cluck", "Crowing, cock-a-doodle-doo", "Turkey"),
            *("Gobble", "Duck", "Quack", "Goose", "Honk", "Cricket", "Whistling", "Chirp tone"),
        ),
    ),
    "cow": Meaning(
        ("Cattle, bovinae", "Moo"),
        ("Cowbell", "Livestock, farm animals, working animals", "Sheep", "Goat", "Bleat"),
    ),
}  # fmt: skip


def meaning(event: str, classes: Iterable[str]) -> Meaning:
    """What an event is called among the classes that a tagger knows; `means` is empty where it has
    no name there."""
    known = frozenset(classes)
    if event in _TABLE:
        means, may_be = _TABLE[event]
        return Meaning(
            tuple(name for name in means if name in known),
            tuple(name for name in may_be or () if name in known),
        )
    return Meaning(tuple(name for name in sorted(known) if event in _names(name)), None)


def is_audioset(events: Iterable[str]) -> bool:
    """Whether a tagger's events are called as AudioSet's, and none as the vocabulary's."""
    names = frozenset(events)
    return names.isdisjoint(SOUNDS) and any(names & set(each.means) for each in _TABLE.values())


def _names(name: str) -> set[str | None]:
    """The nouns of a class: `Boat, Water vehicle` -> `boat`, `water vehicle`."""
    parts = name.lower().split(", ")
    return {singular(part) for part in parts} | {canonical(part) for part in parts}
