// The theme's search dialog has no name, which a screen reader would say.
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
