{
  const table = document.querySelector("table");
  if (table) {
    const plain = text => text.normalize("NFC").toLowerCase();
    const rows = Array.from(table.tBodies[0].rows, row => [row, plain(row.cells[0].textContent)]);
    const box = document.createElement("div"), label = document.createElement("label");
    const input = document.createElement("input"), count = document.createElement("output");
    box.className = "filter";
    box.setAttribute("role", "search");
    input.type = "search";
    input.autocomplete = "off";
    input.spellcheck = false;
    label.append("Filter", input);
    box.append(label, count);
    input.addEventListener("input", () => {
      const wanted = plain(input.value.trim());
      let shown = 0;
      for (const [row, name] of rows) {
        const hit = name.includes(wanted);
        row.toggleAttribute("hidden", !hit);
        shown += hit;
      }
      count.textContent = wanted && `${shown} of ${rows.length}`;
    });
    table.before(box);
  }
}
