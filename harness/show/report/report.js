// Adds sorting, filters and the choice of a theme to a page that is complete without it.
"use strict";

/* What is chosen lives behind the anchor in the address: #decision&decision-table.M=1&theme=dark. */
function chosen() {
  const [anchor, ...rest] = location.hash.slice(1).split("&");
  const pairs = anchor.includes("=") ? [anchor, ...rest] : rest;
  return { anchor: anchor.includes("=") ? "" : anchor, state: new URLSearchParams(pairs.join("&")) };
}

const parts = []; // of the page that remember something: each has `read(state)` and `write(state)`

function remember(anchor = chosen().anchor) {
  const state = new URLSearchParams();
  parts.forEach((part) => part.write(state));
  try {
    history.replaceState(null, "", `#${[anchor, state].filter(String).join("&")}`);
  } catch {
    // a viewer that allows no address of its own: the page works all the same
  }
}

function recall() {
  const { anchor, state } = chosen();
  if (String(state)) parts.forEach((part) => part.read(state));
  const target = anchor && document.getElementById(decodeURIComponent(anchor));
  for (let fold = target && target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  if (target && String(state)) target.scrollIntoView();
}

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** The number that a text begins with, or NaN: "−3.01", "±1.2%", "2.51×". */
const number = (text) => parseFloat(text.replace("−", "-").replace("±", "").replace("×", ""));

/** Order of two texts of one column; what is empty or no number stays last in either direction. */
function compare(a, b, words, direction) {
  if (words) return (a === "") - (b === "") || direction * a.localeCompare(b, "en", { numeric: true });
  const [x, y] = [number(a), number(b)];
  return Number.isNaN(x) - Number.isNaN(y) || direction * (x - y) || 0;
}

/** Sorting, filters and baseline of one table. */
class Sheet {
  constructor(table) {
    this.table = table;
    this.headings = [...table.tHead.rows[0].cells];
    this.bodies = [...table.tBodies].map((body) => [body, [...body.rows]]);
    this.rows = this.bodies.flatMap(([, rows]) => rows);
    this.sorted = null; // [column, direction]
    this.fields = JSON.parse(table.dataset.filters || "[]");
    this.values = this.fields.length ? this.rows.map((row) => JSON.parse(row.dataset.fields)) : [];
    this.baselines = (table.dataset.baselines || "").split(" ").filter(Boolean);
    this.selects = new Map();
    this.addButtons();
    const short = this.rows.length < 6 || table.classList.contains("plain");
    if (!short || this.fields.length || this.baselines.length > 1) this.addControls();
    parts.push(this);
  }

  addButtons() {
    this.headings.forEach((heading, column) => {
      const button = make("button", { type: "button" }, ...heading.childNodes);
      button.addEventListener("click", () => {
        const again = this.sorted && this.sorted[0] === column;
        const first = this.fields.length || this.baselines.length ? -1 : 1; // of speed-ups, the best first
        const start = heading.classList.contains("w") ? 1 : first;
        this.sort(column, again ? -this.sorted[1] : start);
        remember(this.anchor());
      });
      heading.append(button);
    });
  }

  addControls() {
    const box = make("div", { className: "filter" });
    this.baselines.length > 1 && box.append(this.choice("over", this.baselines, "Speed-up over"));
    this.fields.forEach((name, index) => {
      const values = [...new Set(this.values.map((row) => row[index]))];
      box.append(this.choice(name, ["", ...values]));
    });
    this.search = make("input", { type: "search", placeholder: "all of these words" });
    this.search.addEventListener("input", () => this.changed());
    this.count = make("output", {});
    this.count.setAttribute("aria-live", "polite");
    box.append(make("label", {}, "Search ", this.search), this.count);
    this.table.parentElement.before(box);
  }

  choice(name, values, text = name) {
    const options = values.map((value) => make("option", { value }, value || "all"));
    const select = make("select", {}, ...options);
    select.addEventListener("change", () => this.changed());
    this.selects.set(name, select);
    return make("label", {}, `${text} `, select);
  }

  anchor() {
    return this.table.closest("section").id;
  }

  changed() {
    this.filter();
    if (this.sorted) this.sort(...this.sorted);
    remember(this.anchor());
  }

  /** The text of a cell; of several speed-ups, that over the chosen baseline. */
  text(cell) {
    return ((this.baselines.length && cell.querySelector(`.b${this.baseline()}`)) || cell).textContent.trim();
  }

  baseline() {
    return this.selects.has("over") ? Math.max(0, this.selects.get("over").selectedIndex) : 0;
  }

  /** Sort all rows by one column. */
  sort(column, direction) {
    this.sorted = [column, direction];
    const words = this.headings[column].classList.contains("w") || (column === 0 && this.bodies.length > 0);
    const keyed = this.rows.map((row) => [this.text(row.cells[column]), row]);
    keyed.sort(([a], [b]) => compare(a, b, words, direction));
    this.bodies[0][0].append(...keyed.map(([, row]) => row));
    this.bodies.slice(1).forEach(([body]) => body.remove());
    this.mark();
  }

  unsort() {
    this.sorted = null;
    this.bodies.forEach(([body, rows]) => {
      body.append(...rows);
      this.table.append(body);
    });
    this.mark();
  }

  mark() {
    this.headings.forEach((heading, column) => {
      if (!this.sorted || this.sorted[0] !== column) heading.removeAttribute("aria-sort");
      else heading.setAttribute("aria-sort", this.sorted[1] > 0 ? "ascending" : "descending");
    });
  }

  filter() {
    if (!this.search) return;
    if (this.baselines.length > 1) document.documentElement.dataset.over = this.baseline();
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = this.fields.map((name) => this.selects.get(name).value);
    if (words.length) this.texts ??= this.rows.map((row) => [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase());
    let shown = 0;
    this.rows.forEach((row, index) => {
      const fits = wanted.every((value, field) => !value || this.values[index][field] === value);
      row.hidden = !(fits && words.every((word) => this.texts[index].includes(word)));
      shown += !row.hidden;
    });
    const limited = words.length || wanted.some(Boolean);
    this.count.value = limited ? `${shown} of ${this.rows.length} rows` : "";
  }

  write(state) {
    const id = this.table.id;
    this.selects.forEach((select, name) => select.selectedIndex > 0 && state.set(`${id}.${name}`, select.value));
    if (this.search && this.search.value.trim()) state.set(`${id}.search`, this.search.value.trim());
    if (this.sorted) state.set(`${id}.sort`, `${this.sorted[1] < 0 ? "-" : ""}${this.sorted[0]}`);
  }

  read(state) {
    const id = this.table.id;
    this.selects.forEach((select, name) => {
      select.value = state.get(`${id}.${name}`) ?? select.options[0].value;
      if (select.selectedIndex < 0) select.selectedIndex = 0; // a link from a page with other values
    });
    if (this.search) this.search.value = state.get(`${id}.search`) ?? "";
    this.filter();
    const order = state.get(`${id}.sort`);
    const column = Math.abs(parseInt(order, 10));
    if (order && column < this.headings.length) this.sort(column, order.startsWith("-") ? -1 : 1);
    else if (this.sorted) this.unsort();
  }
}

/** The button that chooses between the system's theme, light and dark. */
class Theme {
  constructor() {
    this.names = ["auto", "light", "dark"];
    this.button = make("button", { type: "button", className: "theme" });
    this.button.addEventListener("click", () => {
      this.set(this.names[(this.names.indexOf(this.name) + 1) % this.names.length]);
      remember();
    });
    document.querySelector("header").prepend(this.button);
    this.set("auto");
    parts.push(this);
  }

  set(name) {
    this.name = this.names.includes(name) ? name : "auto";
    document.documentElement.dataset.theme = this.name;
    this.button.textContent = `Theme: ${this.name}`;
  }

  write(state) {
    if (this.name !== "auto") state.set("theme", this.name);
  }

  read(state) {
    this.set(state.get("theme"));
  }
}

new Theme();
document.querySelectorAll("table.sortable").forEach((table) => new Sheet(table));
recall();
addEventListener("hashchange", recall);
// On paper nothing unfolds; the tables of every number are too wide for it unless the reader has opened them.
addEventListener("beforeprint", () => {
  document.querySelectorAll(".warnings details, #answers details, #method details").forEach((fold) => (fold.open = true));
});
