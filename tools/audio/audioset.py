"""What makes the sounds that AudioSet names (Gemmeke et al. 2017, "Audio Set").

Half of its 527 classes are called after what sounds ("Guitar", "Helicopter"), the others after the
sound ("Bark"). Here stands, of those others, what a detector may look for.
"""

_SOURCES: dict[str, tuple[str, ...]] = {
    "person": (
        *("Speech", "Conversation", "Narration, monologue", "Babbling", "Shout", "Bellow", "Whoop"),
        *("Yell", "Battle cry", "Screaming", "Whispering", "Laughter", "Giggle", "Snicker"),
        *("Belly laugh", "Chuckle, chortle", "Crying, sobbing", "Whimper", "Wail, moan", "Sigh"),
        *("Singing", "Yodeling", "Chant", "Mantra", "Rapping", "Humming", "Groan", "Grunt"),
        *("Whistling", "Breathing", "Wheeze", "Snoring", "Gasp", "Cough", "Throat clearing"),
        *("Sneeze", "Sniff", "Run", "Shuffle", "Walk, footsteps", "Chewing, mastication"),
        *("Biting", "Gargling", "Burping, eructation", "Hiccup", "Hands", "Finger snapping"),
        *("Clapping", "Beatboxing"),
    ),
    "man": ("Male speech, man speaking", "Male singing"),
    "woman": ("Female speech, woman speaking", "Female singing"),
    "child": (
        *("Child speech, kid speaking", "Child singing", "Children shouting", "Children playing"),
    ),
    "baby": ("Baby laughter", "Baby cry, infant cry"),
    "crowd": ("Cheering", "Applause", "Chatter", "Hubbub, speech noise, speech babble"),
    "dog": (
        *("Bark", "Yip", "Howl", "Bow-wow", "Growling", "Whimper (dog)", "Canidae, dogs, wolves"),
    ),
    "cat": ("Purr", "Meow", "Caterwaul"),
    "horse": ("Clip-clop", "Neigh, whinny"),
    "cow": ("Cattle, bovinae", "Moo"),
    "pig": ("Oink",),
    "sheep": ("Bleat",),
    "chicken": ("Chicken, rooster", "Cluck", "Crowing, cock-a-doodle-doo"),
    "turkey": ("Gobble",),
    "duck": ("Quack",),
    "goose": ("Honk",),
    "lion": ("Roaring cats (lions, tigers)", "Roar"),
    "bird": (
        *("Bird vocalization, bird call, bird song", "Chirp, tweet", "Squawk", "Fowl"),
        "Bird flight, flapping wings",
    ),
    "pigeon": ("Coo",),
    "crow": ("Caw",),
    "owl": ("Hoot",),
    "frog": ("Croak",),
    "whale": ("Whale vocalization",),
    "guitar": ("Strum", "Tapping (guitar technique)"),
    "drum": ("Drum roll", "Rimshot", "Percussion"),
    "violin": ("Pizzicato",),
    "bell": ("Change ringing (campanology)", "Ding-dong", "Ding"),
    "rain": ("Raindrop", "Rain on surface"),
    "car": (
        *("Vehicle horn, car horn, honking", "Car alarm", "Car passing by", "Skidding"),
        *("Tire squeal", "Power windows, electric windows"),
    ),
    "truck": ("Air brake", "Air horn, truck horn", "Reversing beeps"),
    "emergency vehicle": ("Siren",),
    "train": (
        *("Rail transport", "Train whistle", "Train horn", "Train wheels squealing"),
        *("Railroad car, train wagon", "Steam whistle"),
    ),
    "airplane": (
        *("Aircraft engine", "Jet engine", "Propeller, airscrew", "Fixed-wing aircraft, airplane"),
    ),
    "motor vehicle": (
        *("Engine", "Light engine (high frequency)", "Medium engine (mid frequency)"),
        *("Heavy engine (low frequency)", "Engine knocking", "Engine starting", "Idling"),
        "Accelerating, revving, vroom",
    ),
    "toilet": ("Toilet flush",),
    "keys": ("Keys jangling",),
    "playing cards": ("Shuffling cards",),
    "keyboard": ("Typing",),
    "telephone": (
        *("Telephone bell ringing", "Ringtone", "Telephone dialing, DTMF", "Dial tone"),
        "Busy signal",
    ),
    "clock": ("Tick", "Tick-tock"),
    "saw": ("Sawing",),
    "gun": ("Gunshot, gunfire", "Machine gun", "Fusillade", "Cap gun"),
    "basketball": ("Basketball bounce",),
}
_SOURCE_OF = {name: source for source, names in _SOURCES.items() for name in names}


def source_of(name: str) -> str:
    """What makes a sound of this class, e.g. `Bark` -> `dog`, `Violin, fiddle` -> `violin`.

    Of a class that is not listed here it is the name's first part, in lower case.
    """
    if name in _SOURCE_OF:
        return _SOURCE_OF[name]
    return name.split(",")[0].split(" (")[0].lower()
