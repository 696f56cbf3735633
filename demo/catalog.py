"""What the demo uploads, where it files it, and what it searches for afterwards."""

from dataclasses import dataclass
from typing import Literal

Mode = Literal["keyword", "semantic", "hybrid"]


@dataclass(frozen=True)
class Sample:
    """A document: its file name, the text under `texts/` it is made from, and what the upload says about it.

    `language` is an ISO 639-1 code; `title`, `folder` and `tags` go with the upload.
    """

    name: str
    source: str
    title: str
    folder: str
    tags: tuple[str, ...]
    language: str = "en"


@dataclass(frozen=True)
class Query:
    """A search worth showing, and how to tell that it worked.

    `finds` is the name of the sample that comes first, or among the first three by keyword. `phrase` stands in it in
    these words, on `page` (from 1) where the format has pages; a small embedding model may prefer to highlight
    another passage of the same document. `shows` says to people why the search is of interest. With `language` the
    search is narrowed to documents in that language.
    """

    text: str
    mode: Mode
    finds: str
    phrase: str
    shows: str
    page: int | None = None
    language: str | None = None


SAMPLES: tuple[Sample, ...] = (
    Sample(
        "annual-report-2024.pdf",
        "annual-report-2024.md",
        "Annual Report 2024",
        "/Reports",
        ("report", "telescope", "glacier", "energy"),
    ),
    Sample(
        "shutter-incident-review.pdf",
        "shutter-incident-review.md",
        "Incident Review: Dome Shutter Failure of 14 January 2024",
        "/Operations/Incidents",
        ("incident", "dome", "storm", "safety"),
    ),
    Sample(
        "glacier-mass-balance.pdf",
        "glacier-mass-balance.md",
        "Mass Balance of the Vell Glacier, 2023/24",
        "/Science/Glacier",
        ("report", "glacier", "climate"),
    ),
    Sample(
        "winter-handbook.docx",
        "winter-handbook.md",
        "Winter Handbook",
        "/Operations",
        ("procedure", "safety", "dome"),
    ),
    Sample(
        "maintenance-register.xlsx",
        "maintenance-register.md",
        "Maintenance Register 2024",
        "/Operations/Maintenance",
        ("maintenance", "dome", "telescope"),
    ),
    Sample(
        "spectrograph-briefing.pptx",
        "spectrograph-briefing.md",
        "PRISMA in ten minutes",
        "/Science/Instruments",
        ("instrument", "telescope", "procedure"),
    ),
    Sample(
        "visitor-guide.html",
        "visitor-guide.md",
        "A Guide for Visitors",
        "/Outreach",
        ("visitors",),
    ),
    Sample(
        "night-log-january.md",
        "night-log-january.md",
        "Night log, January 2024",
        "/Operations/Logs",
        ("log", "telescope", "storm"),
    ),
    Sample(
        "keepers-daughter.txt",
        "keepers-daughter.txt",
        "The Keeper's Daughter",
        "/Archive",
        ("history", "interview"),
    ),
    Sample(
        "weather-january-2024.csv",
        "weather-january-2024.csv",
        "Weather observations, January 2024",
        "/Science/Weather",
        ("weather", "storm", "data"),
    ),
    Sample(
        "instruments.json",
        "instruments.json",
        "Register of instruments",
        "/Science/Instruments",
        ("instrument", "data"),
    ),
    Sample(
        "recoating-offer.eml",
        "recoating-offer.md",
        "Offer for recoating the primary mirror",
        "/Correspondence",
        ("letter", "telescope"),
    ),
    Sample(
        "logbook-1931.png",
        "logbook-1931.md",
        "Logbook of the weather hut, page 214",
        "/Archive/Scans",
        ("history", "log", "scan"),
    ),
    Sample(
        "letter-1958.jpg",
        "letter-1958.md",
        "Letter to Mr Aldous, 1958",
        "/Archive/Scans",
        ("history", "letter", "scan", "telescope"),
    ),
    Sample(
        "power-plan.odt",
        "power-plan.md",
        "Power Plan 2022 to 2024",
        "/Operations",
        ("energy", "plan"),
    ),
    Sample(
        "board-minutes.rtf",
        "board-minutes.md",
        "Minutes of the Board, 14 March 2024",
        "/Reports/Board",
        ("minutes", "incident", "telescope"),
    ),
    Sample(
        "field-guide.epub",
        "field-guide.md",
        "A Small Field Guide to the Plateau",
        "/Outreach",
        ("visitors", "nature"),
    ),
    Sample(
        "wartungsbericht-kuppel.docx",
        "wartungsbericht-kuppel.md",
        "Wartungsbericht: Kuppelspalt und Antriebskette",
        "/Operations/Maintenance",
        ("maintenance", "dome", "report"),
        "de",
    ),
    Sample(
        "carnet-de-mission.html",
        "carnet-de-mission.md",
        "Carnet de mission",
        "/Science/Weather",
        ("weather", "history", "storm"),
        "fr",
    ),
    Sample(
        "nota-polvo-glaciar.txt",
        "nota-polvo-glaciar.txt",
        "Polvo del desierto sobre el glaciar Vell",
        "/Science/Glacier",
        ("glacier", "climate"),
        "es",
    ),
)

QUERIES: tuple[Query, ...] = (
    Query(
        text="north sprocket",
        mode="keyword",
        finds="shutter-incident-review.pdf",
        page=2,
        phrase="the drive chain parts at the north sprocket",
        shows="Exact words lead to the page they stand on.",
    ),
    Query(
        text="why did the roof stay open",
        mode="semantic",
        finds="shutter-incident-review.pdf",
        page=3,
        phrase="The reason why the roof stayed open lies in three weaknesses",
        shows="A question in plain words leads to the page with the causes, in a review that speaks of a shutter.",
    ),
    Query(
        text="how much ice did the glacier lose in the year",
        mode="hybrid",
        finds="glacier-mass-balance.pdf",
        page=3,
        phrase="the glacier lost 1.42 metres of water equivalent",
        shows="Words and meaning together put the measured answer first.",
    ),
    Query(
        text="telegraph writes by itself",
        mode="keyword",
        finds="logbook-1931.png",
        page=1,
        phrase="The telegraph writes by itself",
        shows="A scanned page from 1931 is searchable because its text was read by OCR.",
    ),
    Query(
        text="symptoms of hypothermia",
        mode="semantic",
        finds="winter-handbook.docx",
        phrase="Frostbite begins without pain",
        shows="Neither word is in the handbook, which speaks of shivering and clumsy hands: the meaning matches.",
    ),
    Query(
        text="price of recoating the mirror",
        mode="hybrid",
        finds="recoating-offer.eml",
        phrase="Our price is 18,400 euros",
        shows="Mail is indexed with its text and attachment, beside the minutes that decided on it.",
    ),
    Query(
        text="Heizung der Kette",
        mode="keyword",
        language="de",
        finds="wartungsbericht-kuppel.docx",
        phrase="weil die Heizung der Kette drei Tage lang ohne Strom gewesen ist",
        shows="The language facet narrows a search to the German report.",
    ),
    Query(
        text="storing solar energy to burn less fuel",
        mode="semantic",
        finds="power-plan.odt",
        phrase="a battery that stores 120 kilowatt hours",
        shows="An OpenDocument text is found by what it is about.",
    ),
    Query(
        text="small animals jumping on the snow",
        mode="semantic",
        finds="field-guide.epub",
        phrase="it is the glacier flea",
        shows="An e-book answers with the insect whose name the reader did not know.",
    ),
)
