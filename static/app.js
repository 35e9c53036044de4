/* The frame's behaviour: theme, rail, toasts, live times, dialogs, htmx glue. No library but htmx. */
(function () {
  "use strict";
  var risk = window.risk;
  var root = document.documentElement;

  /* --- Times: the server's "4 min" (pieces.py), kept fresh ------------------------------------- */
  var UNITS = [[31536000, "y"], [2592000, "mo"], [86400, "d"], [3600, "h"], [60, "min"]];
  function relative(seconds) {
    var size = Math.abs(seconds);
    for (var i = 0; i < UNITS.length; i++) {
      if (size >= UNITS[i][0]) return Math.floor(size / UNITS[i][0]) + "\u00a0" + UNITS[i][1];
    }
    return "now";
  }
  function refreshTimes(scope) {
    scope.querySelectorAll("time[data-ago]").forEach(function (node) {
      var seconds = (Date.now() - Date.parse(node.dateTime)) / 1000;
      if (Number.isNaN(seconds)) return;
      var text = relative(seconds);
      if (node.dataset.ago === "long" && text !== "now") text = seconds < 0 ? "in " + text : text + " ago";
      if (node.textContent !== text) node.textContent = text;
    });
  }
  setInterval(function () { refreshTimes(document); }, 30000);

  /* --- Toasts: server messages, HX-Trigger {"toast": {"text", "level"}}, failed requests ------- */
  function toast(text, level) {
    var box = document.getElementById("toasts");
    if (!box) return;
    // What polls fails again and again: an error that still stands there is not said twice.
    if (Array.from(box.querySelectorAll(".is-error p")).some(function (old) { return old.textContent === text; })) return;
    var node = document.createElement("div");
    node.className = "toast-note" + (level === "error" ? " is-error" : "");
    var words = document.createElement("p");
    words.textContent = text;
    var close = document.createElement("button");
    close.type = "button";
    close.className = "toast-close";
    close.setAttribute("data-dismiss", "");
    close.setAttribute("aria-label", "Dismiss");
    close.textContent = "\u00d7";
    node.append(words, close);
    box.append(node);
    expire(node);
  }
  function expire(node) {
    node.dataset.timed = "";
    if (node.classList.contains("is-error")) return; // an error stays until it is read
    setTimeout(function () { node.remove(); }, node.querySelector("form, a") ? 30000 : 6000); // undo takes a thought
  }
  risk.toast = toast;

  /* What is modal lies over all else and lets nothing else be pressed: toasts go with it while it is open. */
  function placeToasts() {
    var box = document.getElementById("toasts");
    var modals = document.querySelectorAll("dialog:modal");
    var place = modals.length ? modals[modals.length - 1] : document.body;
    if (box && box.parentNode !== place) place.append(box);
  }
  document.addEventListener("close", placeToasts, true);
  document.addEventListener("htmx:beforeSwap", function (event) {
    var box = document.getElementById("toasts");
    // The dialog may be what is swapped away; an error swaps nothing.
    if (box && event.detail.shouldSwap && box.closest("dialog")) document.body.append(box);
  });
  document.addEventListener("htmx:afterSettle", placeToasts);
  document.addEventListener("htmx:afterRequest", placeToasts);

  /* --- Dialogs: <dialog id>, opened by data-dialog="id", closed by data-close ------------------- */
  function openDialog(id) {
    var dialog = document.getElementById(id);
    if (dialog && !dialog.open) {
      dialog.dispatchEvent(new CustomEvent("risk:open"));
      dialog.showModal();
      placeToasts();
    }
  }
  risk.openDialog = openDialog;

  function askFirst(event) {
    // hx-confirm: our own dialog in place of window.confirm, Cancel focused, the act named.
    if (!event.detail.question) return;
    event.preventDefault();
    var dialog = document.getElementById("confirm-dialog");
    dialog.querySelector("[data-confirm-text]").textContent = event.detail.question;
    dialog.querySelector("[data-confirm-go]").textContent = event.detail.elt.dataset.confirmLabel || "Continue";
    dialog.returnValue = "";
    dialog.onclose = function () {
      if (dialog.returnValue === "go") event.detail.issueRequest(true);
    };
    dialog.showModal();
    placeToasts();
  }

  /* --- Clicks ------------------------------------------------------------------------------------ */
  document.addEventListener("click", function (event) {
    var target = event.target.closest("[data-dialog],[data-close],[data-dismiss],[data-theme-set],[data-toggle]");
    if (!target) return;
    if (target.dataset.dialog) {
      if (!document.getElementById(target.dataset.dialog)) return; // a link does without
      event.preventDefault();
      openDialog(target.dataset.dialog);
    }
    else if ("close" in target.dataset) target.closest("dialog").close(target.value);
    else if ("dismiss" in target.dataset) target.closest(".toast-note, .banner").remove();
    else if (target.dataset.themeSet) setTheme(target.dataset.themeSet);
    else if (target.dataset.toggle === "rail") toggle("rail-slim", "risk-rail", "slim");
    else if (target.dataset.toggle === "preview") toggle("preview-off", "risk-preview", "off");
  });
  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-copy]");
    if (!button) return;
    var node = document.getElementById(button.dataset.copy);
    var done = navigator.clipboard ? navigator.clipboard.writeText(node.textContent.trim()) : Promise.reject(new Error("no clipboard"));
    done.then(function () { toast("Copied."); }, function () {
      window.getSelection().selectAllChildren(node); // not over https: one key is left to press
      toast("It is selected: press Ctrl C.");
    });
  });
  function toggle(name, key, value) {
    risk.keep(key, root.classList.toggle(name) ? value : "");
    markPressed();
    document.dispatchEvent(new CustomEvent("risk:resize"));
  }
  function setTheme(choice) {
    risk.keep("risk-theme", choice);
    risk.applyTheme();
    markPressed();
  }
  function markPressed() {
    document.querySelectorAll("[data-theme-set]").forEach(function (button) {
      button.setAttribute("aria-checked", String(button.dataset.themeSet === root.dataset.themeChoice));
    });
    document.querySelectorAll("[data-toggle=rail]").forEach(function (button) {
      button.setAttribute("aria-expanded", String(!root.classList.contains("rail-slim")));
    });
    document.querySelectorAll("[data-toggle=preview]").forEach(function (button) {
      button.setAttribute("aria-pressed", String(!root.classList.contains("preview-off")));
    });
  }

  /* --- Forms that act on change (filters) keep working as plain GET forms ------------------------ */
  document.addEventListener("change", function (event) {
    var form = event.target.closest("form[data-autosubmit]");
    if (form) form.requestSubmit();
  });

  /* --- A form that is on its way: a second press is not a second act, and would hide the answer to the first --- */
  var sent = new WeakMap();
  document.addEventListener("submit", function (event) {
    var form = event.target;
    if (event.defaultPrevented || form.method !== "post" || form.hasAttribute("hx-post")) return;
    // For a while only: an answer that is a file leaves the page where it is.
    if (Date.now() - (sent.get(form) || 0) < 5000) event.preventDefault();
    else sent.set(form, Date.now());
  });
  window.addEventListener("pageshow", function () { sent = new WeakMap(); });

  /* --- A form whose fields were previewed: what acts on the preview waits while they say otherwise --- */
  document.addEventListener("input", function (event) {
    var fields = event.target.closest("form[data-previews]");
    var acts = fields && document.getElementById(fields.dataset.previews);
    if (!acts) return;
    var stale = Array.from(fields.elements).some(function (field) {
      var previewed = field.name && acts.elements.namedItem(field.name);
      return previewed && previewed.value !== field.value;
    });
    acts.querySelectorAll("[type=submit]").forEach(function (button) { button.disabled = stale; });
    acts.querySelector("[data-stale]").hidden = !stale;
  });

  /* --- htmx ---------------------------------------------------------------------------------------- */
  var kept = null;
  document.addEventListener("htmx:confirm", askFirst);
  document.addEventListener("htmx:beforeSwap", function (event) {
    // Remember what had the focus, so that a swap does not throw the keyboard back to the top.
    kept = null;
    if (!event.detail.shouldSwap) return; // an error: everything stays
    var active = document.activeElement;
    if (!event.detail.target.contains(active) || active === document.body) return;
    var row = active.closest("[data-row]");
    kept = { id: active.id, name: active.getAttribute("name"), row: row && row.id, form: Boolean(active.form) };
  });
  // Back already, by htmx or by the person: whoever leaves again before all settles is not called back.
  document.addEventListener("focusin", function () { kept = null; });
  document.addEventListener("htmx:afterSettle", function (event) {
    var scope = event.detail.elt;
    document.querySelectorAll(".toast-note:not([data-timed])").forEach(expire); // came with a fragment
    refreshTimes(document);
    markPressed();
    var wanted = scope.querySelector && scope.querySelector("[data-focus], [aria-invalid=true]");
    if (!wanted && kept && document.activeElement === document.body) {
      wanted = (kept.id && document.getElementById(kept.id)) || (kept.row && document.getElementById(kept.row));
      if (!wanted && kept.form && kept.name) wanted = document.getElementsByName(kept.name)[0];
      if (!wanted) wanted = document.getElementById("main");
    }
    kept = null;
    if (wanted) wanted.focus({ preventScroll: true });
  });
  var OFFLINE = "No connection to the server. ";
  var SIGNED_OUT = "You are signed out; nothing was changed. Sign in again in another tab: what you typed here stays.";
  var UNKNOWN = "Whether that was done is not known: reload the page before you try again.";
  document.addEventListener("htmx:responseError", function (event) {
    var status = event.detail.xhr.status;
    var texts = {
      401: SIGNED_OUT,
      403: "You may not do this. Ask a lead or an admin for the permission.",
      404: "This no longer exists. Reload the list.",
      409: "Someone else changed this first. Reload and look again.",
      502: "No answer from the server. " + UNKNOWN,
      504: "No answer from the server. " + UNKNOWN,
      429: "Too many requests. Wait a moment and try again.",
      503: "The service is not ready. Nothing was changed; try again shortly."
    };
    toast(texts[status] || "The server failed (" + status + "). Nothing was changed; try again.", "error");
  });
  document.addEventListener("htmx:sendError", function (event) {
    // An act may have arrived and only its answer have been lost.
    var asked = event.detail.requestConfig;
    toast(OFFLINE + (asked && asked.verb !== "get" ? UNKNOWN : "Check the network."), "error");
  });
  document.addEventListener("htmx:afterOnLoad", function (event) {
    var refused = event.detail && event.detail.xhr && event.detail.xhr.status === 401;
    document.querySelectorAll("#toasts .is-error").forEach(function (node) {
      if (node.textContent.indexOf(OFFLINE + "Check") === 0) node.remove(); // it is there again
      if (!refused && node.textContent.indexOf(SIGNED_OUT) === 0) node.remove();
    });
  });
  document.addEventListener("toast", function (event) {
    toast(event.detail.text || event.detail.value, event.detail.level);
  });
  document.addEventListener("htmx:beforeRequest", function (event) {
    if (!("quiet" in event.detail.elt.dataset)) root.classList.add("is-loading"); // polling is not news
  });
  document.addEventListener("htmx:afterRequest", function () { root.classList.remove("is-loading"); });

  /* --- Signing in again in another tab makes a new token: what is sent from here brings that one -------- */
  risk.token = function () {
    var found = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
    return found ? found[1] : JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRFToken"];
  };
  document.addEventListener("submit", function (event) {
    var field = event.target.querySelector("input[name=csrfmiddlewaretoken]");
    if (field) field.value = risk.token();
  }, true);
  document.addEventListener("htmx:configRequest", function (event) {
    var sent = event.detail.parameters;
    event.detail.headers["X-CSRFToken"] = risk.token();
    if (sent.csrfmiddlewaretoken) sent.csrfmiddlewaretoken = risk.token(); // a field that asks for itself brings its form
  });

  /* --- Start ---------------------------------------------------------------------------------------- */
  document.querySelectorAll(".toast-note").forEach(expire);
  refreshTimes(document);
  markPressed();
})();
