"""Comparison, explanation, card and integrity of versions, in a real Chromium."""

import re
import zipfile
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import assert_accessible
from tests.e2e.stack import Stack

pytestmark = [
    pytest.mark.browser,
    pytest.mark.worker,
    pytest.mark.slow,
    pytest.mark.xdist_group("browser-2"),
]
SignIn = Callable[[str], Page]
REDRAW = """(box, xs) => {
    const source = document.querySelector(box.dataset.chartSrc);
    const figure = JSON.parse(source.textContent);
    figure.data[0].x = xs;
    figure.data[0].y = xs;
    source.textContent = JSON.stringify(figure);
    document.dispatchEvent(new Event("risk:theme"));
}"""


@pytest.fixture(scope="module")
def pair(platform: Stack) -> tuple[str, str]:
    """The ids of the champion and of a challenger of another algorithm."""
    printed = platform.manage("train", "--detector", "fraud", "--learner", "logistic_regression")
    assert "challenger" in printed
    code = (
        "from models_registry.models import ModelVersion as V;"
        "rows = V.objects.filter(detector__slug='fraud');"
        "print(rows.get(stage='champion').pk, rows.latest('number').pk)"
    )
    champion, challenger = platform.run(code).split()
    return champion, challenger


def test_an_owner_chooses_two_versions_by_keyboard_and_keeps_the_address(
    sign_in: SignIn, pair: tuple[str, str]
) -> None:
    page = sign_in("owner")
    page.goto("/models/compare/?detector=fraud")
    for place, pk in enumerate(pair, start=1):
        page.locator(f"#v{place}").focus()
        page.locator(f"#v{place}").select_option(pk)
    page.get_by_role("button", name="Compare").press("Enter")
    page.wait_for_url(re.compile(rf"v={pair[0]}&v={pair[1]}"))
    expect(page.get_by_role("region", name="Metrics")).to_contain_text("ROC AUC")
    expect(page.get_by_role("region", name="Parameters that differ")).to_contain_text("Algorithm")
    expect(page.locator(".js-plotly-plot")).to_have_count(4)


def test_the_explanation_is_drawn_and_a_feature_chosen_by_keyboard(
    sign_in: SignIn, pair: tuple[str, str]
) -> None:
    page = sign_in("analyst")
    page.goto(f"/models/{pair[0]}/explanation/")
    expect(page.locator(".js-plotly-plot")).to_have_count(3)
    page.get_by_label("Feature", exact=True).focus()
    page.get_by_label("Feature", exact=True).select_option("merchant_type")
    page.get_by_role("button", name="Show", exact=True).press("Enter")
    page.wait_for_url(re.compile(r"feature=merchant_type"))
    expect(page.get_by_role("region", name="Dependence on merchant_type, table")).to_contain_text(
        "gaming"
    )
    page.get_by_role("button", name="Show as table").first.click()
    expect(page.locator(".chart-table").first).to_be_visible()


def test_a_figure_of_any_size_is_drawn_without_a_complaint(
    sign_in: SignIn, pair: tuple[str, str]
) -> None:
    page = sign_in("analyst")
    # A number: the strongest feature, which is shown unless asked, may be a category.
    page.goto(f"/models/{pair[0]}/explanation/?feature=transaction_amount")
    expect(page.locator(".js-plotly-plot")).to_have_count(3)
    box = page.locator(".js-plotly-plot").last
    for scale, said in ((1.0, r"^\d$"), (1e15, r"e\+15"), (9e200, r"e\+20"), (1e-20, r"e.20")):
        box.evaluate(REDRAW, [step * scale for step in range(10)])
        expect(box.locator(".xtick").last).to_have_text(re.compile(said))


def test_the_card_is_read_and_printed_without_the_frame(
    sign_in: SignIn, pair: tuple[str, str]
) -> None:
    page = sign_in("analyst")
    page.goto(f"/models/{pair[0]}/card/")
    expect(page.locator("main")).to_contain_text("Label policy")
    expect(page.get_by_role("heading", name="By merchant_type")).to_be_visible()
    page.emulate_media(media="print")
    expect(page.locator(".rail")).to_be_hidden()
    expect(page.locator("article")).to_be_visible()


def test_an_owner_downloads_a_version_under_its_digest(
    sign_in: SignIn, pair: tuple[str, str]
) -> None:
    page = sign_in("owner")
    page.goto(f"/models/{pair[1]}/")
    with page.expect_download() as download:
        page.get_by_role("link", name="Export").click()
    assert re.fullmatch(r"fraud-v\d+-[0-9a-f]{64}\.zip", download.value.suggested_filename)
    assert zipfile.is_zipfile(download.value.path())


def test_no_page_of_the_registry_has_an_accessibility_violation(
    sign_in: SignIn, pair: tuple[str, str]
) -> None:
    page = sign_in("owner")
    for path in (
        "/models/compare/",
        f"/models/compare/?v={pair[0]}&v={pair[1]}",
        f"/models/{pair[0]}/",
        f"/models/{pair[0]}/explanation/?feature=merchant_type",
        f"/models/{pair[0]}/card/",
        "/models/integrity/",
        "/models/import/fraud/",
    ):
        page.goto(path)
        assert_accessible(page)
