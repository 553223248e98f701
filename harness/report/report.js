// Adds sorting and filtering to the tables, which are complete without it.
"use strict";

/** The number that a cell begins with, or NaN: "−3.01", "±1.2%", "2.51×". */
const number = (text) => parseFloat(text.replace("−", "-").replace("±", "").replace("×", ""));

function compare(a, b) {
  const [x, y] = [number(a), number(b)];
  if (Number.isNaN(x) || Number.isNaN(y)) return a.localeCompare(b, "en", { numeric: true });
  return x - y;
}

/** Sort all rows of the table by one column; empty cells stay last in either direction. */
function sort(table, column, ascending) {
  const rows = [...table.querySelectorAll("tbody tr")].map((row) => [row.cells[column].textContent.trim(), row]);
  rows.sort(([a], [b]) => (a === "") - (b === "") || (a === "" ? 0 : compare(a, b) * (ascending ? 1 : -1)));
  table.tBodies[0].append(...rows.map(([, row]) => row));
  [...table.tBodies].slice(1).forEach((empty) => empty.remove());
}

function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      sort(table, column, ascending);
    });
  });
}

function makeFilterable(table) {
  const rows = [...table.querySelectorAll("tbody tr")];
  if (rows.length < 6) return;
  const texts = rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase());
  const box = document.createElement("div");
  box.className = "filter";
  const label = document.createElement("label");
  const input = document.createElement("input");
  const count = document.createElement("output");
  input.type = "search";
  input.placeholder = "int8 fastest";
  label.append("Rows with all of these words: ", input);
  box.append(label, count);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, index) => {
      row.hidden = !words.every((word) => texts[index].includes(word));
      shown += row.hidden ? 0 : 1;
    });
    count.value = words.length ? `${shown} of ${rows.length} rows` : "";
  });
  table.parentElement.before(box);
}

document.querySelectorAll("table.sortable").forEach((table) => {
  makeSortable(table);
  makeFilterable(table);
});
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
