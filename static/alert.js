/* The alert's page: views of its facts, and personal data that was revealed goes away by itself.
 *
 * data-open-reveal       shows the event and asks for the reason
 * data-revealed="60"     what stands around it was revealed; masked again after so many seconds, when the page is
 *                        left, and before htmx keeps a copy of the page for its history
 * data-hide-revealed     masks it at once; data-countdown gets the seconds that are left
 */
(function () {
  "use strict";
  var masked = null; // what stood there before
  var timer = 0;

  function body() { return document.getElementById("event-body"); }
  function hide() {
    clearInterval(timer);
    var place = body();
    if (masked === null || !place || !place.querySelector("[data-revealed]")) return;
    var had = place.contains(document.activeElement);
    place.innerHTML = masked;
    masked = null;
    window.htmx.process(place);
    if (had) place.focus({ preventScroll: true });
  }
  function count(note) {
    var left = Number(note.dataset.revealed);
    var words = note.querySelector("[data-countdown]");
    function tick() {
      if (left <= 0) { hide(); return; }
      if (words) words.textContent = ", masked again in " + left + "\u00a0s";
      left -= 1;
    }
    clearInterval(timer);
    timer = setInterval(tick, 1000);
    tick();
  }

  document.addEventListener("htmx:beforeRequest", function (event) {
    var place = body();
    if (!place || event.detail.target !== place || place.querySelector("[data-revealed]")) return;
    var form = place.querySelector("form"); // what was typed is not part of the masked copy
    masked = place.innerHTML;
    if (form) form.setAttribute("aria-busy", "true");
  });
  document.addEventListener("htmx:afterSettle", function () {
    var note = body() && body().querySelector("[data-revealed]");
    if (note && masked !== null) count(note);
  });
  document.addEventListener("htmx:beforeHistorySave", hide);
  window.addEventListener("pagehide", hide);
  document.addEventListener("click", function (event) {
    if (event.target.closest("[data-hide-revealed]")) hide();
    if (event.target.closest("[data-open-reveal]")) openReveal();
  });
  function openReveal() {
    var view = document.getElementById("facts-event");
    if (view) view.checked = true;
    var asked = body() && body().querySelector("details.reveal");
    if (!asked) return;
    asked.open = true;
    asked.querySelector("[name=reason]").focus();
  }
})();
