"""The report in a real browser: offline, without complaints, drawn, readable, reachable by keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from dbpool.loadtest.report.html import page
from tests.support.chromium import looking
from tests.support.loadtestdocument import sample_document

FIGURES = "figure[data-figure]"

# How many different colours each canvas has: a blank one has one.
COLORS = """() => Object.fromEntries([...document.querySelectorAll("figure[data-figure]")].map((figure) => {
  const canvas = figure.querySelector("canvas");
  const pixels = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
  return [figure.dataset.figure, new Set(pixels).size];
}))"""

# Elements that stick out on the right, but for what scrolls within its own frame.
STICKING_OUT = """() => [...document.querySelectorAll("body *")].filter((each) =>
  each.getBoundingClientRect().right > innerWidth + 1 && !each.closest(".scroll, pre, .unseen, .skip, .still")
).map((each) => each.outerHTML.slice(0, 80))"""

TABLES = """() => Object.fromEntries([...document.querySelectorAll("table")].map((table) =>
  [table.caption.textContent, [...table.rows].map((row) => [...row.cells].map((cell) => cell.textContent))]))"""


async def test_it_is_drawn_without_network_or_complaint_and_asks_for_nothing(browser: Browser, report: Path) -> None:
    async with looking(browser, report, is_offline=True) as look:
        assert await look.page.locator(FIGURES).count() >= 18
        assert look.complaints == []
        assert look.requests == [report.as_uri()]


@pytest.mark.parametrize("is_dark", [False, True])
async def test_every_plot_is_drawn_in_light_and_in_dark(browser: Browser, report: Path, is_dark: bool) -> None:
    async with looking(browser, report, is_dark=is_dark) as look:
        colors = await look.ask(COLORS)
        assert min(colors.values()) > 10, colors
        assert await look.page.locator(f"{FIGURES} svg.drawing").count() == len(colors)
        light = await look.ask("() => getComputedStyle(document.body).backgroundColor")
        assert (light == "rgb(246, 246, 243)") == (not is_dark)
        assert look.complaints == []


@pytest.mark.slow
async def test_a_change_between_light_and_dark_draws_the_plots_anew(browser: Browser, report: Path) -> None:
    first_pixel = """() => { const canvas = document.querySelector('[data-figure=goodput] canvas');
        return [...canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data].join() }"""
    async with looking(browser, report) as look:
        before = await look.ask(first_pixel)
        await look.page.emulate_media(color_scheme="dark")
        await look.page.wait_for_function(f"(before) => ({first_pixel})() !== before", arg=before)
        assert look.complaints == []


@pytest.mark.parametrize("width", [320, 390, *(pytest.param(width, marks=pytest.mark.slow) for width in (768, 1280))])
async def test_nothing_has_to_be_scrolled_to_the_side(browser: Browser, report: Path, width: int) -> None:
    async with looking(browser, report, width=width) as look:
        assert await look.ask("() => document.documentElement.scrollWidth") <= width
        assert await look.ask(STICKING_OUT) == []
        await look.ask("() => document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        assert await look.ask("() => document.documentElement.scrollWidth") <= width


async def test_without_scripts_every_figure_is_a_drawing(browser: Browser, report: Path) -> None:
    async with looking(browser, report, has_script=False) as look:
        drawings = look.page.locator(f"{FIGURES} svg.drawing")
        assert await drawings.count() == await look.page.locator(FIGURES).count()
        for drawing in await drawings.all():
            assert await drawing.is_visible()


@pytest.mark.slow
async def test_on_paper_every_figure_is_a_drawing(browser: Browser, report: Path) -> None:
    async with looking(browser, report) as look:
        assert not await look.page.locator("svg.drawing").first.is_visible()
        await look.page.emulate_media(media="print")
        for drawing in await look.page.locator("svg.drawing").all():
            assert await drawing.is_visible()
        assert not await look.page.locator("canvas").first.is_visible()


async def test_keys_reach_plots_buttons_and_tables_and_read_values(browser: Browser, report: Path) -> None:
    async with looking(browser, report) as look:
        await look.page.keyboard.press("Tab")
        assert await look.ask("() => document.activeElement.textContent") == "Skip to the report"
        await look.page.keyboard.press("Enter")
        seen = []
        for _ in range(30):
            await look.page.keyboard.press("Tab")
            seen.append(await look.ask("() => document.activeElement.className || document.activeElement.tagName"))
            assert await look.ask("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"
        assert {"copy", "BUTTON", "lively", "SUMMARY", "scroll"} <= set(seen)
        await look.page.locator("[data-figure=throughput] .lively").focus()
        await look.page.keyboard.press("ArrowRight")
        await look.page.keyboard.press("ArrowRight")
        said = await look.page.locator("[data-figure=throughput] [aria-live]").inner_text()
        document = sample_document()
        second = document["knee"]["sizes"][1]
        assert f"connections in the pool: {second['size']}:" in said
        assert f"measured, with its 95 % interval {second['tps']:,.0f}" in said


@pytest.mark.slow
async def test_plots_over_time_are_zoomed_together_by_keys_and_shown_whole_again(
    browser: Browser, report: Path
) -> None:
    ranges = """() => ['timeline', 'waits'].map((key) => {
      const { min, max } = Plots.made.get(key).plot.scales.x;
      return max - min;
    })"""
    async with looking(browser, report) as look:
        whole = await look.ask(ranges)
        await look.page.locator("[data-figure=timeline] .lively").focus()
        await look.page.keyboard.press("End")
        await look.page.keyboard.press("+")
        await look.page.wait_for_function(f"(whole) => ({ranges})().every((each) => each < whole * 0.6)", arg=whole[0])
        await look.page.locator("[data-figure=waits] .reset").click()
        await look.page.wait_for_function(f"(whole) => ({ranges})().every((each) => each === whole)", arg=whole[0])


@pytest.mark.slow
async def test_an_area_is_hidden_and_shown_again_by_its_button(browser: Browser, report: Path) -> None:
    blue = """() => { const canvas = document.querySelector('[data-figure=connections] canvas');
      const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      let many = 0;
      for (let at = 0; at < pixels.length; at += 4)
        many += pixels[at] === 0x1f && pixels[at + 1] === 0x6c && pixels[at + 2] === 0xb0;
      return many; }"""
    async with looking(browser, report) as look:
        assert await look.ask(blue) > 1000
        button = look.page.locator("[data-figure=connections] .legend button").first
        await button.click()
        assert await button.get_attribute("aria-pressed") == "false"
        await look.page.wait_for_function(f"() => ({blue})() === 0")
        await button.click()
        assert await button.get_attribute("aria-pressed") == "true"
        await look.page.wait_for_function(f"() => ({blue})() > 1000")


@pytest.mark.slow
async def test_the_code_is_copied_as_it_is(browser: Browser, report: Path) -> None:
    async with looking(browser, report) as look:
        await look.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await look.page.locator(".copy").click()
        await look.page.wait_for_function("() => document.querySelector('.copy').textContent !== 'Copy'")
        shown = await look.page.locator(".copy").inner_text()
        selected = await look.ask("() => String(getSelection())")
        code = sample_document()["recommendation"]["code"]
        assert shown == "Copied" or (shown == "Press Ctrl+C" and selected.strip() == code.strip())


def number(text: str) -> float:
    return float(text.replace(",", "").rstrip("%").strip())


async def test_tables_have_the_numbers_of_the_document(browser: Browser, report: Path) -> None:
    document = sample_document()
    async with looking(browser, report) as look:
        tables: dict[str, Any] = await look.ask(TABLES)
    for row, size in zip(tables["Throughput by pool size"][1:], document["knee"]["sizes"], strict=True):
        assert number(row[0]) == size["size"]
        assert [number(cell) for cell in row[1:4]] == [round(size[name]) for name in ("tps", "low", "high")]
        assert number(row[4]) == size["repeats"]
    points = tables["All points"][1:]
    assert len(points) == len(document["points"])
    for row, point in zip(points, document["points"], strict=True):
        assert row[:3] == [str(point["id"]), point["stage"], point["driver"]]
        assert number(row[7]) == round(point["tps"]["mean"])
        for cell, series, name in zip(row[8:12], ("response",) * 2 + ("service",) * 2, ("p50", "p99") * 2, strict=True):
            assert number(cell) == pytest.approx(point[f"{series}_ms"][name], rel=5e-3)
    for row, step in zip(tables["Goodput by offered load"][1:], document["overload"]["steps"], strict=True):
        assert number(row[0]) == round(step["share"] * 100)
        assert number(row[2]) == round(step["goodput_tps"])
        assert [number(cell) for cell in row[4:8]] == [step[k] for k in ("skipped", "dropped", "timeouts", "errors")]
    seconds = sorted(document["timeline"], key=lambda line: (line["point"], line["t"]))
    assert [number(row[2]) for row in tables["Throughput over time"][1:]] == [line["completed"] for line in seconds]
    looks = document["samples"]
    active = [sample["ours"]["active"] for sample in looks]
    assert [number(row[1]) for row in tables["Connections on the server"][1:]] == active
    curve = document["limits"]["probe"]["connect_ms_curve"]
    assert [number(row[1]) for row in tables["Time to connect"][1:]] == pytest.approx(curve, rel=5e-3)
    for row, each in zip(tables["Connections of the fleet"][1:], document["budget"]["rows"], strict=True):
        assert [number(cell) for cell in row[:3]] == [each[k] for k in ("pool_size", "connections", "at_deploy")]
        assert row[3].startswith("✓") == each["fits"]


@pytest.mark.parametrize(
    "text", ["</script><script>document.title = 'broken'</script>", "<img src=x onerror=\"document.title='broken'\">"]
)
async def test_a_hostile_text_runs_nothing(browser: Browser, tmp_path: Path, text: str) -> None:
    document = sample_document()
    document["workload"]["scripts"][0]["name"] = text
    document["recommendation"]["reasons"] = [text]
    for part in document["storm"]["parts"]:
        part["name"] = text
    file = tmp_path / "hostile.html"
    file.write_text(page(document), encoding="utf-8")
    async with looking(browser, file) as look:
        assert await look.page.title() != "broken"
        assert text in await look.page.locator(".says").inner_text()
        assert min((await look.ask(COLORS)).values()) > 10
        assert look.complaints == []
        # even where a text had got in as markup, the policy would not let it run
        await look.ask(
            "() => { const one = document.createElement('script'); one.textContent = 'document.title = \"broken\"';"
            " document.body.append(one); }"
        )
        assert await look.page.title() != "broken"
