"""What each page is for, as its help drawer says it. By the name of the route."""

from riskplatform.page_help.administration import ADMINISTRATION
from riskplatform.page_help.detectors import DETECTORS
from riskplatform.page_help.entry import PageHelp
from riskplatform.page_help.models import MODELS
from riskplatform.page_help.triage import TRIAGE

PAGES: dict[str, PageHelp] = {**TRIAGE, **DETECTORS, **MODELS, **ADMINISTRATION}
