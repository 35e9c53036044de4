/* Runs in <head>, before the first paint: theme and rail as the user left them. */
(function () {
  "use strict";
  var root = document.documentElement;
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  var paper = window.matchMedia("print"), printing = false; // paper is white, whatever the theme

  function read(key) {
    try { return localStorage.getItem(key); } catch (error) { return null; } // storage may be blocked
  }
  function apply() {
    var choice = read("risk-theme") || "auto";
    var theme = choice === "auto" ? (system.matches ? "dark" : "light") : choice;
    if (printing || paper.matches) theme = "light";
    root.setAttribute("data-bs-theme", theme);
    root.setAttribute("data-theme-choice", choice);
    document.dispatchEvent(new CustomEvent("risk:theme", { detail: theme }));
  }
  function keep(key, value) {
    try { localStorage.setItem(key, value); } catch (error) { return false; } // lasts for this page only
    return true;
  }

  window.risk = { read: read, keep: keep, applyTheme: apply };
  root.classList.add("js");
  if (read("risk-rail") === "slim") root.classList.add("rail-slim");
  if (read("risk-preview") === "off") root.classList.add("preview-off");
  apply();
  system.addEventListener("change", apply);
  paper.addEventListener("change", apply);
  window.addEventListener("beforeprint", function () { printing = true; apply(); });
  window.addEventListener("afterprint", function () { printing = false; apply(); });
})();
