// Sets the theme before the first paint: the reader's choice, else the system's. A plain script, so that it runs first.
{
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // storage can be forbidden; the system's setting remains
    }
  };
  const apply = () => {
    document.documentElement.dataset.theme = chosen() ?? (dark.matches ? "dark" : "light");
    dispatchEvent(new Event("themechange"));
  };
  dark.addEventListener("change", apply);
  window.toggleTheme = () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try {
      if (next === (dark.matches ? "dark" : "light")) localStorage.removeItem("theme");
      else localStorage.setItem("theme", next);
    } catch {
      document.documentElement.dataset.theme = next;
    }
    apply();
  };
  apply();
}
