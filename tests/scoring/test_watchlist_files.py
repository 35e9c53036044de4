"""Published files: what is read out of them, and what is refused."""

import pytest

from scoring.core.watchlist import AIRCRAFT, ENTITY, PERSON, UNKNOWN, WatchlistError, pack, unpack
from scoring.watchlist_files import missing_files, parse_ofac, parse_ofac_xml, parse_un

EMPTY = ",".join(["-0- "] * 7)
SDN = (
    f'36,"SALPETRA, S.A.",-0- ,"CUBA",{EMPTY},-0- \r\n'
    f'41,"RASSKOLNIKOW, Rodion R.","individual","X",{EMPTY},'
    '"DOB 01 May 1843; alt. DOB circa 1850; alt. DOB Mar 1851; DOB 1860 to 1862; POB Lucerne, '
    "Switzerland; nationality Korea, North; a.k.a. 'GREYBEARD'; \"\r\n"
    f'50,"EP-GOM","aircraft","Y",{EMPTY},-0- \r\n'
    "\x1a\r\n"
)
ALT = (
    '41,1,"aka","RASKOLNIKOFF, R.",-0- \r\n36,2,"fka","SALPETRA, LTD.",-0- \r\n'
    '99,3,"aka","LOST, Alma",-0- \r\n'
)
ADD = '41,7,-0- ,"Bern","Iran",-0- \r\n'
COMMENTS = "41,\"a.k.a. 'LATE'.\"\r\n"
FILES = {
    "sdn.csv": SDN.encode(),
    "alt.csv": ALT.encode(),
    "add.csv": ADD.encode(),
    "sdn_comments.csv": COMMENTS.encode(),
}
# The same parties as above, in OFAC's other form.
SDN_XML = """<?xml version="1.0" standalone="yes"?>
<sdnList xmlns="https://lists.example/XML"><publshInformation><Record_Count>4</Record_Count>
</publshInformation>
<sdnEntry><uid>36</uid><lastName>SALPETRA, S.A.</lastName><sdnType>Entity</sdnType>
<programList><program>CUBA</program></programList>
<akaList><aka><uid>2</uid><category>strong</category><lastName>SALPETRA, LTD.</lastName></aka>
</akaList></sdnEntry>
<sdnEntry><uid>41</uid><firstName>Rodion R.</firstName><lastName>RASSKOLNIKOW</lastName>
<sdnType>Individual</sdnType><programList><program>X</program></programList><akaList>
<aka><category>strong</category><lastName>RASKOLNIKOFF</lastName><firstName>R.</firstName></aka>
<aka><category>weak</category><lastName>GREYBEARD</lastName></aka>
<aka><category>weak</category><lastName>LATE</lastName></aka></akaList>
<addressList><address><city>Bern</city><country>Iran</country></address></addressList>
<nationalityList><nationality><country>Korea, North</country></nationality></nationalityList>
<dateOfBirthList><dateOfBirthItem><dateOfBirth>01 May 1843</dateOfBirth></dateOfBirthItem>
<dateOfBirthItem><dateOfBirth>circa 1850</dateOfBirth></dateOfBirthItem>
<dateOfBirthItem><dateOfBirth>Mar 1851</dateOfBirth></dateOfBirthItem>
<dateOfBirthItem><dateOfBirth>1860 to 1862</dateOfBirth></dateOfBirthItem></dateOfBirthList>
<placeOfBirthList><placeOfBirthItem><placeOfBirth>Lucerne, Switzerland</placeOfBirth>
</placeOfBirthItem></placeOfBirthList></sdnEntry>
<sdnEntry><uid>50</uid><lastName>EP-GOM</lastName><sdnType>Aircraft</sdnType>
<programList><program>Y</program></programList></sdnEntry></sdnList>"""
UN = """<?xml version="1.0"?><CONSOLIDATED_LIST><INDIVIDUALS><INDIVIDUAL><DATAID>1</DATAID>
<FIRST_NAME>RODION</FIRST_NAME><SECOND_NAME>R</SECOND_NAME><THIRD_NAME>RASSKOLNIKOW</THIRD_NAME>
<UN_LIST_TYPE>Test</UN_LIST_TYPE><REFERENCE_NUMBER>TSi.001</REFERENCE_NUMBER>
<NATIONALITY><VALUE>Iran (Islamic Republic of)</VALUE></NATIONALITY>
<NAME_ORIGINAL_SCRIPT>Родион</NAME_ORIGINAL_SCRIPT>
<INDIVIDUAL_ALIAS><QUALITY>Good</QUALITY>
<ALIAS_NAME>Rodja One; Rodja Two</ALIAS_NAME></INDIVIDUAL_ALIAS>
<INDIVIDUAL_ALIAS><QUALITY>Low</QUALITY><ALIAS_NAME>Greybeard</ALIAS_NAME></INDIVIDUAL_ALIAS>
<INDIVIDUAL_ALIAS><QUALITY/><ALIAS_NAME/></INDIVIDUAL_ALIAS>
<INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>BETWEEN</TYPE_OF_DATE><FROM_YEAR>1960</FROM_YEAR>
<TO_YEAR>1962</TO_YEAR></INDIVIDUAL_DATE_OF_BIRTH>
<INDIVIDUAL_DATE_OF_BIRTH><TYPE_OF_DATE>APPROXIMATELY</TYPE_OF_DATE><YEAR>1970</YEAR></INDIVIDUAL_DATE_OF_BIRTH>
</INDIVIDUAL></INDIVIDUALS><ENTITIES><ENTITY><FIRST_NAME>SALPETRA (WORKS)</FIRST_NAME>
<REFERENCE_NUMBER>TSe.002</REFERENCE_NUMBER></ENTITY></ENTITIES></CONSOLIDATED_LIST>"""


@pytest.fixture
def ofac():
    return {entry.id: entry for entry in parse_ofac(FILES)}


@pytest.fixture
def un():
    return {entry.id: entry for entry in parse_un(UN.encode())}


def test_a_person_has_family_and_given_name_and_a_company_has_not(ofac):
    assert (ofac["41"].names[0].family, ofac["41"].names[0].given) == ("RASSKOLNIKOW", "Rodion R.")
    assert [name.family for name in ofac["36"].names] == ["", ""]
    assert [ofac[number].kind for number in ("36", "41", "50")] == [ENTITY, PERSON, AIRCRAFT]


def test_aliases_are_names_and_those_in_remarks_are_weak(ofac):
    assert [(name.text, name.weak) for name in ofac["41"].names] == [
        ("RASSKOLNIKOW, Rodion R.", False),
        ("RASKOLNIKOFF, R.", False),
        ("GREYBEARD", True),
        ("LATE", True),
    ]


@pytest.mark.parametrize(
    ("said", "born"),
    [
        ("DOB circa 0001", [("0001-01-01", "0003-12-31")]),
        ("DOB circa 9998", [("9996-01-01", "9999-12-31")]),
        ("DOB Dec 9999", [("9999-12-01", "9999-12-31")]),
        ("DOB Feb 1960", [("1960-02-01", "1960-02-29")]),
        ("DOB 0000", []),
        ("DOB \N{ARABIC-INDIC DIGIT ZERO}", []),
        ("DOB " + 4 * "\N{ARABIC-INDIC DIGIT ZERO}", []),
    ],
)
def test_an_odd_year_keeps_no_list_from_being_read(said, born):
    row = f'41,"PIKE, Zebulon","individual","X",{EMPTY},"{said}"\r\n'
    [entry] = parse_ofac({"sdn.csv": row.encode()})
    assert list(entry.born) == born


def test_births_are_spans_and_circa_widens_them(ofac):
    assert ofac["41"].born == (
        ("1843-05-01", "1843-05-01"),
        ("1848-01-01", "1852-12-31"),
        ("1851-03-01", "1851-03-31"),
        ("1860-01-01", "1862-12-31"),
    )


def test_countries_come_from_nationality_birth_and_address(ofac):
    assert ofac["41"].countries == ("CH", "IR", "KP")


def test_an_alias_without_its_party_is_kept(ofac):
    assert (ofac["99"].kind, ofac["99"].names[0].family) == (UNKNOWN, "LOST")


def test_empty_means_empty(ofac):
    assert (ofac["36"].countries, ofac["36"].born, ofac["50"].programs) == ((), (), "Y")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"1,2,3\r\n", "3 fields"), (SDN.replace("36", "abc", 1).encode(), "not an entry's number")],
)
def test_rows_of_another_shape_are_refused(content, said):
    with pytest.raises(WatchlistError, match=said):
        parse_ofac({"sdn.csv": content})


def test_ofac_needs_its_primary_file():
    with pytest.raises(WatchlistError, match=r"sdn\.csv"):
        parse_ofac({"alt.csv": ALT.encode()})


def test_the_single_file_reads_as_the_four(ofac):
    assert parse_ofac_xml(SDN_XML.encode()) == [ofac[number] for number in ("36", "41", "50")]


def test_several_programs_are_written_alike_in_both_forms():
    two = SDN_XML.replace("<program>Y</program>", "<program>Y</program><program>Z</program>")
    assert parse_ofac_xml(two.encode())[2].programs == "Y] [Z"


@pytest.mark.parametrize(
    ("written", "said"),
    [("<uid>50</uid>", "not an entry's number"), ("<lastName>EP-GOM</lastName>", "has no name")],
)
def test_an_entry_without_number_or_name_is_refused(written, said):
    with pytest.raises(WatchlistError, match=said):
        parse_ofac_xml(SDN_XML.replace(written, "").encode())


def test_files_without_a_row_are_missing_too():
    assert missing_files(FILES) == ()
    given = {"sdn.csv": b"1", "alt.csv": b"\x1a\r\n", "add.csv": b""}
    assert missing_files(given) == ("alt.csv", "add.csv", "sdn_comments.csv")


def test_the_un_names_a_person_in_parts(un):
    main = un["TSi.001"].names[0]
    assert (main.text, main.family, main.given) == (
        "RODION R RASSKOLNIKOW",
        "RASSKOLNIKOW",
        "RODION R",
    )


def test_un_aliases_are_split_and_low_ones_are_weak(un):
    names = [(name.text, name.weak) for name in un["TSi.001"].names[1:]]
    assert names == [("Родион", False), ("Rodja One", False), ("Rodja Two", False),
                     ("Greybeard", True)]  # fmt: skip


def test_un_births_and_countries(un):
    assert un["TSi.001"].born == (("1960-01-01", "1962-12-31"), ("1968-01-01", "1972-12-31"))
    assert un["TSi.001"].countries == ("IR",)


def test_an_entity_is_also_known_without_its_brackets(un):
    assert [name.text for name in un["TSe.002"].names] == ["SALPETRA (WORKS)", "SALPETRA"]


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><CONSOLIDATED_LIST>&b;</CONSOLIDATED_LIST>'
)
FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><CONSOLIDATED_LIST>&a;</CONSOLIDATED_LIST>'


@pytest.mark.parametrize("content", [BOMB, FILE, "<other/>", "<CONSOLIDATED_LIST>", "nothing", ""])
def test_entities_and_other_documents_are_refused(content):
    with pytest.raises(WatchlistError):
        parse_un(content.encode())
    with pytest.raises(WatchlistError, match=r"alt\.csv"):
        parse_ofac_xml(content.replace("CONSOLIDATED_LIST", "sdnList").encode())


def test_packed_and_unpacked_a_list_is_the_same():
    entries = parse_ofac(FILES)
    digest, content = pack(list(reversed(entries)))
    assert pack(entries) == (digest, content)
    assert unpack(digest, content) == sorted(entries, key=lambda entry: entry.id)


def test_a_changed_byte_is_noticed():
    digest, content = pack(parse_ofac(FILES))
    with pytest.raises(WatchlistError, match="not what it was"):
        unpack("0" * 64, content)
    with pytest.raises(WatchlistError, match=r"damaged|not what"):
        unpack(digest, content[:-9] + b"x" + content[-8:])
