/* The keyboard: lists (j k enter x), data-key shortcuts, `?` help, Ctrl K (palette.js).
 *
 * data-list            a list or table body; its rows carry data-row, an id, and one link with data-row-open
 * data-row             focusable; sends "row:active" once it stays the current one for 120 ms (htmx can load a preview)
 * data-row-select      the row's checkbox (x); data-select-all: the one in the header
 * data-selected-count  its text becomes the number of selected rows; data-when-selected is shown only then
 * data-key="n"         this link or button is clicked by that key; "g q" is a sequence of two
 * data-keeps-query     a link to a list that leads back to it as it was last narrowed in this tab
 * data-key-label       its words in the help and in the palette (else its title or text)
 */
(function () {
  "use strict";
  var risk = window.risk;
  var pending = "";
  var pendingTimer = 0;
  var announceTimer = 0;
  var PLACE = "risk-place"; // the row that this tab's list was left at
  var PLACE_KEPT = 900000; // who comes back later begins at the top
  var AWAITED = 5000; // long enough to read what may follow
  var QUERY = "risk-query:"; // and a path: what its list was narrowed to, in this tab
  var searched = false; // Enter in a search: what it finds is to have the cursor

  function rows(list) { return Array.from(list.querySelectorAll("[data-row]")); }
  function currentRow(list) {
    return list.querySelector("[data-row].is-active") || list.querySelector("[data-row]:focus-within");
  }
  function mark(row) {
    rows(row.closest("[data-list]")).forEach(function (other) {
      other.classList.toggle("is-active", other === row);
      other.tabIndex = other === row ? 0 : -1;
    });
  }
  function activate(row, focus) {
    mark(row);
    if (focus) row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
    remember(row);
    clearTimeout(announceTimer); // j j j asks for one preview, not for three
    announceTimer = setTimeout(function () { row.dispatchEvent(new CustomEvent("row:active", { bubbles: true })); }, 120);
  }
  /* --- Back in a list: at the row one left, or at the one that took its place ------------------- */
  function remember(row) {
    var list = row.closest("[data-list]");
    if (list !== document.querySelector("[data-list]")) return; // the page's own list, not that of a panel
    var place = { url: location.pathname + location.search, id: row.id, at: rows(list).indexOf(row), time: Date.now() };
    try { sessionStorage.setItem(PLACE, JSON.stringify(place)); } catch (error) { /* storage may be blocked */ }
  }
  function restore() {
    var list = document.querySelector("[data-list]");
    var all = list ? rows(list) : [];
    var place = null;
    try { place = JSON.parse(sessionStorage.getItem(PLACE)); } catch (error) { return; }
    if (!all.length || !place || place.url !== location.pathname + location.search) return;
    if (Date.now() - place.time > PLACE_KEPT || document.activeElement !== document.body) return;
    if (document.querySelector("dialog[open]")) return;
    var row = all.find(function (one) { return one.id === place.id; }) || all[Math.min(place.at, all.length - 1)];
    activate(row, true);
  }
  function prepareLists(scope) {
    scope.querySelectorAll("[data-list]").forEach(function (list) {
      var all = rows(list);
      if (all.length && !all.some(function (row) { return row.tabIndex === 0; })) all[0].tabIndex = 0;
      countSelected(list);
    });
  }
  function move(list, step) {
    var all = rows(list);
    if (!all.length) return;
    var at = all.indexOf(currentRow(list));
    activate(all[Math.max(0, Math.min(all.length - 1, at + step))], true);
  }
  function countSelected(list) {
    var boxes = Array.from(list.querySelectorAll("[data-row-select]"));
    var chosen = boxes.filter(function (box) { return box.checked; });
    boxes.forEach(function (box) { box.closest("[data-row]").classList.toggle("is-selected", box.checked); });
    var region = list.closest("[data-list-region]") || document;
    region.querySelectorAll("[data-selected-count]").forEach(function (node) { node.textContent = chosen.length; });
    region.querySelectorAll("[data-when-selected]").forEach(function (node) { node.hidden = !chosen.length; });
    var head = region.querySelector("[data-select-all]");
    if (head) {
      head.checked = boxes.length > 0 && chosen.length === boxes.length;
      head.indeterminate = chosen.length > 0 && chosen.length < boxes.length;
    }
  }
  function onListKey(event, list) {
    var row = currentRow(list);
    if (event.key === "j" || event.key === "ArrowDown") move(list, 1);
    else if (event.key === "k" || event.key === "ArrowUp") move(list, -1);
    else if (event.key === "Enter" && row && row === document.activeElement) open(row);
    else if (event.key === "x" && row) select(row);
    else return false;
    return true;
  }
  function open(row) {
    var link = row.querySelector("[data-row-open]");
    if (link) link.click();
  }
  function select(row) {
    var box = row.querySelector("[data-row-select]");
    if (box) box.click();
  }

  document.addEventListener("change", function (event) {
    var target = event.target;
    if (target.matches("[data-row-select]")) countSelected(target.closest("[data-list]"));
    if (!target.matches("[data-select-all]")) return;
    target.closest("[data-list-region]").querySelectorAll("[data-list]").forEach(function (list) {
      list.querySelectorAll("[data-row-select]").forEach(function (box) { box.checked = target.checked; });
      countSelected(list);
    });
  });
  document.addEventListener("click", function (event) {
    var row = event.target.closest("[data-row]");
    if (row && !event.target.closest("a,button,input,label,select,summary")) activate(row, true);
  });
  document.addEventListener("focusin", function (event) {
    if (event.target.matches("[data-row]") && !event.target.classList.contains("is-active")) {
      activate(event.target, false);
    }
  });

  /* --- Shortcuts -------------------------------------------------------------------------------- */
  function visible(node) { return node.getClientRects().length > 0 && isShown(node); }
  /* Not one of a part that keeps its room and is hidden, as the queue's toolbar without a row. */
  function isShown(node) { return getComputedStyle(node).visibility !== "hidden"; }
  risk.isShown = isShown;
  function keyed() {
    // An open dialog has the keyboard to itself.
    var scope = document.querySelector("dialog[open]") || document;
    return Array.from(scope.querySelectorAll("[data-key]")).filter(function (node) {
      return !node.disabled && isNewest(node) && (visible(node) || node.dataset.key.startsWith("g "));
    });
  }
  /* Of messages that stand at once the newest has the key: `u` undoes what was done last. */
  function isNewest(node) {
    var box = node.closest("#toasts");
    var same = box ? box.querySelectorAll('[data-key="' + node.dataset.key + '"]') : [];
    return !box || same[same.length - 1] === node;
  }
  risk.isNewest = isNewest;
  function press(key) {
    var wanted = pending ? pending + " " + key : key;
    var all = keyed();
    var hit = all.find(function (node) { return node.dataset.key === wanted; });
    awaitAfter("", []);
    if (hit) {
      if (hit.matches("input, textarea, select")) hit.focus();
      else hit.click();
      if (hit.matches("summary")) focusFirst(hit.parentElement);
      return true;
    }
    var next = all.filter(function (node) { return node.dataset.key.startsWith(wanted + " "); });
    if (next.length) awaitAfter(wanted, next);
    return next.length > 0;
  }
  /* The next key of a sequence is awaited for a while: what was pressed stands below, with what may follow. */
  function awaitAfter(begun, next) {
    clearTimeout(pendingTimer);
    pending = begun;
    document.querySelectorAll(".key-hint").forEach(function (old) { old.remove(); });
    if (!begun) return;
    pendingTimer = setTimeout(awaitAfter, AWAITED, "", []);
    var hint = document.createElement("p");
    hint.className = "key-hint";
    hint.setAttribute("role", "status");
    hint.append(keys(begun), "then");
    next.forEach(function (node) {
      var choice = document.createElement("span");
      choice.append(keys(node.dataset.key.slice(begun.length + 1)), label(node).replace(/^(Go to |[^:]+: )/, ""));
      hint.append(choice);
    });
    (document.querySelector("dialog[open]") || document.body).append(hint); // an open dialog lies over the page
  }
  /* What a key unfolded is there to be filled in. */
  function focusFirst(details) {
    var field = details.open && details.querySelector("input:not([type=hidden]), select, textarea, button");
    if (field) field.focus();
  }
  function typing(node) {
    return node.matches("textarea, select, [contenteditable=true], input:not([type=checkbox]):not([type=radio])");
  }
  /* Ctrl Enter in a text: its form's one button, or the one that is meant first. */
  function send(form) {
    var buttons = Array.from(form.querySelectorAll("[type=submit]")).filter(function (node) {
      return !node.disabled && visible(node);
    });
    var meant = buttons.length === 1 ? buttons[0] : buttons.find(function (node) { return node.matches(".is-primary"); });
    if (meant) meant.click();
  }
  document.addEventListener("keydown", function (event) {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      awaitAfter("", []);
      risk.openDialog("palette");
      return;
    }
    if ((event.ctrlKey || event.metaKey) && event.key === "Enter" && event.target.matches("form textarea")) {
      event.preventDefault();
      send(event.target.form);
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing(event.target)) {
      searched = event.key === "Enter" && event.target.type === "search";
      if (event.key === "Escape" && !event.target.closest("dialog")) {
        if (event.target.type === "search") event.preventDefault(); // its words stay
        event.target.blur();
      }
      return;
    }
    if (pending && event.key === "Escape") { event.preventDefault(); awaitAfter("", []); return; }
    if (document.querySelector("dialog[open]")) {
      if (event.key.length === 1 && press(event.key)) event.preventDefault();
      return;
    }
    if (document.querySelector(".dropdown-menu.show")) return; // the menu has the arrows
    var list = event.target.closest("[data-list]") || document.querySelector("[data-list]");
    if (!pending && list && onListKey(event, list)) { event.preventDefault(); return; }
    if (event.key === "?") { event.preventDefault(); awaitAfter("", []); risk.openDialog("help"); return; }
    if (event.key === "Escape" && list) {
      list.querySelectorAll("[data-row-select]:checked").forEach(function (box) { box.checked = false; });
      countSelected(list);
      return;
    }
    if (event.key.length === 1 && press(event.key)) event.preventDefault();
  });

  /* --- Help lists what this very page offers ------------------------------------------ */
  function label(node) {
    var text = node.dataset.keyLabel || node.getAttribute("aria-label") || node.textContent || node.title;
    return text.replace(/\s+/g, " ").trim();
  }
  function keys(text) {
    var box = document.createElement("span");
    text.split(" ").forEach(function (key) {
      var node = document.createElement("kbd");
      node.textContent = key;
      box.append(node, " ");
    });
    return box;
  }
  var help = document.getElementById("help");
  if (help) {
    help.addEventListener("risk:open", function () {
      var here = help.querySelector("[data-help-page]");
      var away = help.querySelector("[data-help-go]");
      here.replaceChildren();
      away.replaceChildren();
      keyed().forEach(function (node) {
        var term = document.createElement("dt");
        var words = document.createElement("dd");
        var goes = node.dataset.key.indexOf("g ") === 0;
        term.append(keys(node.dataset.key));
        words.textContent = goes ? label(node).replace(/^Go to /, "") : label(node);
        (goes ? away : here).append(term, words);
      });
    });
  }

  /* --- Back in a list as it was narrowed; on the list itself the same link leads to all of it -------------- */
  function leads(work) {
    document.querySelectorAll("a[data-keeps-query]").forEach(function (link) {
      try { work(link, QUERY + link.pathname, link.pathname === location.pathname); } catch (error) { /* storage may be blocked */ }
    });
  }
  window.addEventListener("pagehide", function () {
    leads(function (link, name, here) { if (here) sessionStorage.setItem(name, location.search); });
  });
  window.addEventListener("pageshow", function () {
    leads(function (link, name, here) { link.search = here ? "" : sessionStorage.getItem(name) || ""; });
  });

  risk.label = label;
  risk.keys = keys;

  document.addEventListener("htmx:afterSettle", function () {
    // A row that kept the focus lost its mark when all settled: htmx gives it the class it came with.
    var row = document.activeElement;
    if (row.matches("[data-list] [data-row]") && !row.classList.contains("is-active")) mark(row);
    prepareLists(document);
    var found = searched && document.querySelector("[data-list] [data-row]");
    if (found && document.activeElement.type === "search") activate(found, true);
    if (found) searched = false;
  });
  prepareLists(document);
  restore();
})();
