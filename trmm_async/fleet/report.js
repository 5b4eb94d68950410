"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const [words, client, code, told] = ["words", "client", "code", "told"].map(find);
  const rows = Array.from(find("targets").tBodies[0].rows, (row) => ({
    row, group: row.dataset.group, client: row.dataset.client, code: row.dataset.code,
    host: row.cells[0].textContent.toLowerCase(),
  }));
  const groups = new Map(Array.from(document.querySelectorAll("details[data-group]"), (one) => [one.dataset.group, one]));
  const texts = new Map();
  const says = (group, text) => {
    if (!texts.has(group)) texts.set(group, groups.get(group).querySelector("pre").textContent.toLowerCase());
    return texts.get(group).includes(text);
  };
  const show = () => {
    const text = words.value.trim().toLowerCase(), said = new Map(), left = new Map();
    let count = 0;
    for (const one of rows) {
      let fits = (!client.value || one.client === client.value) && (!code.value || one.code === code.value);
      if (fits && text && !one.host.includes(text)) {
        if (!said.has(one.group)) said.set(one.group, says(one.group, text));
        fits = said.get(one.group);
      }
      if (one.row.hidden === fits) one.row.hidden = !fits;
      if (fits) { count += 1; left.set(one.group, (left.get(one.group) || 0) + 1); }
    }
    for (const [number, group] of groups) group.hidden = !left.has(number);
    told.textContent = `${count} of ${rows.length} targets, ${left.size} of ${groups.size} groups`;
  };
  let waiting = 0;
  words.addEventListener("input", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(show); });
  client.addEventListener("change", show);
  code.addEventListener("change", show);
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("filters").addEventListener("reset", () => setTimeout(show));
  find("filters").hidden = false;
  addEventListener("beforeprint", () => { for (const one of document.querySelectorAll("details")) one.open = true; });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-to]");
    if (link) groups.get(link.dataset.to).open = true;
  });
  show();
})();
