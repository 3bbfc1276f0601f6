/* Static pictures become interactive charts, in place, when they come near.
 *
 * Without this script (or when anything in it fails) the static picture stays. Colours are
 * CSS variables in both, so neither dark mode nor print needs a script. Vega is loaded by a
 * script element, not by fetch or import: the book is also read from file://.
 */
(() => {
  "use strict";

  const folder = document.currentScript.src.replace(/[^/]*$/, "");
  let library;

  function loadLibrary() {
    library ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = folder + "vega-embed.js";
      script.onload = () => resolve(window.vegaEmbed);
      script.onerror = reject;
      document.head.append(script);
    });
    return library;
  }

  function words(tooltip) {
    if (typeof tooltip !== "object") return String(tooltip);
    return Object.entries(tooltip).map(([name, value]) => `${name}: ${value}`).join("; ");
  }

  async function upgrade(variant) {
    const chart = variant.closest(".vt-chart");
    const specifications = JSON.parse(chart.querySelector("script").textContent);
    const vegaEmbed = await loadLibrary();
    const picture = variant.querySelector("svg");
    const host = document.createElement("div");
    host.className = "vt-live";
    // A root of its own: Vega numbers its clip paths from one in every chart.
    const root = host.attachShadow({ mode: "open" });
    const mount = document.createElement("div");
    const spoken = document.createElement("div");
    const style = document.createElement("style");
    style.textContent =
      "svg { display: block } :host, div { outline: none }" +
      // Sliders and switches below a chart, in lines as wide as the chart.
      ".vega-bindings { width: min-content; min-width: 100%; font: 0.875rem/1.8 var(--pst-font-family-base); text-align: start }" +
      ".vega-bindings label { margin-inline: 0.2em 0.8em } .vega-bindings input { vertical-align: middle }" +
      "[data-current] { outline: 3px solid var(--chart-highlight); outline-offset: 2px }" +
      "[role=status] { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%) }";
    spoken.setAttribute("role", "status");
    root.append(style, mount, spoken);
    variant.append(host);
    const { view } = await vegaEmbed(mount, specifications[variant.dataset.variant], {
      actions: false,
      defaultStyle: false,
      renderer: "svg",
      patch: silence,
      tooltip: { disableDefaultStyle: true, id: "vt-tooltip" },
    });
    name(mount, picture.getAttribute("aria-label"));
    readByKeyboard(host, mount, spoken, view);
    variant.dataset.state = "live";
  }

  /* The chart is described as a whole; names for every mark and tick would drown that. */
  function silence(definition) {
    for (const part of ["marks", "axes", "legends"]) {
      for (const child of definition[part] ?? []) silence(Object.assign(child, { aria: false }));
    }
    if (typeof definition.title === "object") definition.title.aria = false;
    return definition;
  }

  function name(mount, description) {
    for (const attribute of ["role", "aria-roledescription", "aria-label"]) mount.removeAttribute(attribute);
    const svg = mount.querySelector("svg");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", description);
  }

  /* Arrow keys walk over the marks that have a tooltip; it is shown and spoken. */
  function readByKeyboard(host, mount, spoken, view) {
    const marks = () =>
      [...mount.querySelectorAll("svg *")].filter((e) => e.__data__?.tooltip && !e.querySelector("*"));
    if (!marks().length) return;
    host.tabIndex = 0;
    host.setAttribute("role", "group");
    host.setAttribute("aria-label", "Interactive chart. Arrow keys read its values.");
    let current = -1;

    const show = (mark) => {
      mount.querySelector("[data-current]")?.removeAttribute("data-current");
      const tooltip = view.tooltip();
      if (!mark) return tooltip(view, {}, null, null);
      const box = mark.getBoundingClientRect();
      const at = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
      mark.setAttribute("data-current", "");
      tooltip(view, at, mark.__data__, mark.__data__.tooltip);
      spoken.textContent = words(mark.__data__.tooltip);
    };

    host.addEventListener("keydown", (event) => {
      const all = marks();
      const moves = {
        ArrowRight: current + 1, ArrowDown: current + 1,
        ArrowLeft: current - 1, ArrowUp: current - 1,
        Home: 0, End: all.length - 1,
      };
      if (event.key === "Escape") show(null);
      if (!(event.key in moves)) return;
      event.preventDefault();
      current = (moves[event.key] + all.length) % all.length;
      show(all[current]);
    });
    host.addEventListener("blur", () => show(null));
  }

  const observer = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        observer.unobserve(target);
        upgrade(target).catch(() => target.querySelector(".vt-live")?.remove());
      }
    },
    { rootMargin: "400px 0px" },
  );
  // A variant that is not displayed never comes near: only the one in use is drawn.
  for (const variant of document.querySelectorAll(".vt-variant")) observer.observe(variant);
})();
