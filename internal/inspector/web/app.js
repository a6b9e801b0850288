// Keeps a page current without reloading it, and makes it usable from the
// keyboard. Without this file every page works, too. Nothing here makes HTML of
// text: what is put into the page is what the server has escaped.
"use strict";

(() => {
  document.documentElement.classList.add("js");

  let stream = null;
  let paused = false;
  let running = null; // the request for the page as it is now
  let again = false; // something has changed since it was made

  const live = document.getElementById("live");

  function show(state, word) {
    live.hidden = false;
    live.dataset.state = state;
    live.setAttribute("aria-pressed", String(paused));
    live.querySelector(".word").textContent = word;
  }

  // refresh fetches this page again and puts in what differs.
  async function refresh() {
    if (running) {
      again = true;
      return;
    }
    do {
      again = false;
      running = new AbortController();
      try {
        const response = await fetch(location.href, { signal: running.signal, headers: { Accept: "text/html" } });
        const text = await response.text();
        if (!running.signal.aborted) replace(new DOMParser().parseFromString(text, "text/html"));
      } catch {
        // The stream says whether the server is there.
      }
      running = null;
    } while (again);
  }

  function replace(next) {
    for (const region of document.querySelectorAll("[data-live]")) {
      const now = next.getElementById(region.id);
      if (!now) {
        if (region.id === "list" || region.id === "timeline" || region.id === "problems") region.replaceChildren();
        continue;
      }
      if (region.innerHTML === now.innerHTML) continue;
      const focus = placeOf(region);
      const scroll = [...region.querySelectorAll("pre, .card")].map((e) => e.scrollTop);
      const known = new Set([...region.querySelectorAll("[data-key]")].map((e) => e.dataset.key));
      region.replaceChildren(...document.adoptNode(now).childNodes);
      if (known.size > 0) {
        for (const e of region.querySelectorAll("[data-key]")) e.classList.toggle("fresh", !known.has(e.dataset.key));
      }
      [...region.querySelectorAll("pre, .card")].forEach((e, i) => { if (scroll[i]) e.scrollTop = scroll[i]; });
      prepare(region);
      if (focus) restore(region, focus);
    }
    document.title = next.title || document.title;
  }

  // placeOf says where in a region the focus is, so that it stays there.
  function placeOf(region) {
    const e = document.activeElement;
    if (!region.contains(e) || e === region) return null;
    return { key: e.closest("[data-key]")?.dataset.key, href: e.getAttribute("href"), text: e.textContent };
  }

  function restore(region, place) {
    let within = region;
    if (place.key !== undefined) {
      within = [...region.querySelectorAll("[data-key]")].find((e) => e.dataset.key === place.key) ?? region;
    }
    const links = [...within.querySelectorAll("a, button")];
    const same = links.find((e) => e.getAttribute("href") === place.href && e.textContent === place.text) ??
      links.find((e) => e.getAttribute("href") === place.href);
    same?.focus({ preventScroll: true });
  }

  // prepare shows what only works with this file.
  function prepare(within) {
    for (const button of within.querySelectorAll(".copy")) button.hidden = false;
  }

  function connect() {
    if (stream || paused || document.hidden) return;
    stream = new EventSource("/stream");
    stream.addEventListener("hello", () => { show("live", "Live"); refresh(); });
    stream.addEventListener("change", refresh);
    stream.addEventListener("error", () => {
      show("lost", "Not connected");
      if (stream?.readyState === EventSource.CLOSED) { // it does not try again by itself
        disconnect();
        setTimeout(connect, 3000);
      }
    });
  }

  // A browser has few connections for one server: a page that is not seen needs none.
  function disconnect() {
    stream?.close();
    stream = null;
  }

  function pause() {
    paused = !paused;
    if (paused) {
      disconnect();
      show("paused", "Paused");
    } else {
      show("off", "Connecting");
      connect();
    }
  }

  // go shows what a form asks for, without loading the page.
  function go(form) {
    const url = new URL(form.action, location.href);
    for (const [name, value] of new FormData(form)) {
      if (value !== "") url.searchParams.append(name, value);
    }
    history.replaceState(null, "", url);
    running?.abort();
    refresh();
  }

  function move(by) {
    const rows = [...document.querySelectorAll("a.row")];
    if (rows.length === 0) return;
    const at = rows.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1);
    rows[next].focus();
    rows[next].scrollIntoView({ block: "nearest" });
  }

  let typing;
  document.addEventListener("input", (e) => {
    const form = e.target.closest("form.tools");
    if (!form) return;
    clearTimeout(typing);
    typing = setTimeout(go, e.target.type === "search" ? 200 : 0, form);
  });
  document.addEventListener("submit", (e) => {
    if (!e.target.matches("form.tools")) return;
    e.preventDefault();
    clearTimeout(typing);
    go(e.target);
  });
  document.addEventListener("click", async (e) => {
    const button = e.target.closest(".copy");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "copied";
    } catch {
      button.textContent = "not allowed";
    }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.defaultPrevented) return;
    const typingIn = e.target.closest("input, select, textarea");
    if (e.key === "Escape") {
      if (typingIn) typingIn.blur();
      else if (!document.querySelector("dialog[open]")) document.querySelector("a.close")?.click();
      return;
    }
    if (typingIn || document.querySelector("dialog[open]")) return;
    const tabs = document.querySelectorAll("#nav a");
    switch (e.key) {
      case "/": {
        const search = document.querySelector("input[type=search]");
        if (!search) return;
        search.focus();
        search.select();
        break;
      }
      case "j": move(1); break;
      case "k": move(-1); break;
      case "p": pause(); break;
      case "?": document.getElementById("keys").showModal(); break;
      default: {
        const tab = /^[1-9]$/.test(e.key) ? tabs[e.key - 1] : null;
        if (!tab) return;
        tab.click();
      }
    }
    e.preventDefault();
  });
  live.addEventListener("click", pause);
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", connect);

  prepare(document);
  show("off", "Connecting");
  connect();
})();
