"""Analyzes what a question asks for, and how far a sentence has the form of an answer to it."""

import re

from storage.index.bm25.encoder import terms

_FLAGS = re.IGNORECASE | re.MULTILINE
_ASKED = r"(?:^|[.!?,;:]\s)\W*(?:(?:can|could) you )?(?:please )?(?:(?:tell|show) me )?(?:%s)\b"
_HOW_TO = r"how (?:do|can|could|should|would|to)|(?:what|which) (?:command|syntax|steps?)"
_COUNT = (
    r"(?:\d[\d.,]*|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|fifty"
    r"|hundred|dozen|single))\b"
)
_DATE = (
    r"\b(?:1\d{3}|20\d\d)\b|\bcentury\b|\b(?:Jan|Febr)uary\b|\b(?:March|April|May|June|July|August)\b"
    r"|\b(?:Sept|Nov|Dec)ember\b|\bOctober\b|\bB\.?C"
)
_STEP = (
    r"(?:\d+[.)]\s+)?(?:(?:first|then|next|now|finally),? )?(?:to|use|run|call|add|create|install|set"
    r"|open|pass|import|write|configure|click|start|define|wrap|enable|select|choose|enter|make|put"
    r"|place|copy|go|edit|update|remove|replace|change|specify|include|register|export|build|deploy"
    r"|generate|download|type|press|save|turn)\b"
)
_FORMS = (
    (
        r"(?:explain )?why|what (?:causes?|is the reason)|for what reason",
        r"\b(?:because|since|so that|in order to|therefore|reasons?|due to|thus|otherwise|requires?"
        r"|means? that|allows?|avoids?|prevents?|ensures?|leads? to|results? in|makes? it|caus\w+)\b",
    ),
    (
        r"how (?:many|much|long|far|often|large|big|fast|old|high)"
        r"|(?:what|which) (?:number|version|year|date)|when"
        r"|what(?:['’]s| is| are| was| were) the (?:\w+ ){0,2}"
        r"(?:maximum|minimum|limit|cost|price|amount|fee|rate|number|size|length|deadline)",
        rf"{_COUNT}|{_DATE}|\b(?:multiple|many|when|before|after|during|until|once)\b",
    ),
    (
        _HOW_TO,
        rf"(?:^|\. )\W*{_STEP}|\bby \w+ing\b|\byou (?:can|will|need|must|should|may)\b|\bcommand\b",
    ),
    (
        r"is|are|was|were|can|could|do|does|did|should|will|would|has|have|may|must",
        r"^(?:yes|no)\b|n['’]t\b|\b(?:not|never|always|only|must|should|can|cannot|need|possible"
        r"|recommend(?:ed)?|allowed|required|supports?)\b",
    ),
)
"""Pairs of patterns: the form of a question, and words that are typical of its answer."""
_TOLD = [(re.compile(_ASKED % asked, _FLAGS), re.compile(told, _FLAGS)) for asked, told in _FORMS]
_DEFINES = re.compile(
    _ASKED % r"(?:what|who)(?:['’]s| is| are| was| were)|what does .*\bmean|define|explain", _FLAGS
)
_WANTS_CODE = re.compile(_ASKED % rf"{_HOW_TO}|.*\b(?:example|command|snippet|code)", _FLAGS)
_DID = re.compile(_ASKED % r"who (?:\w+ed|wrote|made|built|sang|won|began|found|led|drew)", _FLAGS)
_DATED = re.compile(_ASKED % r"when (?:was|were|did)|(?:what|which) (?:year|date)", _FLAGS)
_COUNTED = re.compile(_ASKED % r"how many (?P<counted>\w+)", _FLAGS)
_NUMBER = re.compile(rf"{_COUNT}(?P<of>(?: [\w’-]+){{1,2}})", _FLAGS)
_YEAR = re.compile(_DATE)
_NAMED = re.compile(
    r"\b[A-Z](?:[\w'’-]+|\.)(?: [a-z]{2,3}| [A-Z]\.)? [A-Z][\w'’-]+(?!\.\w)|\bby (?:the )?[A-Z]\w+"
)
_NAME = re.compile(r"(?<=\S )\W*\b(\w*[A-Z]\w*)")
_IS = re.compile(
    r" (?:is|are|was|were|means?|refers? to|describes?|denotes?|represents?|stands? for|consists? of"
    r"|permits?|lets?|allows?|enables?|asks?|maps?|computes?|[=—–:])(?=\W)"
    r"(?P<kind>(?:,[^,]{1,30},)? (?:an?|the|any|one"
    r"|all|each|how|what|when|where)\b)?|(?<=\w):(?P<entry> )",
    _FLAGS,
)
_FRAME = re.compile(r"\A(?:In|For|By|With|On|At|As|From|Under)\b[^,.]{0,60}, |\([^)]*\)")
_SUPPOSES = re.compile(
    r"\W*(?:if|when|whenever|while|whether|although|though|since|as|once|until)\b", _FLAGS
)
_STEPS = re.compile(rf"^\d+[.)]\s+{_STEP}", _FLAGS)
_AIM = re.compile(r"(?:\d+[.)]\s+|\W*)to (?P<aim>[^,.:]{3,80}?),? ?(?:[,:]|you)", _FLAGS)
_RUNS = re.compile(r"\b(?:command|run)\b", _FLAGS)
_BESIDE = re.compile(
    r"\b(?:upgrad|migrat|changelog|release notes|what['’]s new|deprecat|breaking|troubleshoot|error)",
    _FLAGS,
)
_IN_QUESTIONS = (
    "used use used work works mean means difference explain describe define tell example"
)
"""Words that tell what kind of answer is wanted, not its subject."""
_LONGEST_SUBJECT = 80
_COMPARED = re.compile(
    r"\b(?:differences?|distinction|compar(?:e|ison))\b(?:.* between| of)? (?P<one>.+?)"
    r" (?:and|from|with|to|vs\.?|versus) (?P<other>.+)"
    r"|(?P<left>.+?) (?:differs? from|vs\.?|versus) (?P<right>.+)"
    r"|(?P<first>.+?) and (?P<second>.+) (?:differ|compare)\b",
    _FLAGS,
)


class AnalyzedQuestion:
    """A question's terms, and the kind of answer that it asks for."""

    def __init__(self, text: str, context: str, language: str) -> None:
        """Analyze a question; `context` is the question as rewritten, or empty."""
        self.text = text
        self.language = language
        every = self.terms_of(f"{text}\n{context}")
        self.terms = every - self.terms_of(_IN_QUESTIONS) or every
        self.names = self._named()
        self.wants_code = _WANTS_CODE.search(self.text) is not None
        self.defines = _DEFINES.search(self.text) is not None
        self._told = next((told for asked, told in _TOLD if asked.search(self.text)), None)
        self.sides = self._compared()
        counted = _COUNTED.search(self.text)
        self._counted = self.terms_of(counted["counted"]) if counted else frozenset[int]()

    def terms_of(self, text: str) -> frozenset[int]:
        """Return the stems of a text's content words."""
        return terms(text, self.language)

    def sides_of(self, stems: frozenset[int]) -> frozenset[int]:
        """Return the indexes of the compared things that these words name."""
        return frozenset(n for n, side in enumerate(self.sides) if side & stems)

    def suits(self, prose: str) -> float:
        """Return how far a text has the form of an answer, regardless of its subject."""
        suits = 0.12 * (self._told is not None and self._told.search(prose) is not None)
        if self._counted and self._counts(prose):
            suits += 0.5
        if self.wants_code:
            suits += self._does(prose)
        if _DID.search(self.text) and self._has_new_name(prose):
            suits += 0.12
        return suits + (self._likeness_of_subject(prose) if self.defines else 0.0)

    def could_answer(self, prose: str) -> bool:
        """Return whether a text has the name or date that an answer to this question must have."""
        if _DID.search(self.text):
            return bool(self.terms_of(prose) & (self.terms - self.names)) and self._has_new_name(
                prose
            )
        return not _DATED.search(self.text) or _YEAR.search(prose) is not None

    def likeness(self, heading: str) -> float:
        """Return how closely a heading names the subject of the question and nothing else, in [0, 1]."""
        named = self.terms_of(heading) - self.terms_of(_IN_QUESTIONS)
        asked = self.terms - (self.names - named) or self.terms
        return len(named & asked) / (len(named | asked) or 1)

    def is_beside(self, headings: str) -> bool:
        """Return whether headings are about changes or errors, which the question does not ask for."""
        beside = _BESIDE.search(headings)
        return beside is not None and _BESIDE.search(self.text) is None

    def _compared(self) -> tuple[frozenset[int], ...]:
        """Return the terms that each of two compared things has alone; empty if nothing is compared."""
        found = _COMPARED.search(self.text)
        if found is None:
            return ()
        one, other = (self.terms_of(side) & self.terms for side in found.groups() if side)
        sides = one - other, other - one
        return sides if all(sides) else ()

    def _named(self) -> frozenset[int]:
        """Return the terms of capitalised words; none if most words are capitalised."""
        names = _NAME.findall(self.text)
        few = 2 * len(names) <= len(self.text.split())
        return self.terms_of(" ".join(names)) & self.terms if few else frozenset[int]()

    def _counts(self, prose: str) -> bool:
        return any(self._counted & self.terms_of(n["of"]) for n in _NUMBER.finditer(prose))

    def _does(self, prose: str) -> float:
        """Score a text as an instruction: “To X, do Y” by how close X is, a step or a command by its form."""
        does = 0.12 * (_RUNS.search(prose) is not None) + 0.3 * (_STEPS.search(prose) is not None)
        aim = _AIM.match(prose)
        if aim is None:
            return does + 0.08
        aimed = self.terms_of(aim["aim"])
        return does + 0.5 * (len(aimed & self.terms) / (len(aimed | self.terms) or 1)) ** 2

    def _has_new_name(self, prose: str) -> bool:
        return any(not self.terms_of(name) & self.terms for name in _NAMED.findall(prose))

    def _likeness_of_subject(self, prose: str) -> float:
        """Score a text as a definition: “X is a …” defines X; “X is slow” or “X of Y is a …” less so."""
        said = _FRAME.sub("", prose)
        verb = _IS.search(said)
        if verb is None or _SUPPOSES.match(said) or verb.start() > _LONGEST_SUBJECT:
            return 0.0
        subject = self.terms_of(said[: verb.start()])
        alike = len(subject & self.terms) / (len(subject | self.terms) or 1)
        return (1.0 if verb["kind"] or verb["entry"] else 0.5) * alike**2
