"""Countries as events and sanctions lists write them, as ISO 3166 alpha-2 codes."""

from functools import lru_cache

from scoring.core.names import split_words
from scoring.core.transliteration import without_unseen

# alpha-2, alpha-3, name; further names as the OFAC and UN lists and people write them.
_ROWS = """
AD AND Andorra|AE ARE United Arab Emirates/UAE/Emirates|AF AFG Afghanistan
AG ATG Antigua and Barbuda|AI AIA Anguilla|AL ALB Albania|AM ARM Armenia|AO AGO Angola
AQ ATA Antarctica|AR ARG Argentina|AS ASM American Samoa|AT AUT Austria|AU AUS Australia
AW ABW Aruba|AX ALA Aland Islands|AZ AZE Azerbaijan
BA BIH Bosnia and Herzegovina/Bosnia Herzegovina/Bosnia|BB BRB Barbados|BD BGD Bangladesh
BE BEL Belgium|BF BFA Burkina Faso|BG BGR Bulgaria|BH BHR Bahrain|BI BDI Burundi|BJ BEN Benin
BL BLM Saint Barthelemy|BM BMU Bermuda|BN BRN Brunei/Brunei Darussalam
BO BOL Bolivia/Plurinational State of Bolivia|BQ BES Bonaire|BR BRA Brazil
BS BHS Bahamas/The Bahamas|BT BTN Bhutan|BV BVT Bouvet Island|BW BWA Botswana|BY BLR Belarus
BZ BLZ Belize|CA CAN Canada|CC CCK Cocos Islands
CD COD Democratic Republic of the Congo/DR Congo/DRC|CF CAF Central African Republic
CG COG Congo/Republic of the Congo|CH CHE Switzerland|CI CIV Cote d Ivoire/Ivory Coast
CK COK Cook Islands|CL CHL Chile|CM CMR Cameroon|CN CHN China/Peoples Republic of China
CO COL Colombia|CR CRI Costa Rica|CU CUB Cuba|CV CPV Cabo Verde/Cape Verde|CW CUW Curacao
CX CXR Christmas Island|CY CYP Cyprus|CZ CZE Czech Republic/Czechia|DE DEU Germany|DJ DJI Djibouti
DK DNK Denmark|DM DMA Dominica|DO DOM Dominican Republic|DZ DZA Algeria|EC ECU Ecuador
EE EST Estonia|EG EGY Egypt|EH ESH Western Sahara|ER ERI Eritrea|ES ESP Spain|ET ETH Ethiopia
FI FIN Finland|FJ FJI Fiji|FK FLK Falkland Islands|FM FSM Micronesia|FO FRO Faroe Islands
FR FRA France|GA GAB Gabon
GB GBR United Kingdom/United Kingdom of Great Britain and Northern Ireland/Great Britain/England/UK
GD GRD Grenada|GE GEO Georgia|GF GUF French Guiana|GG GGY Guernsey|GH GHA Ghana|GI GIB Gibraltar
GL GRL Greenland|GM GMB Gambia/The Gambia|GN GIN Guinea|GP GLP Guadeloupe|GQ GNQ Equatorial Guinea
GR GRC Greece|GS SGS South Georgia|GT GTM Guatemala|GU GUM Guam|GW GNB Guinea Bissau|GY GUY Guyana
HK HKG Hong Kong/China Hong Kong Special Administrative Region|HM HMD Heard Island|HN HND Honduras
HR HRV Croatia|HT HTI Haiti|HU HUN Hungary|ID IDN Indonesia|IE IRL Ireland|IL ISR Israel
IM IMN Isle of Man/Man Isle of|IN IND India|IO IOT British Indian Ocean Territory|IQ IRQ Iraq
IR IRN Iran/Islamic Republic of Iran/Iran Islamic Republic of|IS ISL Iceland|IT ITA Italy
JE JEY Jersey|JM JAM Jamaica|JO JOR Jordan|JP JPN Japan|KE KEN Kenya|KG KGZ Kyrgyzstan
KH KHM Cambodia|KI KIR Kiribati|KM COM Comoros|KN KNA Saint Kitts and Nevis
KP PRK North Korea/Democratic Peoples Republic of Korea/DPRK
KR KOR South Korea/Republic of Korea/Korea Republic of|KW KWT Kuwait|KY CYM Cayman Islands
KZ KAZ Kazakhstan|LA LAO Laos/Lao Peoples Democratic Republic|LB LBN Lebanon|LC LCA Saint Lucia
LI LIE Liechtenstein|LK LKA Sri Lanka|LR LBR Liberia|LS LSO Lesotho|LT LTU Lithuania
LU LUX Luxembourg|LV LVA Latvia|LY LBY Libya/Libyan Arab Jamahiriya|MA MAR Morocco|MC MCO Monaco
MD MDA Moldova/Republic of Moldova|ME MNE Montenegro|MF MAF Saint Martin|MG MDG Madagascar
MH MHL Marshall Islands|MK MKD North Macedonia/Macedonia/The Former Yugoslav Republic of Macedonia
ML MLI Mali|MM MMR Myanmar/Burma|MN MNG Mongolia|MO MAC Macao/Macau|MP MNP Northern Mariana Islands
MQ MTQ Martinique|MR MRT Mauritania|MS MSR Montserrat|MT MLT Malta|MU MUS Mauritius|MV MDV Maldives
MW MWI Malawi|MX MEX Mexico|MY MYS Malaysia|MZ MOZ Mozambique|NA NAM Namibia|NC NCL New Caledonia
NE NER Niger|NF NFK Norfolk Island|NG NGA Nigeria|NI NIC Nicaragua
NL NLD Netherlands/The Netherlands|NO NOR Norway|NP NPL Nepal|NR NRU Nauru|NU NIU Niue
NZ NZL New Zealand|OM OMN Oman|PA PAN Panama|PE PER Peru|PF PYF French Polynesia
PG PNG Papua New Guinea|PH PHL Philippines|PK PAK Pakistan|PL POL Poland
PM SPM Saint Pierre and Miquelon|PN PCN Pitcairn|PR PRI Puerto Rico
PS PSE Palestinian/State of Palestine/Palestine/West Bank/Region Gaza/Region West Bank/Gaza
PT PRT Portugal|PW PLW Palau|PY PRY Paraguay|QA QAT Qatar|RE REU Reunion|RO ROU Romania
RS SRB Serbia/Serbia and Montenegro|RU RUS Russia/Russian Federation|RW RWA Rwanda
SA SAU Saudi Arabia|SB SLB Solomon Islands|SC SYC Seychelles|SD SDN Sudan/The Sudan|SE SWE Sweden
SG SGP Singapore|SH SHN Saint Helena|SI SVN Slovenia|SJ SJM Svalbard and Jan Mayen|SK SVK Slovakia
SL SLE Sierra Leone|SM SMR San Marino|SN SEN Senegal|SO SOM Somalia|SR SUR Suriname
SS SSD South Sudan|ST STP Sao Tome and Principe|SV SLV El Salvador|SX SXM Sint Maarten
SY SYR Syria/Syrian Arab Republic|SZ SWZ Eswatini/Swaziland|TC TCA Turks and Caicos Islands
TD TCD Chad|TF ATF French Southern Territories|TG TGO Togo|TH THA Thailand|TJ TJK Tajikistan
TK TKL Tokelau|TL TLS Timor Leste/East Timor|TM TKM Turkmenistan|TN TUN Tunisia|TO TON Tonga
TR TUR Turkey/Turkiye|TT TTO Trinidad and Tobago|TV TUV Tuvalu|TW TWN Taiwan
TZ TZA Tanzania/United Republic of Tanzania|UA UKR Ukraine/Region Crimea|UG UGA Uganda
UM UMI United States Minor Outlying Islands|US USA United States/United States of America
UY URY Uruguay|UZ UZB Uzbekistan|VA VAT Holy See/Vatican|VC VCT Saint Vincent and the Grenadines
VE VEN Venezuela/Bolivarian Republic of Venezuela
VG VGB British Virgin Islands/Virgin Islands British|VI VIR Virgin Islands US
VN VNM Vietnam/Viet Nam|VU VUT Vanuatu|WF WLF Wallis and Futuna|WS WSM Samoa|XK XKX Kosovo
YE YEM Yemen|YT MYT Mayotte|ZA ZAF South Africa|ZM ZMB Zambia|ZW ZWE Zimbabwe
"""
# Which of the words of a name carry it: the order and these are what lists differ in.
_LOOSE = frozenset({"the", "of", "and", "republic", "islamic"})


def _key(name: str) -> str:
    words = split_words(name)
    return " ".join(sorted(set(words) - _LOOSE)) or " ".join(words)


NAMES: dict[str, str] = {}
_CODES: dict[str, str] = {}
_BY_NAME: dict[str, str] = {}
for _row in _ROWS.replace("\n", "|").strip("|").split("|"):
    _short, _long, _rest = _row.split(" ", 2)
    _known = _rest.split("/")
    NAMES[_short] = _known[0]
    _CODES[_short] = _CODES[_long] = _short
    for _name in _known:
        _BY_NAME.setdefault(_key(_name), _short)
# Loose words would make these the same as their neighbours.
_BY_NAME |= {_key("Democratic Republic of the Congo"): "CD", _key("Dominican Republic"): "DO"}


@lru_cache(maxsize=2048)
def country_code(text: str) -> str:
    """The alpha-2 code of a code or a name, in any case and word order; empty for what is none."""
    text = without_unseen(text).strip()
    return _CODES.get(text.upper(), "") or _BY_NAME.get(_key(text), "")


def country_name(code: str) -> str:
    """The English name of an alpha-2 code; the code itself where it is none."""
    return NAMES.get(code, code)
