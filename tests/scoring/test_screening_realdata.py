"""The matcher on the lists as published: the bars of docs/screening.md, on a sample of names."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.ordinary_names import given_names
from benchmarks.screening import REVIEW, best_scores, ordinary_scores, read_lists, recall
from scoring.core.name_index import NameIndex
from scoring.core.screening import ListScreener, Qualifiers, find_parties
from scoring.core.spec import ScreeningSpec

FOLDER = Path(os.environ.get("RISK_DATA_DIR", "../shared/data")) / "ofac"
pytestmark = [
    pytest.mark.realdata,
    pytest.mark.slow,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"{FOLDER} is absent (RISK_DATA_DIR)"),
]
SAMPLE = 400
BUILD_SECONDS, INDEX_BYTES = 15.0, 40e6


@pytest.fixture(scope="module")
def lists():
    return read_lists(FOLDER)


@pytest.fixture(scope="module")
def index(lists):
    return NameIndex(lists)


@pytest.fixture(scope="module")
def scores(index, lists):
    return recall(index, lists, "reporting", SAMPLE)


# A little below what the whole list reaches: a sample of 400 strays by a point or so.
@pytest.mark.parametrize(
    ("variant", "bar"),
    [
        ("exact", 0.995),
        ("reordered", 0.995),
        ("accents and case", 0.995),
        ("one typo", 0.96),
        ("one typo, any word", 0.935),
        ("middle name dropped", 0.94),
        ("respelled", 0.90),
        ("in Cyrillic", 0.95),
    ],
)
def test_listed_names_are_found_in_their_variants(scores, variant, bar):
    assert np.mean(scores[variant] >= REVIEW) >= bar


@pytest.mark.parametrize(("half", "most"), [("tuning", 0.005), ("reporting", 0.0085)])
def test_ordinary_people_are_seldom_hit(index, half, most):
    """Choices were made on the tuning half. On the other one 0.78 % are hit, where 0.5 was aimed
    at: docs/screening.md says who they are."""
    best = ordinary_scores(index, half)
    assert np.mean(best >= REVIEW) < most


def test_a_given_name_alone_hits_hardly_more_than_the_parties_called_just_so(index):
    # 71 of 444: all but a few stand on a list as they are, in a common spelling or one of the same
    # sound (Mustapha, MOUSTAFA), or beside a title, a particle or a legal form.
    best = best_scores(index, given_names())
    assert np.sum(best >= REVIEW) <= 74


def test_well_known_parties_are_found_as_the_papers_write_them(index):
    for name in ("Osama bin Laden", "Nicolás Maduro", "Kim Jong-un", "Евгений Пригожин"):
        assert find_parties(index, name, Qualifiers(), REVIEW), name


@pytest.mark.parametrize(
    ("written", "entry"),
    [
        *(("魏学刚", "6714"), ("李方伟", "11447"), ("张磊", "16318"), ("胡永安", "16817")),
        *(("张继成", "16818"), ("王国英", "16819"), ("彭波", "18660"), ("陈明福", "19250")),
        *(("马晓红", "20565"), ("罗传旭", "20701"), ("张健", "21042"), ("李红日", "22609")),
        *(("孙伟", "22623"), ("孙思东", "23170"), ("刘翠英", "23226"), ("张克平", "23227")),
        *(("高燕", "23279"), ("朱跃群", "23481"), ("魏朝", "23647"), ("李尚福", "24838")),
        ("মাসুদ আজহার", "11459"),
    ],
)
def test_listed_people_are_found_in_letters_that_no_list_has(index, written, entry):
    spec = ScreeningSpec(name_field="name", lists=("ofac_sdn", "un"), review=REVIEW)
    found = ListScreener(spec, index).screen({"name": written})
    assert entry in {hit.entry for hit in found}


def test_common_words_written_as_one_do_not_crowd_out_the_listed_name(index):
    for name, entry in (
        ("Throaya Barzan Ibrahim Hasan al-Tikriti", "AL-TIKRITI, Thoraya Barzan Ibrahim Hasan"),
        ("Al-Haramain Foundation (Pakistan)", "AL-HARAMAIN FOUNDATION (PAKISTAN)"),
        ("Khalid Abd al-Rahman al-Fawaz", "KHALID ABD AL-RAHMAN HAMD AL-FAWAZ"),
    ):
        found = find_parties(index, name, Qualifiers(), REVIEW)
        assert entry in [listed.text for f in found for listed in f.listed.entry.names]


def test_the_index_is_quick_to_build_and_small(lists, index):
    begun = time.process_time()
    NameIndex(lists)
    assert time.process_time() - begun < BUILD_SECONDS
    arrays = [value.nbytes for value in vars(index).values() if isinstance(value, np.ndarray)]
    assert sum(arrays) + 60 * len(index.words) < INDEX_BYTES


def test_a_screening_takes_milliseconds_at_most(index):
    taken = []
    for name in ["Juan Carlos Garcia", "Mohammed Ali Hassan", "John Smith", "Wei Zhang"] * 25:
        begun = time.thread_time_ns()
        find_parties(index, name, Qualifiers(), REVIEW)
        taken.append(time.thread_time_ns() - begun)
    assert np.median(taken) < 2e6
