"use strict";
// Every word typed must be in a card's text; "/" leads to the field, Escape empties it.
const field = document.getElementById("search");
const cards = Array.from(document.querySelectorAll("ul.cards > li"));
const count = document.getElementById("count");

function search() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const card of cards) {
    const text = card.dataset.text;
    card.hidden = !words.every((word) => text.includes(word));
    shown += card.hidden ? 0 : 1;
  }
  count.textContent = `${shown} of ${cards.length} components`;
}

field.addEventListener("input", search);
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== field && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    field.focus();
  } else if (event.key === "Escape" && document.activeElement === field) {
    field.value = "";
    search();
  }
});
search();
