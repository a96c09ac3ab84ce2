"use strict";

// Tables: a click on a heading sorts by it, another one turns the order, a third restores the first one.
const NEXT = { none: "ascending", ascending: "descending", descending: "none" };
const words = new Intl.Collator("en", { numeric: true });

const valueOf = (row, column) => {
  const cell = row.cells[column];
  return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
};

// Numbers before text, which is then a dash: what has no value comes last in both orders.
const compare = (a, b, sign) => {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return sign * (typeof a === "number" ? (a < b ? -1 : a > b ? 1 : 0) : words.compare(a, b));
};

for (const table of document.querySelectorAll("table.sortable")) {
  const [body] = table.tBodies;
  const first = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    head.ariaSort = "none";
    button.addEventListener("click", () => {
      const order = NEXT[head.ariaSort];
      for (const each of heads) each.ariaSort = "none";
      head.ariaSort = order;
      const sign = order === "descending" ? -1 : 1;
      const sorted = [...first];
      if (order !== "none") sorted.sort((a, b) => compare(valueOf(a, column), valueOf(b, column), sign));
      body.append(...sorted);
    });
  });
}

// Charts: what a point says appears beside it, under a pointer and on focus; arrow keys go from point to point.
const tip = document.createElement("p");
tip.className = "tip";
tip.hidden = true;
tip.setAttribute("aria-hidden", "true"); // a point's own label says the same
document.body.append(tip);

const hide = () => { tip.hidden = true; };

const show = (point) => {
  tip.textContent = point.getAttribute("aria-label");
  tip.hidden = false;
  const at = point.getBoundingClientRect();
  const left = at.left + at.width / 2 - tip.offsetWidth / 2;
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  const above = at.top - tip.offsetHeight - 6;
  tip.style.left = `${scrollX + Math.max(8, Math.min(left, room))}px`;
  tip.style.top = `${scrollY + (above < 0 ? at.bottom + 6 : above)}px`;
};

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

for (const chart of document.querySelectorAll("svg.chart")) {
  const points = [...chart.querySelectorAll(".point")];
  const enter = (point) => {
    for (const each of points) each.setAttribute("tabindex", each === point ? "0" : "-1");
    point.focus();
  };
  points.forEach((point, number) => {
    point.querySelector("title").remove(); // else the browser shows it, too
    if (number === 0) point.setAttribute("tabindex", "0");
    point.addEventListener("pointerenter", () => show(point));
    point.addEventListener("pointerleave", hide);
    point.addEventListener("focus", () => show(point));
    point.addEventListener("blur", hide);
    point.addEventListener("click", () => enter(point));
    point.addEventListener("keydown", (event) => {
      if (event.key === "Escape") hide();
      if (!(event.key in STEPS)) return;
      event.preventDefault();
      enter(points[(number + STEPS[event.key] + points.length) % points.length]);
    });
  });
}
