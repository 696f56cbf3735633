"""The words that carry no meaning of their own, by language."""

from functools import cache

from stop_words import LANGUAGE_MAPPING, get_stop_words  # type: ignore[import-untyped]

# The library's English list also stops nouns that documents are about (system, computer, information, bill, world),
# which costs a fifth of the keywords people would give. This one holds function words and empty verbs alone.
ENGLISH = frozenset(
    """
    a an the this that these those such same other another each every either neither both all any some no none few
    little many much more most less least several enough various certain own only else
    i me my mine myself we us our ours ourselves you your yours yourself yourselves he him his himself she her hers
    herself it its itself they them their theirs themselves one ones oneself who whom whose which what whatever whoever
    whichever someone somebody something anyone anybody anything everyone everybody everything nobody nothing
    and or but nor so yet if then than because since although though while whereas unless until till whether as
    of at by for with without within about against between among amongst into onto through throughout during before
    after above below to from up upon down in out on off over under again further near toward towards across along
    around behind beyond despite except per via versus like unlike beside besides due according regarding concerning
    here there where when why how whenever wherever however therefore thus hence moreover furthermore nevertheless
    nonetheless meanwhile otherwise instead rather also too very quite just even still already always never ever often
    sometimes usually generally mainly mostly especially particularly respectively approximately nearly almost perhaps
    maybe once twice now today soon later ago away back well not
    am is are was were be been being have has had having do does did doing done will would shall should can could may
    might must ought cannot let lets get gets got getting go goes going went gone come comes came coming make makes made
    making take takes took taken taking give gives gave given giving use uses used using see sees saw seen seeing say
    says said saying know knows known think thought want wants wanted need needs needed seem seems seemed become becomes
    became show shows showed shown showing find finds found keep keeps kept put puts include includes included including
    provide provides provided providing consider considered based obtained presented described discussed proposed
    don didn doesn isn aren wasn weren hasn haven hadn won wouldn couldn shouldn mustn ain ll ve re
    first second third last next new old good better best great long short high low large small big early late different
    important possible able available following
    eg ie etc et al fig pp vol mr mrs ms dr
    two three four five six seven eight nine ten hundred thousand million billion
    """.split()  # noqa: SIM905 - a list of words is read as one
)

_LINKS = frozenset(("http", "https", "www", "com", "org", "net", "html", "pdf", "nbsp"))
_EUROPEAN = ("de", "fr", "es", "it", "pt", "nl", "pl", "sv", "da", "nb")
_SAME = {"no": "nb", "nn": "nb"}


@cache
def stop_words(language: str | None) -> frozenset[str]:
    """The stop words of a language by its ISO 639-1 code; those of the main European languages where it is unknown."""
    code = _SAME.get(language or "", language)
    if code == "en":
        return ENGLISH | _LINKS
    if code is not None and code in LANGUAGE_MAPPING:
        return frozenset(get_stop_words(code)) | _LINKS
    return ENGLISH.union(_LINKS, *(get_stop_words(code) for code in _EUROPEAN))
