"""Verbs and adjectives that the reader knows. Closed lists, lower case.

A sentence is read only where every word has a place in it, so that a word which is missing here
costs a claim and never makes a wrong one.
"""

from nuthatch.tools.verification.extraction.words import words_of

VERBS = words_of(
    "bark beat bend bite blow bounce browse brush burn carry catch chase chat chew chop clean "
    "climb clutch cook crawl cross cuddle cut cycle dance dig dine dive drag drink drip drive eat "
    "embrace enjoy enter fall feed fill flap fly fold follow frolic fry gallop gather gaze gleam "
    "glide glow grab graze greet grin grip grow hand hike hit hold hop hover hug jog jump kick "
    "kiss kneel land laugh lead leap lean lick lift load loom march milk mow nap nibble nuzzle "
    "occupy operate overlook pack park pass peck pedal peel perch pet pick play pose pour present "
    "pull push race raise reach read relax ride roam roar roll row run rush sail scatter serve "
    "shake share shine skate sleep slice slide smile smoke sniff snooze soar splash spread sprint "
    "stare steer stretch stroll surf surround sweep swim swing tend throw tie toss touch tow "
    "travel trot walk wander wait wash watch wave wear wink work yawn dock moor anchor prepare "
    "bake boil decorate frame attach mount lock place reflect sort stack talk top use wrap "
    "arrange cluster connect grill cover line dress equip cast strap tuck pave type focus peek "
    "hide wade huddle crouch peer snuggle tower wield circle flank adorn border"
)
"""What somebody or something does there; both it and what it is done to are in the picture."""
_IRREGULAR = words_of(
    "ate rode drove held wore stood sat lay ran swam flew threw caught swept lit set laid spread "
    "built made cut"
)


def _inflected(base: str) -> tuple[str, str, str]:
    """`carry` -> `carries`, `carrying`, `carried`."""
    vowel = base[-2:-1] in tuple("aeiou")
    if base.endswith("y") and not vowel:
        return f"{base[:-1]}ies", f"{base}ing", f"{base[:-1]}ied"
    if base.endswith("ie"):
        return f"{base}s", f"{base[:-2]}ying", f"{base}d"
    if base.endswith("e"):
        return f"{base}s", f"{base[:-1]}ing", f"{base}d"
    doubled = vowel and base[-1] in tuple("bdgmnprt") and base[-3:-2] not in tuple("aeiou")
    stem = base + base[-1] if doubled and len(base) < 5 else base
    third = f"{base}es" if base.endswith(("s", "sh", "ch", "x", "z", "go")) else f"{base}s"
    return third, f"{stem}ing", f"{stem}ed"


BASES = VERBS | words_of("set cut hit put show find look")
"""Verbs that are nouns behind a singular: `a horse fly`, `a dog show`."""
THIRD = frozenset(_inflected(verb)[0] for verb in VERBS)
"""`carries`"""
PARTICIPLES = frozenset(form for verb in VERBS for form in _inflected(verb)[1:])
"""`carrying`, `carried`"""
DOING = THIRD | PARTICIPLES | VERBS | _IRREGULAR
"""Every form of these verbs."""
NOT_DOING = words_of(
    "missing lacking resembling excluding representing depicting imagining seeking wanting "
    "needing looking pretending hoping avoiding replacing meaning saying asking suggesting "
    "omitting naming mentioning being having going nothing something anything everything during "
    "including regarding concerning considering assuming supposing failing trying vanishing "
    "disappearing raining"
)
"""Words in -ing that show nobody doing anything."""

ADJECTIVES = words_of(
    "adult ancient asleep awake bare beautiful big bright broken bushy busy calm cheerful chubby "
    "circular clean clear closed cloudy cold colorful colourful comfortable cosy cozy crowded "
    "curly cute damaged dark deep delicious dense digital dirty double edible dry dusty elderly "
    "elegant empty enormous fancy fast fat female fine flat fluffy fresh friendly full funny "
    "furry giant glossy golden grassy great grown hairy handsome happy hard healthy heavy high "
    "hot huge hungry large lazy leafy light little lone lonely long low loose male massive metal "
    "metallic modern muddy narrow neat new nice old open ornate outdoor olive reddish bluish "
    "greenish yellowish overcast pale passive perfect plain plastic playful pointed pretty proud "
    "quiet ripe rocky round rusty sad sandy shady shallow sharp shiny short silent simple single "
    "sleepy slim small smooth snowy soft solid spotted square steep straight striped strong "
    "sturdy sunny sweet tall thick thin tidy tiny tired typical unripe upright vintage warm "
    "weathered wet whole wide wild wooden woolen young"
)
"""Words before a noun that leave it what it is: a shiny bell is a bell, a sea horse is no horse."""
_ENDINGS = ("ful", "less", "ous", "looking")


def is_adjective(word: str) -> bool:
    """Whether a word between article and noun leaves the noun what it is."""
    return word in ADJECTIVES or word.endswith(_ENDINGS) or is_participle(word)


def is_plain_adjective(word: str) -> bool:
    """An adjective that cannot be a verb with an object: `wooden`, `parked`, but not `eating`."""
    return word in ADJECTIVES or (word.endswith("ed") and is_participle(word))


def is_participle(word: str) -> bool:
    """`parked`, `sleeping`; also some nouns, such as `building`."""
    if word.endswith("ed"):
        return len(word) > 4 and not word.endswith("eed")
    return word.endswith("ing") and word not in NOT_DOING | {"rocking", "flying"}


def is_doing(word: str) -> bool:
    """Whether a word can say what a thing is doing, as in `is riding`."""
    return word in PARTICIPLES or (word.endswith("ing") and len(word) > 4 and word not in NOT_DOING)


SIGNS = words_of(
    "sign signs trace traces hint hints evidence indication indications mention glimpse record "
    "vestige shred proof"
)
"""`no sign of a dog`: no dog."""
ABSENCES = words_of("absence lack")
"""`a complete absence of dogs`: no dogs."""
FREE = words_of("free devoid empty bare clear void bereft")
"""`free of dogs`, with `of` or `from`: without dogs."""
CLASSES = words_of(
    "animal animals object objects thing things item items vehicle vehicles fruit fruits food "
    "foods instrument instruments device devices creature creatures drink drinks toy toys tool "
    "tools pet pets shape shapes figure figures"
)
"""Names of whole kinds: `the animal is a dog` says that a dog is there."""
SCENES = words_of(
    "picture image photo photograph scene view shot snapshot drawing illustration frame street "
    "road kitchen room landscape park beach garden yard field city town village square office "
    "bedroom bathroom market harbour harbor station forest"
)
"""What stands for all that can be seen: what it lacks is not there."""
PARTS = SCENES | words_of(
    "left right top bottom side half edge part corner middle center centre it them background "
    "foreground distance front back table counter countertop desk floor ground grass wall shelf "
    "tray plate rug carpet mat cloth tablecloth sky water snow sand sidewalk pavement lawn hill "
    "roof surface row end ledge stove sill windowsill window fence path track platform stage"
)
"""What a picture shows somewhere: what is on these is in it, unlike what is `at the zoo`."""
SHOWING = words_of("shows depicts contains features displays showing depicting featuring")
"""At the start of a sentence these are said of the picture."""
ABSTRACT = words_of(
    "ban chance risk question story rumor rumour idea dream thought fear hope wish reason need "
    "possibility probability likelihood demand request desire law rule myth tale film movie song "
    "poem joke game memory plan offer promise claim fact statement report belief doubt debate term "
    "discussion lecture novel article caption headline answer topic"
)
"""What is in, on or of these is in no picture: `in the story`, `a ban on dogs`."""
DOUBTS = words_of(
    "hardly barely scarcely rarely seldom allegedly reportedly supposedly usually normally "
    "typically formerly previously historically hypothetically theoretically potentially "
    "occasionally sometimes often frequently generally ideally always nearly almost"
)
"""Adverbs under which something is not simply so."""
POINTERS = words_of("these those them")
TAILS = words_of(
    "whose where because since so making giving creating suggesting indicating adding to looking "
    "allowing providing enjoying"
)
"""Words by which more is told that takes nothing back: only what stands before them is read."""
PHRASES: dict[tuple[str, ...], str] = {
    ("in", "view"): "v",
    ("in", "sight"): "v",
    ("on", "display"): "v",
    ("on", "show"): "v",
    ("to", "be", "seen"): "v",
    ("to", "be", "found"): "v",
    ("nowhere", "to", "be", "seen"): "x",
    ("nowhere", "to", "be", "found"): "x",
    ("to", "be"): "B",
    ("at", "all"): "A",
    ("here", "we", "have"): "$",
    ("here", "we", "see"): "$",
    ("in", "total"): "A",
    ("in", "addition"): "A",
    ("'d", "say"): "t",
    ("a", "total", "of"): "A",
    ("as", "far", "as", "i", "can", "see"): "q",
    ("from", "what", "i", "can", "see"): "q",
    ("as", "well"): "A",
    ("of", "them"): "q",
    ("each", "other"): "q",
    ("one", "of", "whom"): "R",
    ("some", "of", "whom"): "R",
    ("some", "of", "which"): "R",
    ("one", "of", "which"): "R",
    ("will", "not", "find"): "!",
    ("will", "not", "see"): "!",
    ("won't", "find"): "!",
    ("won't", "see"): "!",
    ("unable", "to", "find"): "!",
    ("unable", "to", "see"): "!",
    ("instead", "of"): "%",
    ("rather", "than"): "%",
    ("in", "place", "of"): "%",
    ("as", "opposed", "to"): "%",
    ("fails", "to"): "d",
    ("fail", "to"): "d",
    ("failed", "to"): "d",
}
"""Several words that are one chunk -> its code in `chunks`."""
