"""A browser, and the people who look at datarun through it."""

import dataclasses
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, StorageState, ViewportSize

from test_files.stack import Stack

Scheme = Literal["light", "dark"]
DESKTOP, PHONE = 1280, 390
_WINDOWS: dict[int, ViewportSize] = {
    DESKTOP: {"width": DESKTOP, "height": 900}, PHONE: {"width": PHONE, "height": 844},
}  # fmt: skip
_NAMES = ("chromium", "google-chrome")
#: Nothing but this machine has an address, whatever a page asks for.
_ARGUMENTS = (
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic",
    "--no-first-run",
)  # fmt: skip
#: Longer than any page takes here, while other work runs.
_PATIENCE_MILLISECONDS = 20_000


def chromium_program() -> str | None:
    """The program of the system's Chromium, or None."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def launch(playwright: Playwright, program: str, downloads: Path) -> Browser:
    return playwright.chromium.launch(executable_path=program, args=_ARGUMENTS, downloads_path=downloads)


@dataclasses.dataclass
class Browsing:
    """Opens pages for people, who log in once, and notes what no page may do.

    ``complaints`` are errors of scripts and of the console, among them what the Content-Security-Policy
    refused, and requests to anything but the server.
    """

    stack: Stack
    browser: Browser
    passwords: dict[str, str]
    #: The cookies of those who have logged in.
    logged_in: dict[str, StorageState]
    complaints: list[str] = dataclasses.field(default_factory=list)
    #: A pattern of what the console may say, such as that a page is not found.
    may_say: str = ""

    def open(
        self,
        person: str | None,
        path: str = "/",
        *,
        scheme: Scheme = "light",
        may_say: str = "",
    ) -> Page:
        """A page as ``person`` sees it, on a desk; nobody is logged in for None."""
        self.may_say = self.may_say or may_say
        if person is not None and person not in self.logged_in:
            self.logged_in[person] = self._log_in(person)
        page = self._page(self.logged_in[person] if person else None, scheme)
        page.goto(path)
        return page

    def close(self) -> None:
        for context in self.browser.contexts:
            context.close()

    def texts(self) -> list[str]:
        """What each open page shows, by its address."""
        pages = [page for context in self.browser.contexts for page in context.pages]
        return [f"{page.url}\n{page.inner_text('body')[:2000]}" for page in pages]

    def _log_in(self, person: str) -> StorageState:
        page = self._page(None, "light")
        page.goto("/")
        log_in(page, person, self.passwords[person])
        page.get_by_role("heading", name="Overview").wait_for()
        state = page.context.storage_state()
        page.context.close()
        return state

    def _page(self, state: StorageState | None, scheme: Scheme) -> Page:
        context = self.browser.new_context(
            base_url=self.stack.url, color_scheme=scheme, storage_state=state, reduced_motion="reduce",
            viewport=_WINDOWS[DESKTOP],
        )  # fmt: skip
        context.set_default_timeout(_PATIENCE_MILLISECONDS)
        page = context.new_page()

        def note(message: ConsoleMessage) -> None:
            is_allowed = self.may_say and re.search(self.may_say, message.text)
            if message.type in ("error", "warning") and not is_allowed:
                self.complaints.append(f"{page.url} says: {message.text}")

        def watch(request: Request) -> None:
            if not request.url.startswith((f"{self.stack.url}/", "data:", "blob:")):
                self.complaints.append(f"{page.url} asked for {request.url}")

        page.on("console", note)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url} failed: {error}"))
        context.on("request", watch)
        return page


def log_in(page: Page, person: str, password: str) -> None:
    """Fill in the form of the log-in and send it."""
    page.get_by_label("User name").fill(person)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def look(page: Page, scheme: Scheme, width: int) -> None:
    """Look at a page with another scheme of colours, in a window of ``width`` pixels."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.set_viewport_size(_WINDOWS[width])


def too_wide(page: Page) -> Sequence[str]:
    """What reaches beyond the right edge of the window and makes the page scroll sideways."""
    found: list[str] = page.evaluate(_TOO_WIDE)
    return found


_TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const hides = (node) =>
    node && (getComputedStyle(node).overflowX !== "visible" || hides(node.parentElement));
  const name = (node) => `${node.tagName} ${node.getAttribute("class") ?? ""}: ${node.textContent.trim()}`;
  return [...document.body.querySelectorAll("*")]
    .filter((node) => node.getBoundingClientRect().right > width + 1 && !hides(node.parentElement))
    .map((node) => name(node).slice(0, 80))
    .concat(`the page is ${document.documentElement.scrollWidth} wide`);
}"""
