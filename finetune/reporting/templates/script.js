"use strict";
// What the page can do beyond being read: change its theme, sort and search its table, open the images behind a number.
// Text from the report enters the page by textContent alone.

const byId = (id) => document.getElementById(id);

function make(name, text, attributes = {}) {
  const element = document.createElement(name);
  element.textContent = text;
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function offerThemes() {
  const root = document.documentElement, button = byId("theme"), system = matchMedia("(prefers-color-scheme: dark)");
  const ofSystem = () => (system.matches ? "dark" : "light");
  const shown = () => root.dataset.theme ?? ofSystem();
  const other = () => (shown() === "dark" ? "light" : "dark");
  const name = () => { button.textContent = other() === "dark" ? "Dark theme" : "Light theme"; };
  button.addEventListener("click", () => {
    const wanted = other();
    if (wanted === ofSystem()) delete root.dataset.theme; else root.dataset.theme = wanted;
    name();
  });
  system.addEventListener("change", name);
  name();
  button.hidden = false;
}

function offerSorting(table) {
  const body = table.tBodies[0], rows = [...body.rows], collator = new Intl.Collator(undefined, { numeric: true });
  const texts = rows.map((row) => [...row.cells].map((cell) => cell.firstChild?.data ?? ""));
  const places = new Map(rows.map((row, place) => [row, place]));
  // ">0.999" and "<0.001" lie just inside what they name; a dash is no number, and stands last either way
  const numberOf = (text) => {
    const number = Number(text.replace(/[<>,]/g, ""));
    return text.startsWith(">") ? number + 1e-4 : text.startsWith("<") ? number - 1e-4 : number;
  };
  const compare = (column, sign) => (a, b) => {
    const [one, two] = [a, b].map((row) => texts[places.get(row)][column]);
    if (column === 0) return sign * collator.compare(one, two);
    const [x, y] = [numberOf(one), numberOf(two)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    return sign * (x - y);
  };
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = make("button", heading.textContent, { type: "button" });
    button.addEventListener("click", () => {
      const isRising = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((one) => one.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", isRising ? "ascending" : "descending");
      rows.sort(compare(column, isRising ? 1 : -1));
      body.append(...rows);
    });
    heading.replaceChildren(button);
  });
}

function offerSearch(table, field, told) {
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const rows = [...table.tBodies[0].rows], names = rows.map((row) => plain(row.cells[0].textContent));
  const search = () => {
    const wanted = plain(field.value.trim());
    rows.forEach((row, place) => { row.hidden = !names[place].includes(wanted); });
    const found = rows.filter((row) => !row.hidden).length;
    told.textContent = wanted ? `${found.toLocaleString("en")} of ${rows.length.toLocaleString("en")} classes` : "";
  };
  field.addEventListener("input", search);
  search(); // a browser may have kept what was typed before the page was loaded again
}

function showImages(dialog, cell) {
  const { label, answer, count, images } = cell, pictured = images.filter((image) => image[2]);
  const noun = count === 1 ? "image" : "images";
  const kind = label === answer ? `of ${label}, answered rightly` : `of ${label}, answered ${answer}`;
  dialog.querySelector("h2").textContent = `${count.toLocaleString("en")} ${noun} ${kind}`;
  const order = label === answer ? "The least sure answers come first." : "The surest answers come first.";
  const named = pictured.length && pictured.length < images.length ? ` ${pictured.length} are shown, the others named.` : "";
  const hidden = images.length < count ? ` Listed: ${images.length} of ${count}; predictions.csv holds them all.` : "";
  dialog.querySelector(".hint").textContent = (count > 1 ? order : "") + named + hidden;
  const score = (value) => (value === null ? "" : `score ${value.toFixed(3)}`);
  dialog.querySelector(".gallery").replaceChildren(...pictured.map(([path, value, picture]) => {
    const figure = make("figure", ""), frame = make("div", "", { class: "frame" }), caption = make("figcaption", "");
    frame.append(make("img", "", { src: picture, alt: "" }));
    caption.append(score(value), make("small", path, { class: "path" }));
    figure.append(frame, caption);
    return figure;
  }));
  dialog.querySelector(".paths").replaceChildren(...images.filter((image) => !image[2]).map(([path, value]) => {
    const line = make("li", path);
    line.append(make("small", score(value)));
    return line;
  }));
  dialog.querySelector(".paths").start = pictured.length + 1;
  dialog.showModal();
  dialog.scrollTop = 0;
}

function offerImages(dialog, cells) {
  const behind = new Map(cells.map((cell) => [JSON.stringify([cell.label, cell.answer]), cell]));
  for (const place of document.querySelectorAll("#confusion td[data-label]")) {
    const cell = behind.get(JSON.stringify([place.dataset.label, place.dataset.answer]));
    if (!cell?.images.length) continue;
    const name = `${place.textContent}: ${cell.label} answered ${cell.answer}, show the images`;
    const button = make("button", place.textContent, { type: "button", "aria-label": name, "aria-haspopup": "dialog" });
    button.addEventListener("click", () => showImages(dialog, cell));
    place.replaceChildren(button);
  }
  dialog.querySelector("button").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); }); // beside it
}

function openForPrinting() {
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((details) => { details.open = false; }));
}

offerThemes();
offerSorting(byId("numbers"));
offerSearch(byId("numbers"), byId("search"), byId("found"));
offerImages(byId("images"), JSON.parse(byId("images-behind").textContent));
openForPrinting();
document.querySelectorAll(".scripted").forEach((element) => { element.hidden = false; });
