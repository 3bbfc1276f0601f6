/* Searching and filtering the ledger. Without this script the whole table is there. */
(() => {
  "use strict";

  const ledger = document.querySelector(".vt-ledger");
  const controls = ledger.querySelector("form");
  const count = ledger.querySelector(".vt-ledger-count");
  const rows = [...ledger.querySelectorAll("tbody tr")].map((row) => ({ row, text: row.textContent.toLowerCase() }));

  function fits({ row, text }, wanted) {
    const words = wanted.text.toLowerCase().split(/\s+/);
    return (
      words.every((word) => text.includes(word)) &&
      ["location", "grade", "verdict"].every((field) => !wanted[field] || row.dataset[field] === wanted[field])
    );
  }

  function filter() {
    const wanted = Object.fromEntries(new FormData(controls));
    let shown = 0;
    for (const entry of rows) {
      entry.row.hidden = !fits(entry, wanted);
      shown += !entry.row.hidden;
    }
    count.textContent = shown === rows.length ? `${shown} numbers` : `${shown} of ${rows.length} numbers`;
  }

  /* The row that the address names is brought into sight, whatever the filters hide. */
  function showNamedRow() {
    const row = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!row) return;
    if (row.hidden) {
      controls.reset();
      filter();
    }
    row.scrollIntoView({ behavior: "instant" });
  }

  controls.hidden = false;
  controls.addEventListener("input", filter);
  controls.addEventListener("reset", () => setTimeout(filter));
  controls.addEventListener("submit", (event) => event.preventDefault());
  // The browser has already looked for the row that the address names, before the controls moved it.
  showNamedRow();
  window.addEventListener("hashchange", showNamedRow);
  // Followed a second time, a link does not change the address.
  for (const link of document.querySelectorAll('a.claim[href^="#"]')) {
    link.addEventListener("click", () => setTimeout(showNamedRow));
  }
})();
