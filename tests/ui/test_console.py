"""The console in a real browser, against a gateway of ours with known users."""

import csv
import io
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from fake_shoppers import NOTES, REGIONS, Shopper
from playwright.sync_api import Page, expect

from eventually import eventually
from ui.conftest import MARKETAPP, Console

pytestmark = pytest.mark.timeout(120)


def rows(page: Page) -> list[str]:
    """Texts of the rows of the list that are loaded."""
    return page.get_by_role("list", name="Users").get_by_role("link").all_inner_texts()


def first_user(page: Page) -> None:
    page.get_by_role("list", name="Users").get_by_role("link").first.click()


def test_choosing_a_shopper_shows_the_forecast_at_once(console: Console, shoppers: list[Shopper]) -> None:
    page = console.open()
    first_user(page)
    expect(page.get_by_role("heading", name=shoppers[0].user_id)).to_be_visible()
    forecast = page.get_by_role("region", name="Forecast")
    expect(forecast).to_contain_text("Chance to buy in 7 days")
    expect(forecast).to_contain_text("₴")
    ahead = page.get_by_role("region", name="Days ahead")
    chances = [float(text.strip("<>%")) for text in ahead.locator("dd:not([aria-hidden])").all_inner_texts()]
    assert len(chances) == 4
    assert chances == sorted(chances)
    expect(ahead).to_contain_text("on average within 7 days")
    expect(page.get_by_role("region", name="Why")).to_contain_text("in the last 7 days")
    expect(page.get_by_role("region", name="Micro-trends")).to_contain_text("×")
    expect(page.get_by_role("region", name="Activity and spend")).to_be_visible()
    assert not any("predict" in asked for asked in console.gateway.seen)


def test_the_search_is_the_gateways_and_waits_for_a_pause_in_typing(console: Console, shoppers: list[Shopper]) -> None:
    wanted = shoppers[1234]
    page = console.open()
    expect(page.get_by_text("2,469 users")).to_be_visible()
    page.get_by_role("searchbox").press_sequentially(wanted.user_id[:13], delay=10)
    expect(page.get_by_text("1 user ·")).to_be_visible()
    assert len(rows(page)) == 1
    assert sum("search=" in asked for asked in console.gateway.seen) < 5
    assert f"q={wanted.user_id[:13]}" in page.url


def test_a_link_opens_the_same_search_and_shopper_again(console: Console, shoppers: list[Shopper]) -> None:
    wanted = next(shopper for shopper in shoppers if shopper.segment == "cold")
    page = console.open(f"/users/{wanted.user_id}?segment=cold&sort=total_spent")
    expect(page.get_by_role("heading", name=wanted.user_id)).to_be_visible()
    cold = sum(shopper.segment == "cold" for shopper in shoppers)
    expect(page.get_by_text(f"{cold} users")).to_be_visible()
    expect(page.get_by_role("combobox", name="Segment")).to_have_value("cold")


def test_all_users_are_behind_one_scrollbar_but_few_are_on_the_page(console: Console, shoppers: list[Shopper]) -> None:
    page = console.open()
    page.get_by_role("list", name="Users").get_by_role("link").first.focus()
    page.keyboard.press("End")
    last = page.get_by_role("link", name=re.compile(shoppers[-1].user_id[:8]))
    expect(last).to_be_focused()
    assert len(rows(page)) < 60
    assert sum(asked.startswith("/users") for asked in console.gateway.seen) < 6


def test_the_list_is_walked_with_the_keyboard(console: Console, shoppers: list[Shopper]) -> None:
    page = console.open()
    page.get_by_role("list", name="Users").get_by_role("link").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("link", name=re.compile(shoppers[1].user_id[:8]))).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=shoppers[1].user_id)).to_be_visible()


def test_segments_are_counted_and_filter_the_list(console: Console, shoppers: list[Shopper]) -> None:
    hot = sum(shopper.segment == "hot" for shopper in shoppers)
    page = console.open()
    page.get_by_role("group", name="Segments").get_by_role("button", name=re.compile("^Hot")).click()
    expect(page.get_by_text(f"{hot} users")).to_be_visible()
    page.get_by_role("searchbox").fill("nobody")
    page.get_by_role("button", name="Clear filters").click()
    expect(page.get_by_text("2,469 users")).to_be_visible()


def test_regions_to_filter_by_are_those_of_all_shoppers_seen_or_not(console: Console, shoppers: list[Shopper]) -> None:
    page = console.open("/?q=nobody")
    choice = page.get_by_role("combobox", name="Region")
    expect(choice.get_by_role("option")).to_have_text(["All regions", *sorted(REGIONS)])
    page.get_by_role("searchbox").fill("")
    choice.select_option(REGIONS[1])
    there = sum(shopper.region == REGIONS[1] for shopper in shoppers)
    expect(page.get_by_text(f"{there} users")).to_be_visible()


def test_a_shop_without_regions_has_no_filter_for_them(console: Console) -> None:
    console.gateway.regions = []
    page = console.open()
    expect(page.get_by_text("2,469 users")).to_be_visible()
    expect(page.get_by_role("combobox", name="Sort by")).to_be_visible()
    expect(page.get_by_role("combobox", name="Region")).to_have_count(0)


def test_what_if_starts_with_the_shoppers_values_and_keeps_the_answer(
    console: Console, shoppers: list[Shopper]
) -> None:
    shopper = shoppers[700]
    page = console.open(f"/users/{shopper.user_id}?view=what-if")
    field = page.get_by_label("Events in the last 7 days")
    expect(field).to_have_value(str(shopper.features["events_last_7d"]))
    field.fill("60")
    page.get_by_role("button", name="Forecast").click()
    answer = page.get_by_role("region", name="Forecast for these values")
    expect(answer).to_contain_text("was ")
    page.get_by_role("link", name="History").click()
    table = page.get_by_role("table", name="Past forecasts")
    expect(table).to_contain_text(f"events_last_7d: {shopper.features['events_last_7d']} → 60")
    page.reload()
    expect(table).to_contain_text("→ 60")
    expect(page.get_by_role("figure")).to_have_count(3)


def test_a_cleared_history_can_be_brought_back(console: Console) -> None:
    page = console.open("/what-if")
    page.get_by_role("button", name="Forecast").click()
    expect(page.get_by_role("region", name="Forecast for these values")).to_be_visible()
    page.get_by_role("link", name="History").click()
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("No forecasts asked for yet")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("table", name="Past forecasts")).to_contain_text("medians")


def test_a_text_in_a_numbers_place_is_not_sent(console: Console) -> None:
    page = console.open("/what-if")
    field = page.get_by_label("Events in the last 7 days")
    field.fill("many")
    page.get_by_role("button", name="Forecast").click()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_text("Write a number")).to_be_visible()
    assert not any("/predict" in asked for asked in console.gateway.seen)


def test_categories_are_chosen_from_the_models_own_list(console: Console) -> None:
    page = console.open("/what-if")
    field = page.get_by_label("Last event type")
    field.select_option("purchase")
    expect(field).to_have_value("purchase")


def test_without_forecasts_the_shoppers_are_listed_and_the_reason_is_said(
    console: Console, shoppers: list[Shopper]
) -> None:
    console.gateway.mode = "fallback"
    page = console.open()
    expect(page.get_by_role("alert")).to_contain_text("Fallback mode")
    expect(page.get_by_role("alert")).to_contain_text("anmodel forecast")
    expect(page.get_by_text("API degraded")).to_be_visible()
    expect(page.get_by_text("2,469 users")).to_be_visible()
    expect(page.get_by_role("group", name="Segments")).to_have_count(0)
    first_user(page)
    expect(page.get_by_text("No forecast for this user.")).to_be_visible()
    expect(page.get_by_role("region", name="Recent events")).to_be_visible()


def test_a_failure_is_shown_with_a_way_to_try_again(console: Console) -> None:
    console.gateway.failing = {"users"}
    page = console.open()
    failure = page.get_by_role("alert").filter(has_text="The users could not be loaded")
    expect(failure).to_contain_text("the predictor does not answer", timeout=20_000)
    console.gateway.failing = set()
    failure.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("2,469 users")).to_be_visible()


@pytest.mark.parametrize("user_id", ["nobody", "a/b ?#%", "ёжик🦔.png", "<b>"])
def test_a_shopper_who_does_not_exist_is_named_whatever_the_id(console: Console, user_id: str) -> None:
    page = console.open(f"/users/{quote(user_id, safe='')}")
    expect(page.get_by_role("alert")).to_contain_text(f"no user {user_id!r}")


def test_a_gateway_that_does_not_answer_is_named(console: Console) -> None:
    page = console.page
    page.route("**/config.json", lambda route: route.fulfill(json={"apiBase": console.url + "/gone"}))
    console.open()
    expect(page.get_by_text("API offline")).to_be_visible(timeout=20_000)


def test_a_wrong_configuration_stops_the_start_and_is_named(console: Console) -> None:
    console.page.route("**/config.json", lambda route: route.fulfill(json={"currency": "hryvnia"}))
    page = console.open()
    expect(page.get_by_role("alert")).to_contain_text("currency")


def test_the_list_is_a_file_too(console: Console, shoppers: list[Shopper]) -> None:
    page = console.open("/?segment=hot")
    with page.expect_download() as download:
        page.get_by_role("region", name="Users").get_by_role("button", name="CSV").click()
    text = Path(download.value.path()).read_text(encoding="utf-8-sig")
    exported = list(csv.DictReader(io.StringIO(text)))
    hot = [shopper for shopper in shoppers if shopper.segment == "hot"]
    assert [row["user_id"] for row in exported] == [shopper.user_id for shopper in hot]
    assert float(exported[0]["purchase_proba"]) == hot[0].prediction.purchase_proba
    assert float(exported[0]["spend_mean"]) == hot[0].prediction.spend_mean


def test_the_model_page_tells_how_good_the_model_is(console: Console) -> None:
    page = console.open("/model")
    table = page.get_by_role("table", name="How good it is")
    ranking = table.get_by_role("row", name=re.compile("^Ranking"))
    expect(ranking).to_contain_text("higher is better")
    expect(ranking.get_by_role("cell")).to_contain_text(["Ranking", "0.832", "0.741", "0.782", "–"])
    expect(ranking.get_by_role("strong")).to_have_text("0.832")
    expect(table.get_by_role("row", name=re.compile("^Error in days")).get_by_role("strong")).to_have_text("2.4")
    expect(table).not_to_contain_text("rmse")
    good = page.get_by_role("region", name="How good it is")
    expect(good.get_by_role("note")).to_have_text(NOTES[0])
    expect(good).to_contain_text("better than those of the best simple forecast")
    expect(good.get_by_text("test_rmse_days")).not_to_be_visible()
    good.get_by_text("More numbers").click()
    expect(good.get_by_text("test_rmse_days")).to_be_visible()
    names = page.get_by_role("table", name="Features").get_by_role("row")
    page.get_by_role("button", name="Name").click()
    expect(names.nth(1)).to_contain_text("active_days")


def test_the_model_page_tells_what_the_monitor_found_and_what_to_do(console: Console) -> None:
    page = console.open("/model")
    health = page.get_by_role("region", name="Model health")
    expect(health.get_by_text("Alarm").first).to_be_visible()
    expect(health).to_contain_text("10 of 36 things measured are not as they should be.")
    first = health.get_by_role("listitem").first
    expect(first).to_contain_text("Items put in the cart in the last 7 days")
    expect(first).to_contain_text("spread otherwise than in training (PSI 0.36)")
    expect(health.get_by_text("What to do:")).to_have_count(4)
    expect(health.get_by_text("All events up to the snapshot: spread")).not_to_be_visible()
    health.get_by_text("more of this kind").first.click()
    expect(health.get_by_text("All events up to the snapshot: spread")).to_be_visible()
    lift = health.get_by_role("img", name=re.compile("^Lift"))
    expect(lift).to_contain_text("17 Nov 2026, version 3: 3.")
    expect(health.get_by_role("img", name="Ranking (ROC AUC)")).to_contain_text("version 2: 0.78")


def test_a_model_that_is_well_or_was_not_measured_is_said_to_be_so(console: Console) -> None:
    console.gateway.health = "ok"
    page = console.open("/model")
    health = page.get_by_role("region", name="Model health")
    expect(health).to_contain_text("All 32 things measured are as they should be.")
    expect(health.get_by_text("What to do:")).to_have_count(0)
    health.get_by_text("What is well (32)").click()
    expect(health).to_contain_text("The likeliest tenth bought 3.4 times as often as all users")
    expect(health).to_contain_text("And 29 measures of single features")
    console.gateway.health = "unmeasured"
    page.reload()
    expect(health).to_contain_text("Nothing has been measured of this version yet: run anmodel monitor")
    console.gateway.mode = "fallback"
    page.reload()
    expect(health).to_contain_text("There are no forecasts yet")
    console.gateway.failing.add("monitor")
    page.reload()
    expect(page.get_by_text("The model's health could not be loaded.")).to_be_visible()


@pytest.mark.parametrize("path", ["/", "/users/{user}", "/users/{user}?view=what-if", "/what-if", "/history", "/model"])
def test_a_phone_has_no_sideways_scrolling(console: Console, shoppers: list[Shopper], path: str) -> None:
    console.page.set_viewport_size({"width": 390, "height": 844})
    page = console.open(path.format(user=shoppers[3].user_id))
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.evaluate("document.querySelector('main').scrollWidth <= document.querySelector('main').clientWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/users/{user}", "/users/{user}?view=what-if", "/history", "/model"])
def test_the_accessibility_checker_finds_nothing(
    console: Console, shoppers: list[Shopper], path: str, scheme: str
) -> None:
    page = console.page
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    console.open(path.format(user=shoppers[3].user_id))
    page.wait_for_load_state("networkidle")
    eventually(lambda: page.get_by_role("status", name=re.compile("^Loading")).count() == 0)
    page.evaluate((MARKETAPP / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(({ violations }) => violations)")
    assert [(item["id"], [node["html"][:160] for node in item["nodes"][:3]]) for item in found] == []
