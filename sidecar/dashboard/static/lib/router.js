// Views by address: `/#/conversions?state=dead` can be bookmarked and sent.

/** The view's name, what follows it, and the parameters of the present address. */
export function location() {
  const [path, query] = window.location.hash.replace(/^#\/?/, "").split("?", 2);
  const [name, ...rest] = path.split("/");
  return { name: name || "overview", rest: rest.map(decodeURIComponent), params: Object.fromEntries(new URLSearchParams(query)) };
}

/** The address of a view with the parameters that have a value. */
export function link(path, params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value != null && value !== ""));
  return `#/${path}${query.size ? `?${query}` : ""}`;
}

/** Replaces the parameters of the present view without a new entry in the history. */
export function replaceParams(params) {
  const { name, rest } = location();
  history.replaceState(null, "", link([name, ...rest.map(encodeURIComponent)].join("/"), params));
  dispatchEvent(new HashChangeEvent("hashchange"));
}
