/* The queue: selection, one act on many alerts, its dialogs, the split; and the lock of an open alert.
 *
 * data-bulk="fraud"      opens #bulk-dialog at the part with data-bulk-act="fraud", for what is selected,
 *                        else for the row in focus
 * data-select-matching   selects everything that the filters let through, not only this page
 * data-open-now          a dialog that the server wants open: something in it was refused
 * #lock                  renewed while somebody is at the page (lock:renew), given up when they leave
 */
(function () {
  "use strict";
  var risk = window.risk;
  var RENEW = 60000;
  var IDLE = 600000; // who has not moved for ten minutes is not at the page
  var lastBox = null;
  var everything = false;
  var offered = ""; // the title of a case that nobody has typed
  var cursor = ""; // the row that had the cursor when an act was sent,
  var place = 0; // where what follows it stands once the act is done,
  var answer = null; // and the request whose list is to have the cursor there

  function all(selector, scope) { return Array.from((scope || document).querySelectorAll(selector)); }
  function boxes() { return all("[data-list] [data-row-select]"); }
  function chosen() { return boxes().filter(function (box) { return box.checked; }); }
  function focusRow() { return document.querySelector("[data-list] [data-row].is-active") || document.querySelector("[data-list] [data-row]:focus-within"); }

  /* --- Selection ------------------------------------------------------------------------------- */
  function tell() {
    var words = document.querySelector("[data-selected-words]");
    if (!words) return;
    var count = chosen().length;
    var more = document.querySelector("[data-select-matching]");
    if (everything && count < boxes().length) everything = false;
    words.textContent = everything ? more.dataset.selectMatching
      : count ? count + " selected" : "Row in focus";
    if (more) more.hidden = everything || !count || count < boxes().length;
  }
  document.addEventListener("change", function (event) {
    if (event.target.matches("[data-row-select], [data-select-all]")) tell();
  });
  document.addEventListener("click", function (event) {
    var box = event.target.closest("[data-row-select]");
    if (box) {
      if (event.shiftKey && lastBox && lastBox.isConnected) {
        var rows = boxes();
        var ends = [rows.indexOf(lastBox), rows.indexOf(box)].sort(function (a, b) { return a - b; });
        rows.slice(ends[0], ends[1] + 1).forEach(function (one) {
          one.checked = box.checked;
          one.dispatchEvent(new Event("change", { bubbles: true }));
        });
      }
      lastBox = box;
      return;
    }
    if (event.target.closest("[data-select-matching]")) { everything = true; tell(); return; }
    var act = event.target.closest("[data-bulk]");
    if (act) openBulk(act.dataset.bulk);
    all("details.more-filters[open]").forEach(function (one) {
      if (!one.contains(event.target)) one.open = false;
    });
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") { everything = false; setTimeout(tell); }
  });

  /* --- One act on many ----------------------------------------------------------------------- */
  function openBulk(act) {
    var dialog = document.getElementById("bulk-dialog");
    var part = dialog && dialog.querySelector('[data-bulk-act="' + act + '"]');
    if (!part) return;
    var count = chosen().length;
    var row = focusRow();
    if (!count && !row) { risk.toast("Move to a row (j) or select some (x) first."); return; }
    var ids = dialog.querySelector("[data-bulk-ids]");
    ids.replaceChildren();
    if (everything && count) ids.append(hidden("all", "1"));
    else if (!count) ids.append(hidden("alert", row.querySelector("[data-row-select]").value));
    all("[data-bulk-act]", dialog).forEach(function (one) { one.hidden = one !== part; });
    all("[data-bulk-optional]", dialog).forEach(function (one) { one.hidden = act === "comment"; });
    document.getElementById("bulk-problem").hidden = true;
    var more = document.querySelector("[data-select-matching]");
    var what = everything && count ? more.dataset.selectMatching.toLowerCase()
      : count ? count + (count === 1 ? " alert" : " alerts")
      : row.querySelector("[data-row-open]").textContent.trim();
    document.getElementById("bulk-dialog-title").textContent = part.dataset.title + ": " + what;
    var title = document.getElementById("bulk-title");
    if (title && act === "case" && (!title.value || title.value === offered)) {
      title.value = offered = count > 1 ? count + " alerts" : what;
    }
    risk.openDialog("bulk-dialog");
    var first = act === "comment" ? document.getElementById("bulk-note") : part.querySelector("button, input");
    if (first) first.focus();
  }
  function hidden(name, value) {
    var node = document.createElement("input");
    node.type = "hidden";
    node.name = name;
    node.value = value;
    return node;
  }
  document.addEventListener("submit", function (event) {
    // Enter in a field means the button of the part that is shown, not the first one of the form.
    if (event.target.id !== "bulk-form") return;
    var row = focusRow() || (chosen()[0] && chosen()[0].closest("[data-row]"));
    var before = row ? all("[data-list] [data-row]") : [];
    before = before.slice(0, before.indexOf(row)).filter(function (one) {
      return !one.querySelector("[data-row-select]:checked"); // what is selected leaves with it
    });
    cursor = row ? row.id : "";
    place = before.length;
    event.target.elements.cursor.value = cursor.replace("alert-", "");
    event.target.elements.place.value = place;
  }, true);
  document.addEventListener("htmx:beforeSend", function (event) {
    if (event.detail.elt.id === "bulk-form") answer = event.detail.xhr;
  });
  document.addEventListener("keydown", function (event) {
    if (event.key !== "Enter" || !event.target.matches("#bulk-form input:not([type=checkbox])")) return;
    var part = event.target.closest("[data-bulk-act]");
    var button = part && part.querySelector("button[type=submit]");
    if (button) { event.preventDefault(); button.click(); }
  });
  document.addEventListener("bulk-done", function () {
    everything = false;
    lastBox = null;
    var dialog = document.getElementById("bulk-dialog");
    if (dialog && dialog.open) dialog.close();
  });
  document.addEventListener("htmx:afterSettle", function (event) {
    openWanted();
    tell();
    if (!answer || event.detail.xhr !== answer || event.detail.target.id !== "content") return;
    answer = null;
    var rows = all("[data-list] [data-row]");
    var stays = rows.find(function (row) { return row.id === cursor; });
    if (rows.length) (stays || rows[Math.min(place, rows.length - 1)]).focus({ preventScroll: true });
    else document.getElementById("main").focus({ preventScroll: true });
  });
  function openWanted() {
    all("dialog[data-open-now]").forEach(function (dialog) {
      dialog.removeAttribute("data-open-now");
      risk.openDialog(dialog.id);
    });
  }

  /* --- The split ------------------------------------------------------------------------------- */
  document.addEventListener("input", function (event) {
    var box = event.target.closest("[data-budget]");
    if (!box) return;
    var ranges = all("input[type=range]", box);
    var other = ranges.find(function (one) { return one !== event.target; });
    if (Number(event.target.value) + Number(other.value) > 100) other.value = 100 - Number(event.target.value);
    var rest = 100;
    ranges.forEach(function (one) {
      rest -= Number(one.value);
      box.querySelector('[data-budget-of="' + one.name + '"]').textContent = one.value + " %";
    });
    box.querySelector("[data-budget-rest]").textContent = rest + " %";
    box.querySelector("meter").value = rest;
  });

  /* --- The lock of an open alert ---------------------------------------------------------------- */
  var lastMove = Date.now();
  ["keydown", "pointermove", "scroll"].forEach(function (name) {
    document.addEventListener(name, function () { lastMove = Date.now(); }, { passive: true });
  });
  setInterval(function () {
    var lock = document.getElementById("lock");
    if (!lock || document.hidden || Date.now() - lastMove > IDLE) return;
    lock.dispatchEvent(new CustomEvent("lock:renew"));
  }, RENEW);
  window.addEventListener("pagehide", function () {
    var lock = document.getElementById("lock");
    if (!lock || !lock.dataset.release || !lock.dataset.until) return;
    var form = new FormData();
    form.append("until", lock.dataset.until); // one that was renewed since stays
    form.append("csrfmiddlewaretoken", risk.token());
    navigator.sendBeacon(lock.dataset.release, form);
  });
  window.addEventListener("pageshow", function (event) {
    var lock = document.getElementById("lock");
    if (event.persisted && lock) lock.dispatchEvent(new CustomEvent("lock:renew")); // back again
  });

  openWanted();
  tell();
})();
