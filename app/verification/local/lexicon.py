"""English words that reverse a sentence's meaning: negators, directions, opposites, quantifiers.

Claims in other languages are judged only by their words, numbers and names.
"""

from types import MappingProxyType

_UP = """
    accelerate accelerates accelerated activate activates activated activation advance aggravate
    amplify amplifies amplified augment augments augmented boost boosts boosted cause causes caused
    encourage encourages encouraged elevate elevates elevated enhance enhances enhanced enhancement
    exacerbate exacerbates exceed exceeds expand expands expanded extend extends extended facilitate
    facilitates faster gain gains gained greater grow grows grew growth heighten high higher improve
    improves improved improvement increase increases increased increasing induce induces induced
    induction intensify larger longer maximize more potentiate potentiates promote promotes promoted
    raise raises raised rise rises rose rising stimulate stimulates stimulated strengthen strengthens
    stronger support supports trigger triggers triggered upregulate upregulates upregulated
    upregulation upward warmer wider worsen worsens worsened up
"""
_DOWN = """
    abolish abolishes abolished abrogate abrogated alleviate alleviates ameliorate ameliorates
    antagonize antagonizes attenuate attenuates attenuated block blocks blocked blocking cooler curb
    curtail cut cuts deactivate deactivates decline declines declined decrease decreases decreased
    decreasing deficiency deficient delay delays deplete depletes depleted deter diminish diminishes
    diminished discourage discourages disrupt disrupts disrupted down downregulate downregulates
    downregulated downregulation downward drop drops dropped fall falls fell fewer halt halts halted
    hamper hinder hinders impair impairs impaired impede impedes inactivate inactivates inhibit
    inhibits inhibited inhibition inhibitor interrupt lessen lessens less limit limits limited loss
    low lower lowers lowered minimize mitigate mitigates narrower prevent prevents prevented protect
    protects reduce reduces reduced reduction repress represses repressed rescue rescues rescued
    restrict restricts shorter shrink shrinks slow slows slowed slower smaller suppress suppresses
    suppressed suppression weaken weakens weaker
"""
_OPPOSITES = """
    above/below absent/present accept/reject accepts/rejects active/inactive acute/chronic add/remove
    adds/removes advantage/disadvantage after/before allow/forbid allowed/forbidden allows/forbids
    allow/prevent always/never ascending/descending asynchronous/synchronous attach/detach
    automatic/manual backward/forward beneficial/harmful benefit/harm benign/malignant best/worst
    better/worse buy/sell client/server common/rare connect/disconnect correct/incorrect
    create/delete creates/deletes decode/encode decrypt/encrypt default/custom dense/sparse
    dependent/independent deprecated/recommended different/same different/similar disable/enable
    disabled/enabled disables/enables dynamic/static early/late earlier/later east/west
    effective/ineffective even/odd exclude/include excludes/includes excluded/included exit/enter
    explicit/implicit export/import external/internal failure/success fails/succeeds false/true
    female/male first/last free/paid global/local hot/cold inner/outer input/output inside/outside
    install/uninstall largest/smallest left/right likely/unlikely lock/unlock lose/win
    major/minor maximum/minimum men/women mutable/immutable negative/positive new/old newer/older
    newest/oldest north/south northern/southern empty/full open/close opens/closes
    opened/closed open/closed optional/required parallel/sequential pass/fail possible/impossible
    prefix/suffix
    private/public pull/push read/write resistant/sensitive resistant/susceptible safe/unsafe
    safe/dangerous server/serverless single/multiple stable/unstable start/stop starts/stops
    started/stopped strong/weak synchronous/asynchronous top/bottom upload/download upper/lower
    valid/invalid visible/hidden younger/older
"""
_QUANTIFIERS = """
    all/some all/none every/some each/some most/few many/few only/also always/sometimes never/sometimes
    must/may both/neither always/often never/often everything/nothing everyone/nobody
"""

_NEGATORS = """
    not no never neither nor none nothing nobody without cannot lack lacks lacked lacking fail fails
    failed unable absence hardly rarely unrelated incapable
"""
_TO_TWENTY = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty
"""
_TENS = "thirty forty fifty sixty seventy eighty ninety"


def _axes() -> dict[str, tuple[tuple[str, int], ...]]:
    axes: dict[str, list[tuple[str, int]]] = {}
    for words, sign in ((_UP, 1), (_DOWN, -1)):
        for word in words.split():
            axes.setdefault(word, []).append(("direction", sign))
    for pair in (_OPPOSITES + _QUANTIFIERS).split():
        one, other = pair.split("/")
        axes.setdefault(one, []).append((pair, 1))
        axes.setdefault(other, []).append((pair, -1))
    return {word: tuple(found) for word, found in axes.items()}


AXES = MappingProxyType(_axes())
"""For each word its axes and its sign on each: `(axis, 1)` contradicts `(axis, -1)`."""

NEGATORS = frozenset(_NEGATORS.split())
NUMBERS = MappingProxyType(
    {word: float(value) for value, word in enumerate(_TO_TWENTY.split())}
    | {word: 10.0 * tens for tens, word in enumerate(_TENS.split(), 3)}
    | {"once": 1.0, "twice": 2.0, "half": 0.5, "dozen": 12.0}
)
MULTIPLIERS = MappingProxyType(
    {"hundred": 1e2, "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
)
