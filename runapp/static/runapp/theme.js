// Light or dark before anything is drawn; what the browser prefers unless somebody chose.
"use strict";
(() => {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("theme");
  } catch {
    // A browser that stores nothing shows what it prefers.
  }
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;

  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme-switch");
    if (!button) return;
    const say = () => button.setAttribute("aria-pressed", String(isDark()));
    button.hidden = false;
    say();
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      try {
        localStorage.setItem("theme", root.dataset.theme);
      } catch {
        // It lasts until the next page, then.
      }
      say();
      document.dispatchEvent(new Event("theme-changed"));
    });
    dark.addEventListener("change", () => {
      say();
      document.dispatchEvent(new Event("theme-changed"));
    });
  });
})();
