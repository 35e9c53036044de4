/* The command palette (Ctrl K): what this page offers, then what the server finds (data-palette-url). */
(function () {
  "use strict";
  var risk = window.risk;
  var dialog = document.getElementById("palette");
  if (!dialog) return;
  var input = dialog.querySelector("input");
  var here = dialog.querySelector("[data-palette-here]");
  var there = dialog.querySelector("#palette-found");
  var at = 0;

  function options() { return Array.from(dialog.querySelectorAll("[role=option]")); }
  function commands(text) {
    return Array.from(document.querySelectorAll("[data-command], [data-key]")).filter(function (node) {
      var away = node.closest("dialog") && !node.closest("#toasts");
      return !node.disabled && !away && risk.isShown(node) && risk.isNewest(node) && risk.label(node).toLowerCase().includes(text);
    }).slice(0, text ? 6 : 12);
  }
  function render() {
    var nodes = commands(input.value.trim().toLowerCase());
    here.replaceChildren.apply(here, nodes.map(function (node, index) {
      var option = document.createElement("div");
      option.id = "palette-" + index;
      option.setAttribute("role", "option");
      option.append(risk.label(node));
      if (node.dataset.key) option.append(risk.keys(node.dataset.key));
      option.addEventListener("click", function () { dialog.close(); node.click(); });
      return option;
    }));
    mark();
  }
  function mark() {
    var found = options();
    at = Math.min(at, Math.max(0, found.length - 1));
    found.forEach(function (option, index) { option.setAttribute("aria-selected", String(index === at)); });
    if (found[at]) {
      input.setAttribute("aria-activedescendant", found[at].id);
      found[at].scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
    dialog.querySelector("[data-palette-none]").hidden = found.length > 0;
  }
  dialog.addEventListener("risk:open", function () {
    input.value = "";
    there.replaceChildren();
    at = 0;
    render();
  });
  input.addEventListener("input", function () { at = 0; render(); });
  there.addEventListener("htmx:afterSettle", mark);
  input.addEventListener("keydown", function (event) {
    var step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    var found = options();
    if (step && found.length) {
      event.preventDefault();
      at = (at + step + found.length) % found.length;
      mark();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (found[at]) found[at].click();
    }
  });
})();
