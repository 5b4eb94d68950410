"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const [words, client, code, told] = ["words", "client", "code", "told"].map(find);
  const rows = Array.from(find("targets").tBodies[0].rows, (row) => ({
    row, group: row.dataset.group, client: row.dataset.client, code: row.dataset.code,
    host: row.cells[0].textContent.toLowerCase(),
  }));
  const groups = new Map(Array.from(find("said").children, (one) => [one.dataset.group, one]));
  const texts = new Map();
  const says = (group, text) => {
    if (!texts.has(group)) texts.set(group, groups.get(group).querySelector("pre").textContent.toLowerCase());
    return texts.get(group).includes(text);
  };
  // To lay out thousands takes a browser longer than all else: of those that fit the first are there, and on
  // paper all.
  const part = (place, more, first, what) => {
    let most = first, fit = [];
    const draw = (every) => {
      const count = every ? fit.length : Math.min(fit.length, most);
      place.replaceChildren(...fit.slice(0, count));
      more.hidden = count === fit.length;
      more.textContent = `Show all ${fit.length} ${what}, not the first ${count} alone`;
    };
    const all = () => { most = Infinity; draw(); };
    more.addEventListener("click", all);
    return { draw, all, set: (nodes) => { fit = nodes; draw(); } };
  };
  const targets = part(find("targets").tBodies[0], find("more"), 250, "targets");
  const said = part(find("said"), find("further"), 100, "groups");
  const show = () => {
    const text = words.value.trim().toLowerCase(), found = new Map(), left = new Set();
    const fit = rows.filter((one) => {
      if ((client.value && one.client !== client.value) || (code.value && one.code !== code.value)) return false;
      if (text && !one.host.includes(text)) {
        if (!found.has(one.group)) found.set(one.group, says(one.group, text));
        if (!found.get(one.group)) return false;
      }
      left.add(one.group);
      return true;
    });
    targets.set(fit.map((one) => one.row));
    said.set(Array.from(groups).filter(([number]) => left.has(number)).map(([, group]) => group));
    told.textContent = `${fit.length} of ${rows.length} targets, ${left.size} of ${groups.size} groups`;
  };
  let waiting = 0;
  words.addEventListener("input", () => { cancelAnimationFrame(waiting); waiting = requestAnimationFrame(show); });
  client.addEventListener("change", show);
  code.addEventListener("change", show);
  find("filters").addEventListener("submit", (event) => event.preventDefault());
  find("filters").addEventListener("reset", () => setTimeout(show));
  find("filters").hidden = false;
  addEventListener("beforeprint", () => {
    for (const one of [targets, said]) one.draw(true);
    for (const one of document.querySelectorAll("details")) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of [targets, said]) one.draw(); });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-to]");
    if (!link) return;
    const group = groups.get(link.dataset.to);
    group.open = true;
    if (!group.isConnected) said.all();
  });
  show();
})();
