// Moves the focus for a person whose place has gone, and for no one who has gone elsewhere meanwhile.

/** Remembers where the focus is. Returns a function that focuses an element unless the person has moved the focus since. */
export function focusLater() {
  const from = document.activeElement;
  return (element) => {
    if ([from, document.body, null].includes(document.activeElement)) element.focus({ preventScroll: true });
  };
}
