"use strict";
// One peer at a time: a name in the legend shows its lane, band and line, and dims the others.
const root = document.querySelector("main");
for (const button of document.querySelectorAll(".legend button")) {
  button.addEventListener("click", () => {
    const wanted = button.getAttribute("aria-pressed") === "true" ? null : button.dataset.of;
    root.classList.toggle("focused", wanted !== null);
    for (const other of document.querySelectorAll(".legend button")) {
      other.setAttribute("aria-pressed", String(other.dataset.of === wanted));
    }
    for (const mark of document.querySelectorAll("[data-peer]")) {
      mark.classList.toggle("here", mark.dataset.peer === wanted);
    }
  });
}
