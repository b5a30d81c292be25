"""The English that the claim reader knows: closed word lists, and the names of the vocabulary.

Everything here is lower case. What a list does not hold is not guessed: an unknown word is either
an adjective or an unknown noun, decided by its place (`reading`).
"""

from typing import NamedTuple

from nuthatch.tools.vocabulary import CATEGORIES, SOUNDS, SYNONYMS, TINTS, plural


def words_of(text: str) -> frozenset[str]:
    """A word list."""
    return frozenset(text.split())


_set = words_of


# -- names ----------------------------------------------------------------------------------------


class Name(NamedTuple):
    """A noun of the vocabulary; `plural` is None where both numbers look alike (sheep)."""

    category: str
    plural: bool | None


def _names() -> dict[tuple[str, ...], Name]:
    names: dict[tuple[str, ...], Name] = {}
    pairs = [*SYNONYMS.items(), *((category, category) for category in CATEGORIES)]
    for word, category in (*pairs, ("someone", "person"), ("anyone", "person")):
        many = plural(word)
        names[tuple(word.split())] = Name(category, None if many == word else False)
        if many != word:
            names.setdefault(tuple(many.split()), Name(category, True))
    names["persons",] = Name("person", True)
    for word in ("somebody", "anybody", "nobody"):
        names[word,] = Name("person", False)
    return names


NAMES = _names()
"""Words of a noun, singular and plural, synonyms too -> its category."""
LONGEST_NAME: dict[str, int] = {}
for _words in NAMES:
    LONGEST_NAME[_words[0]] = max(len(_words), LONGEST_NAME.get(_words[0], 0))

COLOURS: dict[str, str] = {
    **{name: name for name in TINTS},
    "grey": "gray",
    "violet": "purple",
    "magenta": "pink",
    "crimson": "red",
    "scarlet": "red",
}
"""Colour word -> tint."""
for _word in _set("white black brown beige golden gold silver turquoise teal cyan maroon navy"):
    COLOURS[_word] = _word  # said, but no tint of the vocabulary: nobody can judge it

COLOUR = _set("colour color tint coloured colored")
BEFORE_COLOURS = _set("to be in light dark bright")

NUMBERS = {
    word: value
    for value, word in enumerate(
        (
            *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
            *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
            *("seventeen", "eighteen", "nineteen", "twenty"),
        )
    )
}
NUMBER_WORDS = tuple(NUMBERS)

BOUNDS: dict[tuple[str, ...], tuple[str, int]] = {
    ("at", "least"): (">=", 0),
    ("more", "than"): (">=", 1),
    ("at", "most"): ("<=", 0),
    ("up", "to"): ("<=", 0),
    ("fewer", "than"): ("<=", -1),
    ("less", "than"): ("<=", -1),
    ("no", "more", "than"): ("<=", 0),
    ("not", "more", "than"): ("<=", 0),
    ("no", "fewer", "than"): (">=", 0),
    ("no", "less", "than"): (">=", 0),
}
"""Words before a number -> its sign, and what it says more."""
QUANTITIES: dict[str, str | None] = {
    **dict.fromkeys(_set("few many multiple various")),
    **{"single": "1", "dozen": "12", "several": ">=3"},
}
"""Words before a noun -> the count that they give."""
GROUPS: dict[str, str | None] = {
    **dict.fromkeys(_set("group bunch lots lot number row herd flock variety set stack pile")),
    **{"pair": "2", "couple": "2"},
}
"""The same before "of": `a group of cups` gives none."""
WITH_ARTICLE = _set("pair couple dozen single")
"""An article before these belongs to the number."""

# -- small words ----------------------------------------------------------------------------------

YES = _set("yes yeah yep yup correct indeed")
NO = _set("no nope nah")
ARTICLES = frozenset({"a", "an"})
DEFINITE = _set("the this that these those his her its their my your our both")
RELATIVE = _set("that which who")
EVERY = _set("all every each both")
NONE = _set("none neither")
MOST = _set("most half")
DETERMINERS = ARTICLES | DEFINITE | EVERY | NONE | MOST | _set("some any no another")
BE = _set("is are was were be 's 're isn't aren't wasn't weren't isn’t aren’t")
DO = _set("do does did can could has")
NOT_DO = _set("don't doesn't didn't can't couldn't hasn't")
PRONOUNS = _set("it there they he she you i")
LOOK_LIKE = _set("looks look seems seem appears appear")
POSTURES = _set(
    "stands stand stood sits sit sat lies lie lay rests rest hangs hang floats float standing "
    "sitting lying resting hanging floating located placed positioned parked seen shown"
)
SHOWS = _set(
    "see sees saw spot notice find count show shows showing contain contains contained has have "
    "include includes including depicts depict features holds detect detects identify "
    "identifies observe observes recognize recognise locate reveal reveals portray portrays "
    "display displays feature found spotted noticed counted detected identified"
)
OPENING = frozenset({'"', "“", "«"})
ENDS = frozenset(
    {".", "!", "?", ";", ":", "but", "however", "while", "whereas", "although", "though"}
)
"""What a comparison ends at."""
DENYING = _set("no not absent missing without lacks")
INTRODUCING = _set(
    "the following things objects items animals elements what i you we see can could are is be "
    "there in on this that picture image photo photograph scene here list of and also it shows "
    "contains includes depicts visible present seen found detected shown all have some do does "
    "contain show"
)
"""Words before a colon by which a list of what is there, or, with one that denies, is not there,
may be introduced."""
NOT = frozenset({"not", "n't", "never", "neither", "nor", "cannot"})
WITHOUT = _set("without lacks lack lacking")
"""What follows these is not there, be it called `a cup` or `the cup`."""
GONE = _set("absent missing gone nowhere")
"""Said of a thing these deny it."""
ECHO = (
    BE
    | NOT
    | _set(
        ", there it they i you do does don't doesn't can can't see one that any some correct right"
    )
)
"""`Yes, there is`: words that only repeat the question."""
BOUNDARIES = _set("but however while whereas although though ; : — –")
"""A negation or a hedge ends here."""
HEDGES = _set(
    "maybe perhaps possibly probably likely might may apparently presumably seemingly unsure "
    "seems seem appears appear guess think believe suspect unclear if would suppose"
)
APPROXIMATE = _set("about around roughly approximately nearly almost some")
EXACT = _set("exactly only just precisely")
ADVERBS = _set(
    "also too only just still clearly here now exactly even always currently both directly "
    "immediately far slightly actually really all each simply together"
)

PLACES = _set(
    "picture image photo photograph scene side left right top bottom middle centre center corner "
    "background foreground sound noise sounds noises recording clip audio total colour color tint "
    "view kind type way answer case front back lot"
)
"""Nouns that name no object."""
PICTURE = _set("picture image photo photograph scene")
UNITS = _set(
    "second seconds minute minutes hour hours percent pixel pixels degree degrees meter meters "
    "metre metres kilometer kilometers times"
)
"""Nouns that name no object; those of one or two letters (`s`, `px`) need no list."""
PICKING = _set(
    "left right leftmost rightmost top bottom upper lower middle central front back nearest "
    "closest other remaining first second third fourth last larger smaller bigger biggest largest "
    "smallest taller shorter tallest shortest"
)
"""Before a noun these pick out some of several: nobody can judge what is said of those."""
PREPOSITIONS = _set(
    "of to on in at by with from above below over under beneath underneath behind near beside "
    "between inside into onto for against around across along next without"
)
FUNCTION = (
    DETERMINERS
    | BE
    | LOOK_LIKE
    | POSTURES
    | SHOWS
    | NOT
    | HEDGES
    | ADVERBS
    | PLACES
    | PREPOSITIONS
    | frozenset(BOUNDARIES)
    | _set(
        "and or as well than then so because when where which who whose that what how why there i "
        "you we he she it they them him me us one ones none nothing do does did don't doesn't "
        "didn't "
        "can can't could couldn't will won't would had has having been being am 'm 've 'll 'd "
        "make makes made making produce produces visible present facing full asleep alone nearby "
        "close apart left right using wearing besides except other others again yes no "
        "barks meows rings ticks moos chirps lacks lack lacking anywhere somewhere everywhere "
        "nowhere elsewhere instead rather outside today else away ahead besides about like than "
        "unlike as per via though otherwise according whatsoever "
        "through down up off past during among amid overhead upon within outdoors indoors"
    )
)
"""Words that end a noun phrase."""

# -- places ---------------------------------------------------------------------------------------

OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
"""Relations that boxes can judge, and their contraries."""
PLAIN_PREPOSITIONS = {
    "above": "above",
    "over": "above",
    "below": "below",
    "under": "below",
    "beneath": "below",
    "underneath": "below",
    "behind": "behind",
    "near": "near",
    "beside": "next to",
    "between": "between",
    "inside": "in",
    "in": "in",
    "on": "on",
}
"""Preposition of one word -> relation; those outside `OPPOSITE` nobody can judge yet."""

# -- writing --------------------------------------------------------------------------------------

SAYS = _set("say says saying read reads reading spell spells spelling")
"""Between what bears writing and the words that stand there."""
LABELLED = _set("labelled labeled titled marked inscribed")
"""The same, of anything."""
WRITTEN = _set("written printed painted engraved")
BEARERS = _set(
    "sign signs text texts label poster banner board billboard placard plate plaque note notice "
    "caption inscription writing word words letters lettering message title headline sticker "
    "ticket screen display page cover logo tag menu cup mug bottle box bag cake book shirt jersey "
    "bus truck wall door window building shop store"
)
"""Nouns for what is written or bears it; what a person says is spoken."""

# -- sounds ---------------------------------------------------------------------------------------

EVENT_OF = {sound.object: event for event, sound in SOUNDS.items()}
"""Category -> the event it makes."""
SOUND_VERBS = _set(
    "barking barks bark meowing meows meow purring ticking ticks tick ringing rings ring chiming "
    "chirping chirps chirp singing tweeting mooing moos moo whistling whistles wailing blaring "
    "beeping playing beating sounding"
)
SOUND_NOUNS = {
    "siren": "siren",
    "sirens": "siren",
    "engine": "engine",
    "engines": "engine",
    "rain": "rain",
    "raindrops": "rain",
    "whistle": "whistle",
    "barking": "dog",
    "bark": "dog",
    "meowing": "cat",
    "meow": "cat",
    "ticking": "clock",
    "chirping": "bird",
    "birdsong": "bird",
    "mooing": "cow",
    "ringtone": "phone",
    "drumming": "drum",
    "drumbeat": "drum",
    "beat": "drum",
}
"""Words that name an event without its object."""
MAKE = _set("make makes made making produce produces")
MANY = _set("many most some every all my our")
"""Before a place by which nothing of this picture is meant: `in many kitchens`."""
SPEAKERS = _set("i we you")
ALL_OR_NOTHING = _set(
    "nothing anything everything all none nobody anybody everybody anyone everyone"
)
"""Before `but` these make an exception: `nothing but a dog`."""
TURNING = _set("no not none never absent missing gone false wrong untrue incorrect without zero")
"""Behind a statement these may turn it round."""
DEPTHS = _set("background foreground distance middle center centre corner front back")
"""Parts of a picture that no judge knows."""
HEARD_IN = _set("sound sounds noise noises recording clip audio")
HEAR = _set("hear hears heard sound sounds noise noises audio recording clip")
CAN_BE_HEARD = _set("hear hears heard audible")
KNOWN = FUNCTION | frozenset(COLOURS) | SOUND_VERBS | frozenset(SOUND_NOUNS) | frozenset(NUMBERS)
"""Words that are no unknown noun."""
