"use strict";
// One viewer per scene: layers of one size on top of each other. Without this script all of them lie side by side.
for (const viewer of document.querySelectorAll(".viewer")) {
  const stage = viewer.querySelector(".stage");
  const layers = [...stage.querySelectorAll("figure")];
  const first = layers[0].querySelector("img");
  const width = Number(first.getAttribute("width")), height = Number(first.getAttribute("height"));
  const runs = [...new Set(layers.map((layer) => layer.dataset.run).filter(Boolean))];
  let run = runs[0], shown = layers[0], before = layers[1] || layers[0], timer = 0;
  let scale = 1, fitted = 1, x = 0, y = 0;

  viewer.classList.add("js");
  stage.tabIndex = 0;
  const toolbar = document.createElement("div");
  toolbar.className = "toolbar";
  viewer.prepend(toolbar);
  const status = document.createElement("p");
  status.className = "status";
  status.setAttribute("role", "status");
  viewer.append(status);

  const available = () => layers.filter((layer) => !layer.dataset.run || layer.dataset.run === run);
  const nameOf = (layer) => layer.dataset.layer + (layer.dataset.run && runs.length > 1 ? ", " + layer.dataset.run : "");

  function button(text, title, action, parent = toolbar) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.title = title;
    made.addEventListener("click", action);
    parent.append(made);
    return made;
  }
  const choices = document.createElement("span");
  choices.setAttribute("role", "group");
  choices.setAttribute("aria-label", "Layer");
  choices.style.display = "contents";
  toolbar.append(choices);
  if (runs.length > 1) {
    const select = document.createElement("select");
    select.setAttribute("aria-label", "Run whose map is shown");
    for (const name of runs) select.add(new Option(name, name));
    select.addEventListener("change", () => {
      const kind = shown.dataset.run ? shown.dataset.layer : "";
      run = select.value;
      build();
      const same = available().find((layer) => layer.dataset.run && layer.dataset.layer === kind);
      if (same) show(same); else paint();
    });
    toolbar.append(select);
  }
  const gap = document.createElement("span");
  gap.className = "gap";
  toolbar.append(gap);
  const blinker = button("Blink", "Blink between this layer and the one before (B)", blink);
  button("+", "Zoom in (+)", () => zoom(1.5)).setAttribute("aria-label", "Zoom in");
  button("\u2212", "Zoom out (-)", () => zoom(1 / 1.5)).setAttribute("aria-label", "Zoom out");
  button("Fit", "Whole scene (0)", fit);

  function build() {
    choices.replaceChildren();
    available().forEach((layer, i) => {
      const made = button(layer.dataset.layer, i < 9 ? "Key " + (i + 1) : "", () => { stop(); show(layer); }, choices);
      made.layer = layer;
    });
  }
  function show(layer) {
    if (layer !== shown) { before = shown; shown = layer; }
    paint();
  }
  function paint() {
    for (const layer of layers) layer.hidden = layer !== shown;
    for (const made of choices.children) made.setAttribute("aria-pressed", String(made.layer === shown));
    blinker.setAttribute("aria-pressed", String(Boolean(timer)));
    if (timer) status.textContent = "Blinking: " + [nameOf(shown), nameOf(before)].sort().join(" and ");
    else status.textContent = nameOf(shown) + " \u2013 wheel or + and \u2212 zoom, drag or arrows move, 0 fits, 1\u20139 choose, B blinks with " + nameOf(before);
  }
  function blink() {
    if (timer) { stop(); return; }
    timer = setInterval(() => {
      [shown, before] = [before, shown];
      for (const layer of layers) layer.hidden = layer !== shown;
      for (const made of choices.children) made.setAttribute("aria-pressed", String(made.layer === shown));
    }, 700);
    paint();
  }
  function stop() {
    clearInterval(timer);
    timer = 0;
    paint();
  }
  function place() {
    // A part of the scene always stays in sight.
    x = Math.min(stage.clientWidth - 40, Math.max(40 - width * scale, x));
    y = Math.min(stage.clientHeight - 40, Math.max(40 - height * scale, y));
    for (const layer of layers) layer.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  }
  function fit() {
    fitted = scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
    x = (stage.clientWidth - width * scale) / 2;
    y = (stage.clientHeight - height * scale) / 2;
    place();
  }
  function zoom(factor, atX = stage.clientWidth / 2, atY = stage.clientHeight / 2) {
    const next = Math.min(40, Math.max(fitted / 2, scale * factor));
    x = atX - (atX - x) * next / scale;
    y = atY - (atY - y) * next / scale;
    scale = next;
    place();
  }
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = stage.getBoundingClientRect();
    zoom(Math.exp(-Math.max(-300, Math.min(300, event.deltaY)) / 400), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("dragging");
  });
  stage.addEventListener("pointermove", (event) => {
    if (!stage.classList.contains("dragging")) return;
    x += event.movementX;
    y += event.movementY;
    place();
  });
  for (const kind of ["pointerup", "pointercancel"]) stage.addEventListener(kind, () => stage.classList.remove("dragging"));
  stage.addEventListener("dragstart", (event) => event.preventDefault());
  const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  viewer.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const chosen = /^[1-9]$/.test(event.key) && available()[Number(event.key) - 1];
    if (chosen) { stop(); show(chosen); }
    else if (event.key === "b" || event.key === "B") blink();
    else if (event.key === "Escape") stop();
    else if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "0") fit();
    else if (moves[event.key]) { x += moves[event.key][0]; y += moves[event.key][1]; place(); }
    else return;
    event.preventDefault();
  });
  addEventListener("resize", fit);
  build();
  paint();
  fit();
}
