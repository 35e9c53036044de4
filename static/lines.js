/* Line numbers beside a text, and a mark on its lines that are wrong.
 *
 * data-lines="id"   a textarea in .editor, after its .editor-lines; the element of that id says what is wrong
 * data-line="3"     in there: a link to that line
 */
(function () {
  "use strict";
  var MOST = 5000;

  function count(area) { return Math.min(area.value.split("\n").length, MOST); }
  function layer(area) { return area.parentNode.querySelector(".editor-lines"); }
  function height(area) { return parseFloat(getComputedStyle(area).lineHeight); }

  function follow(area) { layer(area).scrollTop = area.scrollTop; }

  function draw(area) {
    var rows = layer(area), wanted = count(area);
    while (rows.children.length > wanted) rows.lastChild.remove();
    while (rows.children.length < wanted) {
      var row = document.createElement("div");
      row.textContent = rows.children.length + 1;
      rows.append(row);
    }
    follow(area);
  }
  function mark(area) {
    var rows = layer(area), links = said(area);
    Array.from(rows.children).forEach(function (row) { row.classList.remove("is-wrong"); });
    links.forEach(function (link) {
      var row = rows.children[Number(link.dataset.line) - 1];
      if (row) row.classList.add("is-wrong");
    });
    area.setAttribute("aria-invalid", String(links.length > 0));
  }
  function said(area) {
    var place = document.getElementById(area.dataset.lines);
    return place ? Array.from(place.querySelectorAll("[data-line]")) : [];
  }
  function go(area, line) {
    var before = area.value.split("\n").slice(0, line);
    var end = before.join("\n").length;
    area.focus();
    area.setSelectionRange(end - before[before.length - 1].length, end);
    area.scrollTop = Math.max(0, (line - 4) * height(area));
    area.scrollLeft = 0;
  }

  document.querySelectorAll("textarea[data-lines]").forEach(function (area) {
    draw(area);
    mark(area);
    area.addEventListener("input", function () { draw(area); });
    area.addEventListener("scroll", function () { follow(area); });
    document.addEventListener("htmx:afterSettle", function () { mark(area); });
    document.addEventListener("click", function (event) {
      var link = event.target.closest("[data-line]");
      if (!link || said(area).indexOf(link) < 0) return;
      event.preventDefault();
      go(area, Number(link.dataset.line));
    });
  });
})();
