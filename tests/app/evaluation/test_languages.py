"""The language of a set's documents, told by nothing but their text."""

import pytest

from app.evaluation.languages import detect_language


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The lamp is lit before sunset and put out after sunrise."),
        ("de", "Die Lampe wird vor dem Abend angezündet und nach dem Morgen gelöscht."),
        ("es", "La lámpara se enciende antes de la noche y se apaga después del alba."),
        ("ru", "Лампу зажигают перед закатом."),
        ("el", "Η λάμπα ανάβει πριν από τη δύση."),
        ("ar", "يضاء المصباح قبل غروب الشمس"),
        ("fa", "چراغ پیش از غروب روشن می‌شود"),
        ("hi", "सूर्यास्त से पहले दीपक जलाया जाता है"),
        ("zh", "日落之前点灯。"),
        ("ja", "日没の前に灯りをつける。"),
        ("ko", "해가 지기 전에 등을 켠다."),
        ("th", "จุดตะเกียงก่อนพระอาทิตย์ตก"),
        (
            "en",
            "The word 灯塔 means lighthouse, and the lighthouse is in the north of the island of Skerry.",
        ),
        ("en", ""),
    ],
)
def test_a_language_is_told_by_its_script_and_its_little_words(language: str, text: str) -> None:
    assert detect_language([text]) == language
