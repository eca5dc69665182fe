"""Words for secrets and meetings that people type or read to each other: those of the PGP word list.

Each byte has a word of two syllables and one of three; a phrase takes them in turn, so that a word left out or two
exchanged are noticed. `3c 3b` is "crossover-clockwork" (byte by byte: three syllables first). The lists are of
P. Juola and P. Zimmermann, in lower case; ids of peers keep words of their own (ledger/keys.py).

The words of a meeting are compared by people who may know nothing else of each other, so nobody in between may be
able to bring about two meetings with the same ones. Whoever answers chooses the last 32 bytes of a meeting and has ten
seconds to try some: hence scrypt, which takes 16 MiB and 32 MB of memory traffic a try, and six words
(docs/wire.md has the arithmetic).

It refuses to know what is said with it, and whether that is a secret.
"""

from __future__ import annotations

import hashlib
from typing import Final

from ledger.errors import LocalError

MEETING_BYTES: Final = 6
_SALT: Final = b"gossip/words/1\n"


def of_meeting(session: bytes) -> str:
    """The six words of a meeting (bind.py). As slow as it is meant to be: not for an event loop."""
    return say(hashlib.scrypt(session, salt=_SALT, n=2**14, r=8, p=1, maxmem=2**25, dklen=MEETING_BYTES))


def say(data: bytes) -> str:
    """One word a byte, joined by hyphens."""
    return "-".join(_LISTS[at % 2][byte] for at, byte in enumerate(data))


def read(phrase: str) -> bytes:
    """What `say` said; capitals do not matter. LocalError names the word that is none."""
    data = bytearray()
    for at, word in enumerate(phrase.split("-")):
        byte = _BYTES[at % 2].get(word.lower())
        if byte is None:
            misplaced = word.lower() in _BYTES[1 - at % 2]
            raise LocalError(
                f"{word[:20]!r} is no word of a code" if not misplaced else f"{word[:20]!r} stands in the wrong place",
                next_step="ask for it once more, word by word",
            )
        data.append(byte)
    return bytes(data)


_THREE: Final = tuple(
    """
    adroitness adviser aftermath aggregate alkali almighty amulet amusement antenna applicant apollo armistice
    article asteroid atlantic atmosphere autopsy babylon backwater barbecue belowground bifocals bodyguard
    bookseller borderline bottomless bradbury bravado brazilian breakaway burlington businessman butterfat camelot
    candidate cannonball capricorn caravan caretaker celebrate cellulose certify chambermaid cherokee chicago
    clergyman coherence combustion commando company component concurrent confidence conformist congregate
    consensus consulting corporate corrosion councilman crossover crucifix cumbersome customer dakota decadence
    december decimal designing detector detergent determine dictator dinosaur direction disable disbelief
    disruptive distortion document embezzle enchanting enrollment enterprise equation equipment escapade eskimo
    everyday examine existence exodus fascinate filament finicky forever fortitude frequency gadgetry galveston
    getaway glossary gossamer graduate gravity guitarist hamburger hamilton handiwork hazardous headwaters
    hemisphere hesitate hideaway holiness hurricane hydraulic impartial impetus inception indigo inertia infancy
    inferno informant insincere insurgent integrate intention inventive istanbul jamaica jupiter leprosy
    letterhead liberty maritime matchmaker maverick medusa megaton microscope microwave midsummer millionaire
    miracle misnomer molasses molecule montana monument mosquito narrative nebula newsletter norwegian october
    ohio onlooker opulent orlando outfielder pacific pandemic pandora paperweight paragon paragraph paramount
    passenger pedigree pegasus penetrate perceptive performance pharmacy phonetic photograph pioneer pocketful
    politeness positive potato processor provincial proximate puberty publisher pyramid quantity racketeer
    rebellion recipe recover repellent replica reproduce resistor responsive retraction retrieval retrospect
    revenue revival revolver sandalwood sardonic saturday savagery scavenger sensation sociable souvenir
    specialist speculate stethoscope stupendous supportive surrender suspicious sympathy tambourine telephone
    therapist tobacco tolerance tomorrow torpedo tradition travesty trombonist truncated typewriter ultimate
    undaunted underfoot unicorn unify universe unravel upcoming vacancy vagabond vertigo virginia visitor vocalist
    voyager warranty waterloo whimsical wichita wilmington wyoming yesteryear yucatan
    """.split()  # noqa: SIM905  256 quoted words on a line each would hide the code
)
_TWO: Final = tuple(
    """
    aardvark absurd accrue acme adrift adult afflict ahead aimless algol allow alone ammo ancient apple artist
    assume athens atlas aztec baboon backfield backward banjo beaming bedlamp beehive beeswax befriend belfast
    berserk billiard bison blackjack blockade blowtorch bluebird bombast bookshelf brackish breadline breakup
    brickyard briefcase burbank button buzzard cement chairlift chatter checkup chisel choking chopper christmas
    clamshell classic classroom cleanup clockwork cobra commence concert cowbell crackdown cranky crowfoot crucial
    crumpled crusade cubic dashboard deadbolt deckhand dogsled dragnet drainage dreadful drifter dropper drumbeat
    drunken dupont dwelling eating edict egghead eightball endorse endow enlist erase escape exceed eyeglass
    eyetooth facial fallout flagpole flatfoot flytrap fracture framework freedom frighten gazelle geiger glitter
    glucose goggles goldfish gremlin guidance hamlet highchair hockey indoors indulge inverse involve island
    jawbone keyboard kickoff kiwi klaxon locale lockup merit minnow miser mohawk mural music necklace neptune
    newborn nightbird oakland obtuse offload optic orca payday peachy pheasant physique playhouse pluto preclude
    prefer preshrunk printer prowler pupil puppy python quadrant quiver quota ragtime ratchet rebirth reform
    regain reindeer rematch repay retouch revenge reward rhythm ribcage ringbolt robust rocker ruffled sailboat
    sawdust scallion scenic scorecard scotland seabird select sentence shadow shamrock showgirl skullcap skydive
    slingshot slowdown snapline snapshot snowcap snowslide solo southward soybean spaniel spearhead spellbind
    spheroid spigot spindle spyglass stagehand stagnate stairway standard stapler steamship sterling stockman
    stopwatch stormy sugar surmount suspense sweatband swelter tactics talon tapeworm tempest tiger tissue tonic
    topmost tracker transit trauma treadmill trojan trouble tumor tunnel tycoon uncut unearth unwind uproot upset
    upshot vapor village virus vulcan waffle wallet watchword wayside willow woodlark zulu
    """.split()  # noqa: SIM905
)
_LISTS: Final = (_THREE, _TWO)
_BYTES: Final = tuple({word: byte for byte, word in enumerate(words)} for words in _LISTS)
