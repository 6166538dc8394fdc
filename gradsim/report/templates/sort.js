// Tables sort by a click on a heading: up, down, as they were. Nothing else in the page needs a script.
(() => {
"use strict";
const collator = new Intl.Collator("en", {numeric: true});
const WORDS = {infinite: Infinity, "-infinite": -Infinity};

// What a cell says first, as a number: "1,230", "3 of 16 (7 to 43%)" (their ratio), "<0.1%"; NaN for a dash.
function size(text) {
  if (text in WORDS) return WORDS[text];
  const said = text.replaceAll(",", ""), share = said.match(/^(\d+) of (\d+)/);
  if (share) return share[1] / share[2];
  const found = said.match(/^[<>]?(-?[\d.]+(?:e-?\d+)?)/);
  if (!found) return NaN;
  return Number(found[1]) + (said[0] === "<" ? -0.05 : said[0] === ">" ? 0.05 : 0);
}

function compare(a, b, numeric, down) {
  if (!numeric) return down ? collator.compare(b, a) : collator.compare(a, b);
  const [x, y] = [size(a), size(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
  return x === y ? 0 : (x < y) === down ? 1 : -1;
}

function sortable(table) {
  const body = table.tBodies[0], rows = [...body.rows], heads = [...table.tHead.rows[0].cells];
  if (rows.length < 2) return;
  const more = note(table);
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    const says = row => row.cells[column].textContent.trim();
    button.addEventListener("click", () => {
      const next = {ascending: "descending", descending: null}[head.getAttribute("aria-sort")];
      const way = next === undefined ? "ascending" : next;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      if (way) head.setAttribute("aria-sort", way);
      const numeric = head.classList.contains("num");
      const sorted = way ? [...rows].sort((a, b) => compare(says(a), says(b), numeric, way === "descending")) : rows;
      body.append(...sorted);
      if (more) more.hidden = !way;
    });
  });
}

// Of a table that is cut short only the rows shown are sorted, and it says so.
function note(table) {
  const below = table.parentElement.nextElementSibling;
  if (!below || !below.matches(".more")) return null;
  const more = document.createElement("span");
  more.textContent = " Sorted: the rows shown, not all.";
  more.hidden = true;
  below.append(more);
  return more;
}

document.querySelectorAll("table").forEach(sortable);
})();
