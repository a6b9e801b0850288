// Keeps a page current without reloading it, and makes it usable from the
// keyboard. Every page also works without this file. Nothing here turns text into
// HTML: the server has escaped all that is put into the page.
"use strict";

(() => {
  document.documentElement.classList.add("js");

  let stream = null;
  let paused = false;
  let running = null; // an AbortController while the page is being fetched
  let again = false; // something has changed since that fetch began
  let shown = location.search; // the query that the page shows

  const live = document.getElementById("live");

  function show(state, word) {
    live.hidden = false;
    live.dataset.state = state;
    live.setAttribute("aria-pressed", String(paused));
    live.querySelector(".word").textContent = word;
  }

  // refresh fetches this page again and replaces what differs.
  async function refresh() {
    if (running) {
      again = true;
      return;
    }
    do {
      again = false;
      running = new AbortController();
      const { search } = location;
      try {
        const response = await fetch(location.href, { signal: running.signal, headers: { Accept: "text/html" } });
        const text = await response.text();
        if (!running.signal.aborted) {
          replace(new DOMParser().parseFromString(text, "text/html"));
          shown = search;
        }
      } catch {
        // The stream says whether the server is there.
      }
      running = null;
    } while (again && !(paused && shown === location.search));
  }

  function replace(next) {
    const focus = document.activeElement;
    for (const id of ["nav", "main", "foot"]) {
      const part = next.getElementById(id);
      if (!part) return; // the answer is an error, not a page
      morph(document.getElementById(id), part);
    }
    document.title = next.title || document.title;
    if (focus.isConnected && focus !== document.activeElement) focus.focus({ preventScroll: true }); // its element was moved
  }

  // morph makes an element equal to another, and does not touch equal parts. So focus,
  // selected text, scrolling and a click in progress are kept.
  function morph(now, next) {
    if (now.isEqualNode(next)) return;
    if (now.hasAttribute("data-says") && now.dataset.copy === next.dataset.copy) return; // it says "copied" for a while
    for (const { name, value } of next.attributes) {
      if (now.getAttribute(name) !== value) now.setAttribute(name, value);
    }
    for (const { name } of [...now.attributes]) {
      if (!next.hasAttribute(name) && name !== "data-fresh") now.removeAttribute(name);
    }
    if (!now.matches("select")) {
      morphChildren(now, next);
    } else if (now !== document.activeElement) { // if it has the focus, the user is choosing
      const chosen = next.value;
      morphChildren(now, next);
      now.value = chosen;
    }
  }

  function morphChildren(now, next) {
    const keyed = new Map([...now.children].filter(keyOf).map((e) => [keyOf(e), e]));
    const wanted = new Set([...next.children].map(keyOf));
    const fresh = keyed.size > 0; // rows that join others are marked
    let at = now.firstChild;
    const drop = () => { const gone = at; at = at.nextSibling; gone.remove(); };
    for (const child of [...next.childNodes]) {
      const key = keyOf(child);
      const same = keyed.get(key);
      keyed.delete(key);
      while (at && at !== same && (keyOf(at) ? !wanted.has(keyOf(at)) : same && at.nodeType === Node.TEXT_NODE)) drop();
      const match = same ?? (at && !keyOf(at) && !key ? at : null);
      if (match?.nodeName !== child.nodeName) {
        now.insertBefore(document.adoptNode(child), at);
        if (fresh && key) child.dataset.fresh = "";
        continue;
      }
      if (match === at) at = at.nextSibling;
      else now.insertBefore(match, at);
      if (child.nodeType === Node.ELEMENT_NODE) morph(match, child);
      else if (match.data !== child.data) match.data = child.data;
    }
    while (at) drop();
  }

  // keyOf identifies a row. Other nodes have no key.
  function keyOf(node) {
    return node.dataset?.key;
  }

  function connect() {
    if (stream || paused || document.hidden) return;
    stream = new EventSource("/stream");
    stream.addEventListener("hello", () => { show("live", "Live"); refresh(); });
    stream.addEventListener("change", refresh);
    stream.addEventListener("tick", refresh); // "10 s ago" must be updated
    stream.addEventListener("error", () => {
      show("lost", "Not connected");
      if (stream?.readyState === EventSource.CLOSED) { // the browser does not reconnect
        disconnect();
        setTimeout(connect, 3000);
      }
    });
  }

  // A browser has few connections to one server, so a hidden page gives up its own.
  function disconnect() {
    stream?.close();
    stream = null;
  }

  function pause() {
    paused = !paused;
    if (paused) {
      disconnect();
      if (shown === location.search) { // otherwise the result of a form is still to come
        running?.abort();
        again = false;
      }
      show("paused", "Paused");
    } else {
      show("off", "Connecting");
      connect();
    }
  }

  // go shows the result of a form without loading the page.
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
    if (e.target.name === "sort") form.elements.order?.remove(); // it was for another column
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
    const say = (word) => {
      button.textContent = word;
      button.toggleAttribute("data-says", word !== "copy");
    };
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      say("copied");
    } catch { // on other machines, browsers allow it only with TLS
      getSelection().selectAllChildren(button.previousElementSibling);
      say("selected");
    }
    setTimeout(say, 1500, "copy");
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
  document.addEventListener("animationend", (e) => e.target.closest("[data-fresh]")?.removeAttribute("data-fresh"));
  live.addEventListener("click", pause);
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", connect);

  show("off", "Connecting");
  connect();
})();
