# ruff: noqa: RUF001 - tables of letters that look like others
"""Letters of other scripts and with marks as plain Latin ones, so that spellings can be compared.

Tables follow the common romanisations of passports and newspapers (ICAO 9303 and BGN/PCGN where
they agree with them). Arabic and Hebrew do not write short vowels, so what comes out of them is
mostly consonants. Han, kana and the scripts of India are left as they are by `to_latin`: they match
themselves. `romanised` reads those too.
"""

import re
import unicodedata

from anyascii import anyascii

_CYRILLIC = (
    "а a б b в v г g д d е e ё e ж zh з z и i й y к k л l м m н n о o п p р r с s т t у u ф f "
    "х kh ц ts ч ch ш sh щ shch ъ - ы y ь - э e ю yu я ya і i ї yi є ye ґ g ў u ђ dj ј j љ lj "
    "њ nj ћ c џ dz ѓ gj ќ kj ѕ dz ә a ғ g қ k ң n ө o ұ u ү u һ h җ j ҳ h ҷ j ӣ i ӯ u"
)
_GREEK = (
    "α a β v γ g δ d ε e ζ z η i θ th ι i κ k λ l μ m ν n ξ x ο o π p ρ r σ s ς s τ t υ y φ f "
    "χ ch ψ ps ω o"
)
_ARABIC = (
    "ا a آ a أ a إ i ٱ a ب b ت t ث th ج j ح h خ kh د d ذ dh ر r ز z س s ش sh ص s ض d ط t ظ z "
    "ع - غ gh ف f ق q ك k ل l م m ن n ه h و w ي y ى a ة a ء - ئ y ؤ w پ p چ ch ژ zh گ g ک k "
    "ی y ہ h ھ h ے e ں n ڈ d ڑ r ٹ t ځ z څ ts ډ d ړ r ښ sh ږ zh ڼ n ې e ۍ y ۀ a ە a ۆ o ڵ l ـ -"
)
_HEBREW = (
    "א a ב b ג g ד d ה h ו v ז z ח h ט t י y כ k ך k ל l מ m ם m נ n ן n ס s ע - פ p ף f צ ts "
    "ץ ts ק k ר r ש sh ת t"
)
_GEORGIAN = (
    "ა a ბ b გ g დ d ე e ვ v ზ z თ t ი i კ k ლ l მ m ნ n ო o პ p ჟ zh რ r ს s ტ t უ u ფ p ქ k "
    "ღ gh ყ q შ sh ჩ ch ც ts ძ dz წ ts ჭ ch ხ kh ჯ j ჰ h"
)
_ARMENIAN = (
    "ա a բ b գ g դ d ե e զ z է e ը y թ t ժ zh ի i լ l խ kh ծ ts կ k հ h ձ dz ղ gh ճ ch մ m յ y "
    "ն n շ sh ո o չ ch պ p ջ j ռ r ս s վ v տ t ր r ց ts ւ v փ p ք k և ev օ o ֆ f"
)
_LATIN = (
    "ß ss æ ae œ oe ø o ł l đ d ð d þ th ħ h ı i ĸ k ŋ n ə a ɛ e ɔ o ŧ t ƙ k ɗ d ɓ b ʿ - ʾ - ʼ -"
)
# Signs drawn around a letter (Me): marks, though Unicode gives them no combining class.
_ENCLOSING = (
    "\u0488 - \u0489 - \u1abe - \u20dd - \u20de - \u20df - \u20e0 - \u20e2 - \u20e3 - \u20e4 - "
    "\ua670 - \ua671 - \ua672 -"
)


def _parts(text: str) -> list[str]:
    return text.split()


_ONSETS = _parts("g kk n d tt r m b pp s ss - j jj ch k t p h")
_VOWELS = _parts("a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i")
_CODAS = _parts("- k k k n n n t l k m p l l p l m p p t t ng t t k t p t")
_HANGUL_FIRST, _HANGUL_LAST = 0xAC00, 0xD7A3
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+")
_LONGEST_HAN_NAME = 4
_FAMILY_NAMES = frozenset(
    _parts(
        "歐陽 欧阳 司馬 司马 諸葛 诸葛 上官 皇甫 尉遲 尉迟 公孫 公孙 慕容 令狐 "
        "司徒 夏侯 東方 东方 端木 西門 西门 南宮 南宫 獨孤 独孤 宇文 長孫 长孙"
    )
)
"""Of two letters; others have one."""
_FAMILY_READINGS = dict(
    zip(
        "单單仇查曾解盖蓋区區覃翟乐樂朴缪繆冼洗召员折种黑牟",
        _parts(
            "Shan Shan Qiu Zha Zeng Xie Ge Ge Ou Ou Qin Zhai Yue Yue Piao Miao Miao Xian Xian "
            "Shao Yun She Chong He Mu"
        ),
        strict=True,
    )
)
"""As a family name these are read otherwise."""
_HAN_TITLES = re.compile("先生|女士|小姐|博士|教授|太太")
_LONG_VOWEL = "ー"
BETWEEN = re.compile(r" (?:and|и) |\s*[&/;、]\s*", re.IGNORECASE)
"""What stands between two parties."""
_PARTS = re.compile(f"({BETWEEN.pattern})", re.IGNORECASE)


def _table(*rows: str) -> dict[int, str]:
    found = {}
    for row in rows:
        parts = row.split()
        for letter, latin in zip(parts[::2], parts[1::2], strict=True):
            found[ord(letter)] = "" if latin == "-" else latin
    return found


LETTERS = _table(_CYRILLIC, _GREEK, _ARABIC, _HEBREW, _GEORGIAN, _ARMENIAN, _LATIN, _ENCLOSING)
_ARTICLE = "ال"


def _hangul(text: str) -> str:
    """Korean syllables taken apart (Unicode, chapter 3.12) and romanised (Revised Romanization)."""
    out = []
    for letter in text:
        code = ord(letter) - _HANGUL_FIRST
        if 0 <= code <= _HANGUL_LAST - _HANGUL_FIRST:
            onset, rest = divmod(code, 21 * 28)
            vowel, coda = divmod(rest, 28)
            letter = (_ONSETS[onset] + _VOWELS[vowel] + _CODAS[coda]).replace("-", "")
        out.append(letter)
    return "".join(out)


def _split_articles(text: str) -> str:
    """The Arabic article stands apart, as it does behind the hyphen of Latin spellings."""
    words = text.split()
    long_enough = len(_ARTICLE) + 3
    return " ".join(
        f"al {word[2:]}" if word.startswith(_ARTICLE) and len(word) >= long_enough else word
        for word in words
    )


# What a page shows nothing of: controls that are no white space, format characters (Cf) and the
# rest of Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties.txt).
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891"
    "\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f"
    "\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
# Hangul fillers: ignorable too, but drawn as a blank.
_FILLER, _NARROW_FILLER = "\u3164", "\uffa0"


def without_unseen(text: str) -> str:
    """`text` as it looks: without characters that show nothing (soft hyphens, zero-width spaces).

    They come with text copied from pages, and would hide a name from whoever compares letters. The
    non-joiner of Persian goes too: its word is then one, which also meets its parts written apart.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub("", text).replace(_FILLER, " ").replace(_NARROW_FILLER, " ")


def first_unseen(text: str) -> str:
    """The first character of `text` that a reader takes for nothing or for a plain space, by its
    code point (`U+200B`); empty where there is none."""
    if text.isascii() and text.isprintable():
        return ""
    for letter in text:
        if without_unseen(letter) != letter or (
            letter != " " and unicodedata.category(letter) in ("Zs", "Zl", "Zp")
        ):
            return f"U+{ord(letter):04X}"
    return ""


def to_latin(text: str) -> str:
    """Lower case, without marks, in Latin letters as far as the tables go."""
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", text).casefold()
    if _ARTICLE in text:
        text = _split_articles(text)
    # Composed first: a letter with a row of its own (й) must not lose its mark before it is read.
    text = _hangul(text).translate(LETTERS)
    text = unicodedata.normalize("NFKD", text)
    return "".join(c for c in text if not unicodedata.combining(c)).translate(LETTERS)


def has_other_letters(text: str) -> bool:
    """Whether there are letters that `to_latin` leaves as they are."""
    return not text.isascii() and any(c.isalpha() and not c.isascii() for c in to_latin(text))


def romanised(text: str) -> str:
    """`text` with the letters that `to_latin` leaves alone in Latin ones too, one by one.

    Han is read in Mandarin, the name of a person as passports write it: `Mao Zedong`. Unwritten
    vowels stay unwritten (India), lengthened ones are written once (kana).
    """
    parts = _PARTS.split(text)
    parts[::2] = map(_party, parts[::2])
    return "".join(parts)


def _party(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).replace(_LONG_VOWEL, "")
    text = _HAN_TITLES.sub("", text)
    alone = len(_HAN.findall(text)) == 1
    text = _HAN.sub(lambda found: _han(found[0], alone=alone), text)
    return "".join(c if (read := to_latin(c)) and read.isascii() else anyascii(c) for c in text)


def _han(run: str, *, alone: bool) -> str:
    """Letters of Han in a row. One who writes no blank has the family name first; what is too long
    for a person is read by its syllables."""
    syllables = [anyascii(letter) for letter in run]
    if not alone:
        words = ["".join(syllables)]
    elif len(run) > _LONGEST_HAN_NAME:
        words = syllables
    else:
        family = 2 if run[:2] in _FAMILY_NAMES and len(run) > 2 else 1
        if family == 1:
            syllables[0] = _FAMILY_READINGS.get(run[0], syllables[0])
        words = ["".join(syllables[:family]), "".join(syllables[family:])]
    return " " + " ".join(word.capitalize() for word in words) + " "
