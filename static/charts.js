/* Draws <div class="chart" data-chart-src="#id"> from the figure JSON in <script type="application/json" id="id">.
 *
 * The server sends data and axes, not looks: fonts, grid, background and theme are ours. Colours may be
 * tokens ("@critical", "@ink") or the hex values of the light theme below, which stay valid for plotly.py
 * and become the dark theme's values there. Plotly (1.2 MB) is fetched only when a page has a chart.
 */
(function () {
  "use strict";
  var COLOURS = { // token: [custom property, the hex that plotly.py may use for it]
    "@low": ["--fill-low", "#8a95a3"],
    "@medium": ["--fill-medium", "#d99a00"],
    "@high": ["--fill-high", "#e8651a"],
    "@critical": ["--fill-critical", "#cf222e"],
    "@ink": ["--ink", "#1b1f24"],
    "@muted": ["--ink-3", "#5c6673"],
    "@line": ["--line", "#e3e6ea"],
    "@accent": ["--accent", "#2458d3"]
  };
  var CONFIG = { displayModeBar: false, displaylogo: false, responsive: true, showTips: false, scrollZoom: false };
  var TICK_ROOM = 40; // pixels of "99.9 %" and the space beside it
  var NAME = 11, LINE = 13; // pixels of the letters of a name beside a bar, of a line of it
  var TAIL = 14; // letters kept of the end of a name that is cut: names differ there, as in "over 30 days"
  var OURS = /^\/[^/]/; // an address on this host
  var REST = 150; // milliseconds after the last change of the window's size
  var loading = null;
  var resting = 0;

  function palette() {
    var style = getComputedStyle(document.documentElement);
    var map = {};
    Object.keys(COLOURS).forEach(function (token) {
      var value = style.getPropertyValue(COLOURS[token][0]).trim();
      map[token] = value;
      map[COLOURS[token][1]] = value;
    });
    return map;
  }
  function recolour(value, map) {
    if (typeof value === "string") return map[value.toLowerCase()] || value;
    if (Array.isArray(value)) return value.map(function (item) { return recolour(item, map); });
    if (value && typeof value === "object") {
      var copy = {};
      Object.keys(value).forEach(function (key) { copy[key] = recolour(value[key], map); });
      return copy;
    }
    return value;
  }
  function merge(base, over) {
    var result = Object.assign({}, base);
    Object.keys(over || {}).forEach(function (key) {
      var both = [base[key], over[key]].every(function (v) { return v && typeof v === "object" && !Array.isArray(v); });
      result[key] = both ? merge(base[key], over[key]) : over[key];
    });
    return result;
  }
  /* Names of bars within half the width, in as many lines as a bar is high; what has no room there is cut
   * in its middle.
   * The axis that shows them, and the room that it takes on the left. */
  function namedAxis(names, axis, box) {
    var pen = document.createElement("canvas").getContext("2d");
    pen.font = NAME + "px " + getComputedStyle(document.body).fontFamily;
    var most = box.clientWidth / 2;
    var room = Math.max(1, Math.floor(box.clientHeight / (names.length + 2) / LINE));
    var widest = 0;
    function width(text) { return pen.measureText(text).width; }
    function cut(text) {
      if (width(text) > most) {
        var tail = text.slice(-TAIL).trimStart();
        var head = text.slice(0, -TAIL);
        while (head && width(head + "\u2026" + tail) > most) head = head.slice(0, -1);
        while (tail && width(head + "\u2026" + tail) > most) tail = tail.slice(1);
        text = head.trimEnd() + "\u2026" + tail;
      }
      widest = Math.max(widest, width(text));
      return text;
    }
    var written = names.map(function (name) {
      return name.split(" ").reduce(function (lines, word) {
        var longer = lines.length ? lines[lines.length - 1] + " " + word : "";
        return longer && (width(longer) <= most || lines.length === room) ? lines.slice(0, -1).concat(longer) : lines.concat(word);
      }, []).map(cut).join("<br>");
    });
    return { axis: Object.assign({}, axis, { tickvals: names, ticktext: written, automargin: false }), left: Math.ceil(widest) + NAME };
  }
  /* Beyond 1e15, and below 1e-15, plotly raises powers by a style of their own, which the policy refuses. */
  function isFar(data) {
    return (data || []).some(function (trace) {
      return [trace.x, trace.y].some(function (field) {
        var most = values(field).reduce(function (found, value) {
          return typeof value === "number" && isFinite(value) ? Math.max(found, Math.abs(value)) : found;
        }, 0);
        return most >= 1e14 || (most > 0 && most <= 1e-14);
      });
    });
  }
  function layoutFor(given, map, box, data) {
    var axis = {
      gridcolor: map["@line"], linecolor: map["@line"], zerolinecolor: map["@line"], tickcolor: map["@line"],
      exponentformat: isFar(data) ? "e" : "B", minexponent: 6, separatethousands: true, ticks: "", showline: false, automargin: true, fixedrange: true, title: { standoff: 8, font: { size: 12, color: map["@muted"] } },
      tickfont: { size: NAME, color: map["@muted"] }
    };
    // Which ticks it has depends on its height: room for the uppermost would change that, and so on.
    var upright = Object.assign({}, axis, { automargin: "width", ticklabeloverflow: "allow" });
    var base = {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", autosize: true, dragmode: false,
      height: box.clientHeight || 240, margin: { l: 8, r: 12, t: 4, b: 8, pad: 4 },
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: map["@ink"] },
      colorway: [map["@ink"], map["@accent"], map["@low"]], showlegend: false,
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11, color: map["@muted"] } },
      hoverlabel: { bgcolor: map["@ink"], bordercolor: map["@ink"], align: "left",
        font: { size: 12, color: getComputedStyle(document.documentElement).getPropertyValue("--surface").trim() } },
      bargap: 0.35, xaxis: axis, yaxis: upright
    };
    var clean = Object.assign({}, given);
    delete clean.template; // plotly.py's own looks
    Object.keys(clean).forEach(function (key) { if (/^[xy]axis\d+$/.test(key)) base[key] = key[0] === "y" ? upright : axis; });
    var names = clean.yaxis && clean.yaxis.categoryarray;
    delete box.dataset.drawnAt;
    if (names) {
      box.dataset.drawnAt = box.clientWidth; // the room of its names is a share of it
      var named = namedAxis(names, axis, box);
      base.yaxis = named.axis;
      base.margin.l = named.left;
    }
    return merge(base, clean);
  }

  function fetchPlotly() {
    if (window.Plotly) return Promise.resolve(window.Plotly);
    loading = loading || new Promise(function (resolve, reject) {
      var script = document.createElement("script");
      script.src = document.querySelector("meta[name=plotly-src]").content;
      script.onload = function () { resolve(window.Plotly); };
      script.onerror = function () { loading = null; reject(new Error("plotly did not load")); };
      document.head.append(script);
    });
    return loading;
  }
  function figureOf(box) {
    var source = document.querySelector(box.dataset.chartSrc);
    return source ? JSON.parse(source.textContent) : null;
  }

  /* --- The same numbers as a table ------------------------------------------------------------------ */
  var READERS = { f8: Float64Array, f4: Float32Array, i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array,
    i4: Int32Array, u4: Uint32Array };
  function values(field) {
    if (!field) return [];
    if (Array.isArray(field)) return field;
    if (!field.bdata) return [];
    var bytes = Uint8Array.from(atob(field.bdata), function (c) { return c.charCodeAt(0); });
    return Array.from(new READERS[field.dtype](bytes.buffer)); // plotly.py packs numpy arrays like this
  }
  var MOST_ROWS = 500; // of a series: more than anybody reads
  function shown(value) {
    if (value === null || value === undefined) return "\u2013";
    if (typeof value !== "number") return String(value).replace(/<[^>]+>/g, " ");
    if (Number.isInteger(value)) return value.toLocaleString("en");
    return value.toLocaleString("en", Math.abs(value) < 1000 ? { maximumSignificantDigits: 5 }
      : { maximumFractionDigits: 2 });
  }
  function tableOf(figure, name) {
    var table = document.createElement("table");
    table.className = "grid-table";
    table.createCaption().textContent = name;
    var head = table.createTHead().insertRow();
    var axes = figure.layout || {};
    ["Series", titleOf(axes.xaxis, "x"), titleOf(axes.yaxis, "y")].forEach(function (text, index) {
      var cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = text;
      if (index) cell.className = "num";
      head.append(cell);
    });
    var body = table.createTBody();
    figure.data.forEach(function (trace, index) {
      var xs = values(trace.x || trace.labels);
      var ys = values(trace.y || trace.values);
      ys.slice(0, MOST_ROWS).forEach(function (y, at) {
        var row = body.insertRow();
        var address = addressOf(figure.layout, trace, at);
        row.insertCell().textContent = trace.name || "Series " + (index + 1);
        [xs[at], y].forEach(function (value, column) {
          var cell = row.insertCell();
          cell.className = "num";
          if (column && address) {
            var link = document.createElement("a"); // what a click on the point does, for the keyboard
            link.href = address;
            link.textContent = shown(value);
            cell.append(link);
          } else cell.textContent = shown(value);
        });
      });
      if (ys.length > MOST_ROWS) {
        var rest = body.insertRow().insertCell();
        rest.colSpan = 3;
        rest.className = "muted";
        rest.textContent = (trace.name || "Series " + (index + 1)) + ": the first " + shown(MOST_ROWS) + " of "
          + shown(ys.length) + " points.";
      }
    });
    return table;
  }
  function titleOf(axis, fallback) {
    var title = axis && axis.title;
    return (title && (title.text || (typeof title === "string" && title))) || fallback;
  }
  function addToggle(box, figure) {
    var name = box.getAttribute("aria-label") || "Chart";
    var button = document.createElement("button");
    button.type = "button";
    button.className = "chart-toggle";
    button.textContent = "Show as table";
    button.setAttribute("aria-pressed", "false");
    var holder = document.createElement("div");
    holder.className = "chart-table";
    holder.hidden = true;
    holder.tabIndex = 0;
    holder.setAttribute("role", "region");
    holder.setAttribute("aria-label", name + ", table");
    button.addEventListener("click", function () {
      if (!holder.firstChild) holder.append(tableOf(figure, name));
      holder.hidden = !holder.hidden;
      box.hidden = !holder.hidden;
      button.textContent = holder.hidden ? "Show as table" : "Show as chart";
      button.setAttribute("aria-pressed", String(!holder.hidden));
      if (holder.hidden) draw(box);
    });
    box.after(holder, button);
  }

  function draw(box) {
    var figure = figureOf(box);
    if (!figure) return Promise.resolve();
    if (!box.dataset.ready) {
      box.dataset.ready = "yes";
      if (!box.hasAttribute("role")) box.setAttribute("role", "img");
      addToggle(box, figure);
    }
    return fetchPlotly().then(function (Plotly) {
      var map = palette();
      return Plotly.react(box, recolour(figure.data, map), layoutFor(recolour(figure.layout || {}, map), map, box, figure.data), CONFIG);
    }).then(function () {
      thin(box, figure);
      tellWhole(box, figure);
      if (box.dataset.linked) return;
      box.dataset.linked = "yes";
      box.on("plotly_relayout", function () {
        thin(box, figureOf(box) || figure);
        tellWhole(box, figureOf(box) || figure);
      });
      box.on("plotly_click", function (event) { follow(box, event.points); });
    }).catch(function () {
      box.classList.add("is-failed");
      box.textContent = "The chart could not be drawn. The table below has the numbers.";
    });
  }
  /* Ticks that the server placed on a known range: as many as the drawn width has room for, the first kept. */
  function thin(box, figure) {
    var axis = (figure.layout || {}).xaxis || {};
    var drawn = box._fullLayout && box._fullLayout.xaxis;
    if (!axis.tickvals || !axis.range || !drawn) return;
    var room = TICK_ROOM * (axis.range[1] - axis.range[0]) / drawn._length;
    var last = -Infinity;
    var kept = axis.tickvals.map(function (value, at) { return [value, axis.ticktext[at]]; }).filter(function (tick) {
      if (tick[0] - last < room) return false;
      last = tick[0];
      return true;
    });
    if (kept.length === drawn.tickvals.length) return;
    window.Plotly.relayout(box, {
      "xaxis.tickvals": kept.map(function (tick) { return tick[0]; }), "xaxis.ticktext": kept.map(function (tick) { return tick[1]; })
    });
  }
  /* The whole name of a bar on hover: beside it there may be no room for it. */
  function tellWhole(box, figure) {
    var names = ((figure.layout || {}).yaxis || {}).categoryarray || [];
    box.querySelectorAll(".ytick text").forEach(function (tick, at) {
      var title = document.createElementNS("http://www.w3.org/2000/svg", "title");
      title.textContent = names[at] || "";
      tick.querySelectorAll("title").forEach(function (old) { old.remove(); });
      if (names[at]) tick.append(title);
    });
  }
  /* Where a point leads: the address in its customdata, or that of its trace (meta.url) with {first} and
   * {last} filled in from the lists in layout.meta. Only addresses of ours. */
  function addressOf(layout, trace, at) {
    var own = (trace.customdata || [])[at];
    var ends = (layout && layout.meta) || {};
    if (trace.meta && trace.meta.url && ends.first) {
      own = trace.meta.url.replace("{first}", ends.first[at]).replace("{last}", ends.last[at]);
    }
    return typeof own === "string" && OURS.test(own) ? own : "";
  }
  function follow(box, points) {
    var found = points.map(function (point) { return addressOf(box.layout, point.data, point.pointIndex); }).find(Boolean);
    if (found) location.assign(found);
  }
  function drawAll(scope) {
    scope.querySelectorAll(".chart[data-chart-src]").forEach(draw);
  }
  function purge(event) {
    if (!event.detail.shouldSwap || !window.Plotly || !event.detail.target.querySelectorAll) return;
    event.detail.target.querySelectorAll(".chart[data-ready]").forEach(function (box) { window.Plotly.purge(box); });
  }

  document.addEventListener("htmx:beforeSwap", purge);
  document.addEventListener("htmx:afterSettle", function (event) { drawAll(event.detail.elt); });
  document.addEventListener("risk:theme", function () { drawAll(document); });
  /* A chart whose names had their room at another width is drawn again, once the window has come to rest. */
  window.addEventListener("resize", function () {
    clearTimeout(resting);
    resting = setTimeout(function () {
      document.querySelectorAll(".chart[data-drawn-at]").forEach(function (box) {
        if (box.clientWidth && String(box.clientWidth) !== box.dataset.drawnAt) draw(box);
      });
    }, REST);
  });
  document.addEventListener("risk:resize", function () { window.dispatchEvent(new Event("resize")); });
  drawAll(document);
})();
