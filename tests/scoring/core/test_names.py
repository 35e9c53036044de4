"""Names taken apart: what spellings differ in without meaning anything is gone."""

import pytest

from scoring.core.names import INITIAL, LEGAL, PLAIN, SMALL, parse_name, sound, split_words
from scoring.core.transliteration import has_other_letters, romanised, to_latin


def words(text):
    return [word.text for word in parse_name(text).words]


def kinds(text):
    return [word.kind for word in parse_name(text).words]


@pytest.mark.parametrize(
    ("written", "latin"),
    [
        ("Сергей Щукин", "sergey shchukin"),
        ("Київ Їжак", "kiyiv yizhak"),
        ("Γιώργος", "giorgos"),
        ("محمد", "mhmd"),
        ("김정은", "gimjeongeun"),
        ("Łukasz Żółć", "lukasz zolc"),
        ("Ðorđe Ærø Straße", "dorde aero strasse"),
        ("MÜLLER", "muller"),
        ("İbrahim Şahin", "ibrahim sahin"),
    ],
)
def test_other_scripts_and_marks_become_plain_latin(written, latin):
    assert to_latin(written) == latin


def test_han_is_left_as_it_is():
    assert split_words("王小明") == ["王小明"]


def test_the_arabic_article_stands_apart():
    assert words("الفواز")[0] == "al"


@pytest.mark.parametrize(
    "unseen", ["\u00ad", "\u200b", "\u200d", "\u2066", "\ufe0f", "\u034f", "\x7f"]
)
def test_what_nobody_sees_parts_no_word_and_is_no_other_script(unseen):
    assert parse_name(f"Nic{unseen}anor Mada{unseen}riaga") == parse_name("Nicanor Madariaga")


def test_a_persian_word_with_a_non_joiner_is_one_word_and_meets_its_parts():
    joined, apart = parse_name("علی\u200cرضایی"), parse_name("علی رضایی")  # noqa: RUF001
    assert joined == parse_name("علیرضایی")
    assert joined.words[0].text in [text for text, _, _ in apart.joins]


@pytest.mark.parametrize("padding", ["\u200b", "\u00ad", "\x01"])
def test_an_unseen_prefix_does_not_push_the_name_out(padding):
    assert words(padding * 400 + "Nicanor") == ["nicanor"]


def test_punctuation_and_apostrophes_are_nothing():
    assert words("O'Brien-Smith, J.R.") == ["obrien", "smith", "j", "r"]


@pytest.mark.parametrize("written", ["S.A.", "SA", "S A", "s. a."])
def test_a_legal_form_is_one_however_dotted(written):
    assert words(f"Rofi {written}") == ["rofi", "sa"]
    assert kinds(f"Rofi {written}") == [PLAIN, LEGAL]


@pytest.mark.parametrize(
    "written",
    ["Abdulrahman", "Abdul Rahman", "Abdur-Rahman", "Abd al-Rahman", "Abdelrahman", "Abdurrahman"],
)
def test_servants_of_god_are_written_in_many_ways(written):
    assert [word for word in words(written) if word != "al"] == ["abd", "rahman"]


def test_abdullah_stays_whole():
    assert words("Abdullah Abdallah") == ["abdullah", "abdallah"]


def test_small_words_and_initials_are_told_apart():
    assert kinds("Mr J. van der Berg") == [SMALL, INITIAL, SMALL, SMALL, PLAIN]


def test_a_name_of_small_words_alone_keeps_them():
    assert kinds("De La") == [PLAIN, PLAIN]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mohammed", "muhammad"),
        ("yousef", "yusuf"),
        ("aleksey", "alexei"),
        ("kovalenko", "covalenko"),
        ("fatimah", "fatima"),
    ],
)
def test_spellings_of_one_name_sound_alike(one, other):
    assert sound(one) == sound(other)


def test_different_names_sound_different():
    assert len({sound(name) for name in ("hassan", "husayn", "maria", "mario", "kim", "kem")}) == 6


def test_nothing_and_noise_have_no_words():
    assert words("") == words("--- '' ...") == []


def test_an_endless_name_is_cut():
    assert len(words("ab cd " * 1000)) <= 32


@pytest.mark.parametrize(
    ("written", "latin"),
    [
        ("毛泽东", "Mao Zedong"),
        ("毛澤東", "Mao Zedong"),
        ("毛 泽东", "Mao Zedong"),
        ("歐陽修", "Ouyang Xiu"),
        ("欧阳", "Ou Yang"),
        ("毛泽东 / Анна", "Mao Zedong / Анна"),
        ("毛泽东、李娜 and Anna", "Mao Zedong 、 Li Na and Anna"),
        ("Mr 毛泽东。", "Mr Mao Zedong ."),
        ("毛泽东 先生 123", "Mao Zedong 123"),
        ("单雄信", "Shan Xiongxin"),
        ("仇志明", "Qiu Zhiming"),
        ("北京天宇公司", "Bei Jing Tian Yu Gong Si"),
        ("ヤマダ ハナコ", "yamada hanako"),
        ("ﾔﾏﾀﾞ", "yamada"),
        ("दाऊद इब्राहिम", "daud ibrahim"),
        ("Анна Müller", "Анна Müller"),
    ],
)
def test_letters_that_the_tables_do_not_know_are_read_one_by_one(written, latin):
    assert " ".join(romanised(written).split()) == latin
    assert has_other_letters(written) == (romanised(written) != written)


@pytest.mark.parametrize(
    "written", ["", "O\u2019Neil \u2013 Łukasz", "★ Joe", "김정은", "Ελένη Şahin", "محمد"]
)
def test_what_the_tables_know_has_no_other_letters(written):
    assert not has_other_letters(written)
