// Lays the pictures over one another. Everything it needs is in the page; it stores and sends nothing.
(() => {
  "use strict";
  const byId = (id) => document.getElementById(id);
  const compare = byId("compare");
  const cut = byId("cut");
  const map = compare.querySelector(".map");
  const mapOn = byId("map-on");
  const mapOpacity = byId("map-opacity");

  const show = (percent) => {
    const master = Math.min(100, Math.max(0, percent));
    compare.style.setProperty("--cut", `${master}%`);
    cut.value = String(Math.round(master));
    cut.setAttribute("aria-valuetext", `${Math.round(master)} % master, ${100 - Math.round(master)} % restoration`);
    compare.querySelector(".before figcaption").hidden = master < 12;
    compare.querySelector(".after figcaption").hidden = master > 88;
  };
  const follow = (event) => {
    const box = compare.getBoundingClientRect();
    show(((event.clientX - box.left) / box.width) * 100);
  };

  cut.addEventListener("input", () => show(Number(cut.value)));
  byId("show-master").addEventListener("click", () => show(100));
  byId("show-restoration").addEventListener("click", () => show(0));
  compare.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    compare.setPointerCapture(event.pointerId);
    cut.focus({ preventScroll: true });
    follow(event);
  });
  compare.addEventListener("pointermove", (event) => {
    if (compare.hasPointerCapture(event.pointerId)) follow(event);
  });
  mapOn.addEventListener("change", () => {
    map.classList.toggle("on", mapOn.checked);
    mapOpacity.disabled = !mapOn.checked;
  });
  mapOpacity.addEventListener("input", () => compare.style.setProperty("--map-opacity", Number(mapOpacity.value) / 100));

  document.documentElement.classList.add("js");
  byId("controls").hidden = false;
  show(50);
})();
