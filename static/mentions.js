/* Names while one types "@" (data-mentions="address"): people come from the server, the keyboard stays in the text.
 *
 * data-mentions        the address that finds people; `q` is what was typed after the "@"
 * Up, Down             move in the list; Enter or Tab takes a name; Escape leaves what was typed
 *
 * The text stays a plain multi-line text box for screen readers; the list is announced and followed by
 * aria-activedescendant. Without this script one types the whole name.
 */
(function () {
  "use strict";
  var WAIT = 150; // ms without a key before the server is asked
  var TYPED = /(?:^|[^\p{L}\p{N}_@.+-])@([\p{L}\p{N}_.+@-]{0,40})$/u;
  var list = null; // the one list of the page
  var said = null; // what is announced
  var box = null; // the text that it belongs to
  var start = 0; // where the name begins, after the "@"
  var shown = ""; // what was typed when the list was filled
  var at = 0;
  var timer = 0;
  var asking = null;
  var known = {}; // answers of this page, by address

  function make() {
    list = document.createElement("ul");
    list.id = "mention-list";
    list.className = "mention-list";
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "People");
    list.setAttribute("popover", "manual");
    list.hidden = true;
    list.addEventListener("mousedown", function (event) {
      event.preventDefault(); // the text keeps the focus
      var option = event.target.closest("[role=option]");
      if (option) take(option);
    });
    said = document.createElement("div");
    said.className = "visually-hidden";
    said.setAttribute("role", "status");
  }
  function options() { return list ? Array.from(list.children) : []; }
  function isOpen() { return Boolean(list && !list.hidden); }

  function typed(area) {
    if (area.selectionStart !== area.selectionEnd) return null;
    var found = TYPED.exec(area.value.slice(0, area.selectionStart));
    return found ? found[1] : null;
  }
  function look(area) {
    clearTimeout(timer);
    var name = typed(area);
    if (name === null) { close(); return; }
    timer = setTimeout(function () { ask(area, name); }, WAIT);
  }
  function ask(area, name) {
    var address = new URL(area.dataset.mentions, window.location.href);
    address.searchParams.set("q", name);
    if (known[address]) { show(area, name, known[address]); return; }
    if (asking) asking.abort();
    asking = new AbortController();
    fetch(address, { headers: { Accept: "application/json" }, signal: asking.signal })
      .then(function (answer) { return answer.ok ? answer.json() : null; })
      .then(function (found) {
        if (!found) { close(); return; } // signed out, or too many questions: one types on
        known[address] = found.people;
        show(area, name, found.people);
      })
      .catch(function (error) {
        if (error.name !== "AbortError") close(); // given up for a newer question: that one still runs
      });
  }

  function show(area, name, people) {
    if (document.activeElement !== area || typed(area) !== name) return; // an answer that came too late
    if (!people.length) { close(); return; }
    if (!list) make();
    if (box !== area) close();
    box = area;
    start = area.selectionStart - name.length;
    shown = name;
    at = 0;
    list.replaceChildren.apply(list, people.map(option));
    if (list.hidden) {
      area.after(list, said);
      list.hidden = false;
      if (list.showPopover) list.showPopover();
      area.setAttribute("aria-controls", list.id);
      area.setAttribute("aria-haspopup", "listbox");
    }
    place();
    mark();
    said.textContent = people.length + (people.length === 1 ? " person" : " people") + ", arrow keys to choose";
  }
  function option(person, index) {
    var node = document.createElement("li");
    var name = document.createElement("span");
    var user = document.createElement("span");
    node.id = "mention-" + index;
    node.setAttribute("role", "option");
    node.dataset.username = person.username;
    name.textContent = person.name;
    user.textContent = "@" + person.username;
    user.className = "more";
    node.append(name, " ", user);
    return node;
  }
  function place() {
    var rect = box.getBoundingClientRect();
    var below = window.innerHeight - rect.bottom;
    var up = below < list.offsetHeight + 8 && rect.top > below;
    list.style.left = rect.left + "px";
    list.style.top = (up ? Math.max(4, rect.top - list.offsetHeight - 4) : rect.bottom + 4) + "px";
  }
  function mark() {
    options().forEach(function (node, index) { node.setAttribute("aria-selected", String(index === at)); });
    var chosen = options()[at];
    box.setAttribute("aria-activedescendant", chosen.id);
    chosen.scrollIntoView({ block: "nearest" });
  }
  function take(node) {
    var area = box;
    var name = node.dataset.username;
    close();
    area.focus();
    // As if it was typed, so that it can be undone by the browser and forms see it.
    area.setRangeText(name + " ", start, area.selectionStart, "end");
    area.dispatchEvent(new Event("input", { bubbles: true }));
  }
  function close() {
    clearTimeout(timer);
    if (asking) asking.abort();
    asking = null;
    if (!isOpen()) return;
    if (list.hidePopover && list.matches(":popover-open")) list.hidePopover();
    list.hidden = true;
    said.textContent = "";
    ["aria-controls", "aria-haspopup", "aria-activedescendant"].forEach(function (name) { box.removeAttribute(name); });
    box = null;
  }

  document.addEventListener("input", function (event) {
    if (event.target.matches("textarea[data-mentions]")) look(event.target);
  });
  document.addEventListener("keydown", function (event) {
    if (!isOpen() || event.target !== box || event.isComposing) return;
    var count = options().length;
    var step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) at = (at + step + count) % count;
    else if (event.key === "Home" || event.key === "End" || event.key === "ArrowLeft" || event.key === "ArrowRight") { close(); return; }
    else if (event.key !== "Enter" && event.key !== "Tab" && event.key !== "Escape") return;
    // Whoever types faster than the list follows means what they typed, not what still stands there.
    if ((event.key === "Enter" || event.key === "Tab") && typed(box) !== shown) { close(); return; }
    if (event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) { close(); return; }
    // Before the frame's own keys: Escape would leave the text or the dialog.
    event.preventDefault();
    event.stopPropagation();
    if (step) mark();
    else if (event.key === "Escape") close();
    else take(options()[at]);
  }, true);
  document.addEventListener("focusout", function (event) { if (event.target === box) close(); });
  document.addEventListener("scroll", function (event) { if (isOpen() && event.target !== list) place(); }, true);
  window.addEventListener("resize", close);
  // What is swapped elsewhere, as the bell is every half minute, leaves the list where it is.
  document.addEventListener("htmx:beforeSwap", function (event) {
    if (event.detail.shouldSwap && event.detail.target.contains(box || document.activeElement)) close();
  });
})();
