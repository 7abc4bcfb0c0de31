
"use strict";
const root = document.documentElement;
root.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);
document.getElementById("theme").addEventListener("click", () => root.classList.toggle("dark"));

const value = (cell) => {
  if (cell.dataset.value !== undefined) return parseFloat(cell.dataset.value);
  const text = cell.textContent.trim().replace(/,/g, "").replace("<", "").trim();
  const number = parseFloat(text);
  return Number.isNaN(number) || !/^[+-]?[\d.]/.test(text) ? text : number;
};
const compare = (a, b) => {
  if (a === "" || b === "") return (a === "") - (b === "");
  return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
};
for (const head of document.querySelectorAll("th")) {
  head.tabIndex = 0;
  const sort = () => {
    const row = head.parentNode;
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of row.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const column = head.cellIndex;
    const body = head.closest("table").tBodies[0];
    body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * compare(value(a.cells[column]), value(b.cells[column]))));
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(); }
  });
}

const tip = document.getElementById("tip");
for (const dot of document.querySelectorAll("circle[data-tip]")) {
  dot.addEventListener("pointerenter", () => {
    const box = dot.getBoundingClientRect();
    tip.textContent = dot.dataset.tip;
    tip.hidden = false;
    const left = Math.min(box.right + 8, innerWidth - tip.offsetWidth - 8);
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(8, box.top - 32)}px`;
  });
  dot.addEventListener("pointerleave", () => { tip.hidden = true; });
}
