"""Analyzes what a question asks for, and how far a sentence has the form of an answer to it."""

import re

from storage.index.bm25.encoder import content_terms
from storage.word_lists import any_of, word_lists

_LISTS = word_lists(__file__)
_FLAGS = re.IGNORECASE | re.MULTILINE
_QUESTION_FORMAT = (
    r"(?:^|[.!?,;:]\s)\W*(?:(?:can|could) you )?(?:please )?(?:(?:tell|show) me )?(?:%s)\b"
)
_HOW_TO = r"how (?:do|can|could|should|would|to)|(?:what|which) (?:command|syntax|steps?)"
_COUNT = rf"(?:\d[\d.,]*|\b{any_of(_LISTS['counts'])})\b"
_DATE = (
    r"\b(?:1\d{3}|20\d\d)\b|\bcentury\b|\b(?:Jan|Febr)uary\b|\b(?:March|April|May|June|July|August)\b"
    r"|\b(?:Sept|Nov|Dec)ember\b|\bOctober\b|\bB\.?C"
)
_STEP = (
    r"(?:\d+[.)]\s+)?(?:(?:first|then|next|now|finally),? )?"
    rf"{any_of(_LISTS['step_verbs'])}\b"
)
_FORMS = (
    (
        r"(?:explain )?why|what (?:causes?|is the reason)|for what reason",
        rf"\b(?:{any_of(_LISTS['reasons'])}|caus\w+)\b",
    ),
    (
        r"how (?:many|much|long|far|often|large|big|fast|old|high)"
        r"|(?:what|which) (?:number|version|year|date)|when"
        r"|what(?:['’]s| is| are| was| were) the (?:\w+ ){0,2}"
        r"(?:maximum|minimum|limit|cost|price|amount|fee|rate|number|size|length|deadline)",
        rf"{_COUNT}|{_DATE}|\b{any_of(_LISTS['amounts_and_times'])}\b",
    ),
    (
        _HOW_TO,
        rf"(?:^|\. )\W*{_STEP}|\bby \w+ing\b|\byou (?:can|will|need|must|should|may)\b|\bcommand\b",
    ),
    (
        any_of(_LISTS["auxiliaries"]),
        rf"^(?:yes|no)\b|n['’]t\b|\b{any_of(_LISTS['judging'])}\b",
    ),
)
"""Pairs of patterns: the form of a question, and words that are typical of its answer."""
_ANSWER_FORMS = [
    (re.compile(_QUESTION_FORMAT % question, _FLAGS), re.compile(answer, _FLAGS))
    for question, answer in _FORMS
]
_DEFINES = re.compile(
    _QUESTION_FORMAT
    % r"(?:what|who)(?:['’]s| is| are| was| were)|what does .*\bmean|define|explain",
    _FLAGS,
)
_WANTS_CODE = re.compile(
    _QUESTION_FORMAT % rf"{_HOW_TO}|.*\b(?:example|command|snippet|code)", _FLAGS
)
_ASKS_FOR_PERSON = re.compile(
    _QUESTION_FORMAT % r"who (?:\w+ed|wrote|made|built|sang|won|began|found|led|drew)", _FLAGS
)
_ASKS_FOR_DATE = re.compile(
    _QUESTION_FORMAT % r"when (?:was|were|did)|(?:what|which) (?:year|date)", _FLAGS
)
_ASKS_FOR_COUNT = re.compile(_QUESTION_FORMAT % r"how many (?P<counted>\w+)", _FLAGS)
_NUMBER = re.compile(rf"{_COUNT}(?P<of>(?: [\w’-]+){{1,2}})", _FLAGS)
_YEAR = re.compile(_DATE)
_NAMED = re.compile(
    r"\b[A-Z](?:[\w'’-]+|\.)(?: [a-z]{2,3}| [A-Z]\.)? [A-Z][\w'’-]+(?!\.\w)|\bby (?:the )?[A-Z]\w+"
)
_NAME = re.compile(r"(?<=\S )\W*\b(\w*[A-Z]\w*)")
_IS = re.compile(
    rf" (?:{any_of(_LISTS['defining_verbs'])}|[=—–:])(?=\W)"
    r"(?P<kind>(?:,[^,]{1,30},)? (?:an?|the|any|one"
    r"|all|each|how|what|when|where)\b)?|(?<=\w):(?P<entry> )",
    _FLAGS,
)
_FRAME = re.compile(r"\A(?:In|For|By|With|On|At|As|From|Under)\b[^,.]{0,60}, |\([^)]*\)")
_CONDITION = re.compile(
    r"\W*(?:if|when|whenever|while|whether|although|though|since|as|once|until)\b", _FLAGS
)
_STEPS = re.compile(rf"^\d+[.)]\s+{_STEP}", _FLAGS)
_PURPOSE = re.compile(r"(?:\d+[.)]\s+|\W*)to (?P<aim>[^,.:]{3,80}?),? ?(?:[,:]|you)", _FLAGS)
_COMMAND = re.compile(r"\b(?:command|run)\b", _FLAGS)
_ABOUT_CHANGES = re.compile(
    r"\b(?:upgrad|migrat|changelog|release notes|what['’]s new|deprecat|breaking|troubleshoot|error)",
    _FLAGS,
)
_KINDS_OF_ANSWER = " ".join(_LISTS["kinds_of_answer"])
"""Words that name the kind of answer, not its subject."""
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
        self.terms = every - self.terms_of(_KINDS_OF_ANSWER) or every
        self.names = self._terms_of_names()
        self.wants_code = _WANTS_CODE.search(self.text) is not None
        self.asks_for_definition = _DEFINES.search(self.text) is not None
        self._answer_form = next(
            (answer for question, answer in _ANSWER_FORMS if question.search(self.text)), None
        )
        self._find_compared_terms = self._compared_things()
        counted = _ASKS_FOR_COUNT.search(self.text)
        self._counted_terms = self.terms_of(counted["counted"]) if counted else frozenset[int]()

    def terms_of(self, text: str) -> frozenset[int]:
        """Return the stems of a text's content words."""
        return content_terms(text, self.language)

    def compared_in(self, stems: frozenset[int]) -> frozenset[int]:
        """Return the indexes of the compared things that these words name."""
        return frozenset(n for n, thing in enumerate(self._find_compared_terms) if thing & stems)

    def form_of(self, prose: str) -> float:
        """Return how far a text has the form of an answer, regardless of its subject."""
        has_form = self._answer_form is not None and self._answer_form.search(prose) is not None
        form = 0.12 * has_form
        if self._counted_terms and self._has_count(prose):
            form += 0.5
        if self.wants_code:
            form += self._likeness_of_instruction(prose)
        if _ASKS_FOR_PERSON.search(self.text) and self._has_new_name(prose):
            form += 0.12
        return form + (self._likeness_of_definition(prose) if self.asks_for_definition else 0.0)

    def could_answer(self, prose: str) -> bool:
        """Return whether a text has the name or date that an answer to this question must have."""
        if _ASKS_FOR_PERSON.search(self.text):
            return bool(self.terms_of(prose) & (self.terms - self.names)) and self._has_new_name(
                prose
            )
        return not _ASKS_FOR_DATE.search(self.text) or _YEAR.search(prose) is not None

    def heading_similarity(self, heading: str) -> float:
        """Return how closely a heading names the subject of the question and nothing else, in [0, 1]."""
        heading_terms = self.terms_of(heading) - self.terms_of(_KINDS_OF_ANSWER)
        subject = self.terms - (self.names - heading_terms) or self.terms
        return len(heading_terms & subject) / (len(heading_terms | subject) or 1)

    def is_about_changes(self, headings: str) -> bool:
        """Return whether headings are about changes or errors, which the question does not ask for."""
        found = _ABOUT_CHANGES.search(headings)
        return found is not None and _ABOUT_CHANGES.search(self.text) is None

    def _compared_things(self) -> tuple[frozenset[int], ...]:
        """Return the terms that each of two compared things has alone; empty if nothing is compared."""
        found = _COMPARED.search(self.text)
        if found is None:
            return ()
        one, other = (self.terms_of(thing) & self.terms for thing in found.groups() if thing)
        things = one - other, other - one
        return things if all(things) else ()

    def _terms_of_names(self) -> frozenset[int]:
        """Return the terms of capitalised words; none if most words are capitalised."""
        names = _NAME.findall(self.text)
        few = 2 * len(names) <= len(self.text.split())
        return self.terms_of(" ".join(names)) & self.terms if few else frozenset[int]()

    def _has_count(self, prose: str) -> bool:
        return any(self._counted_terms & self.terms_of(n["of"]) for n in _NUMBER.finditer(prose))

    def _likeness_of_instruction(self, prose: str) -> float:
        """Score a text as an instruction: “To X, do Y” by how close X is, a step or a command by its form."""
        likeness = 0.12 * (_COMMAND.search(prose) is not None) + 0.3 * (
            _STEPS.search(prose) is not None
        )
        aim = _PURPOSE.match(prose)
        if aim is None:
            return likeness + 0.08
        terms = self.terms_of(aim["aim"])
        return likeness + 0.5 * (len(terms & self.terms) / (len(terms | self.terms) or 1)) ** 2

    def _has_new_name(self, prose: str) -> bool:
        return any(not self.terms_of(name) & self.terms for name in _NAMED.findall(prose))

    def _likeness_of_definition(self, prose: str) -> float:
        """Score a text as a definition: “X is a …” defines X; “X is slow” or “X of Y is a …” less so."""
        statement = _FRAME.sub("", prose)
        verb = _IS.search(statement)
        if verb is None or _CONDITION.match(statement) or verb.start() > _LONGEST_SUBJECT:
            return 0.0
        subject = self.terms_of(statement[: verb.start()])
        alike = len(subject & self.terms) / (len(subject | self.terms) or 1)
        return (1.0 if verb["kind"] or verb["entry"] else 0.5) * alike**2
