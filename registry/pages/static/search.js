// Searches what search-index.js holds. Every text is set as text, never as HTML.
"use strict";
(function () {
  const MOST = 50;
  const box = document.getElementById("words");
  const hits = document.getElementById("hits");
  const told = document.getElementById("told");
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const entries = window.chorusIndex.map((entry) => ({
    name: entry[0], kind: entry[1], state: entry[2], page: entry[3], more: entry[4],
    title: plain(entry[0]), all: plain(entry.join(" ")),
  }));

  function score(entry, words) {
    let sum = 0;
    for (const word of words) {
      if (!entry.all.includes(word)) return 0;
      sum += entry.title === word ? 8 : entry.title.startsWith(word) ? 4 : entry.title.includes(word) ? 2 : 1;
    }
    return sum;
  }

  function line(entry) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = entry.page;
    link.textContent = entry.name;
    const more = document.createElement("small");
    more.dir = "auto";
    more.textContent = entry.kind + ", " + entry.state + ". " + entry.more;
    item.append(link, more);
    return item;
  }

  function search() {
    const words = plain(box.value).split(/\s+/).filter(Boolean);
    const found = words.length === 0 ? [] : entries
      .map((entry) => [score(entry, words), entry])
      .filter((one) => one[0] > 0)
      .sort((a, b) => b[0] - a[0] || (a[1].name < b[1].name ? -1 : 1));
    hits.replaceChildren(...found.slice(0, MOST).map((one) => line(one[1])));
    const beyond = found.length > MOST ? "; the first " + MOST + " are shown" : "";
    told.textContent = words.length === 0 ? "" : found.length + " found" + beyond;
  }

  document.getElementById("search").hidden = false;
  box.addEventListener("input", search);
  const asked = new URLSearchParams(location.search).get("q");
  if (asked) box.value = asked;
  search();
  box.focus();
})();
