// Parts of a page that htmx renews: what is focused, opened or drawn stays as it is.
"use strict";
(() => {
  const keeps = (node) => node instanceof Element && node.closest(".plot") !== null;
  Idiomorph.defaults.callbacks.beforeNodeRemoved = (node) => !keeps(node);
  Idiomorph.defaults.callbacks.beforeAttributeUpdated = (name, node) =>
    !(name === "open" && node instanceof HTMLDetailsElement) && !keeps(node);

  // Nobody looks: nothing is asked for.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (document.hidden && event.detail.requestConfig.triggeringEvent === undefined) event.preventDefault();
  });

  // A page that was left open over an upgrade or a log-out is led to where it belongs.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const answered = event.detail.xhr.responseURL;
    if (answered && new URL(answered).pathname.includes("/login/")) {
      event.detail.shouldSwap = false;
      window.location.reload();
    }
  });

  const say = (isAway) =>
    document.querySelectorAll(".away").forEach((note) => {
      note.hidden = !isAway;
    });
  document.addEventListener("htmx:sendError", () => say(true));
  document.addEventListener("htmx:timeout", () => say(true));
  document.addEventListener("htmx:responseError", () => say(true));
  document.addEventListener("htmx:afterOnLoad", (event) => say(event.detail.failed === true));
})();
