// Two extensions label their elements in a way that screen readers stumble over; put that right.
document.addEventListener("DOMContentLoaded", () => {
  // sphinx-togglebutton names every summary alike, over its visible "Show code cell source".
  for (const summary of document.querySelectorAll("details > summary[aria-label]")) {
    if (summary.textContent.trim()) summary.removeAttribute("aria-label");
  }
  // docutils calls the bibliography a list, although its entries are no list items.
  for (const list of document.querySelectorAll(".citation-list[role=list]")) {
    list.removeAttribute("role");
  }
});
