// Conversions: a list with search and filters, and the receipt of the one that is opened.
import { link } from "../lib/router.js";
import { openList } from "./conversion-list.js";
import { openReceipt } from "./receipt.js";

export const title = "Conversions";

/** The list stays where it was while a receipt is open, so that closing it leads back to the same row. */
export function open(root, context) {
  const place = document.createElement("div");
  const receiptPlace = document.createElement("div");
  root.append(place, receiptPlace);
  let list = null;
  let receipt = null;
  let scrolled = 0;

  const showReceipt = (id, next) => {
    if (receipt?.id === id) return receipt.update(next);
    receipt?.close();
    if (!place.hidden) scrolled = window.scrollY;
    place.hidden = true;
    receiptPlace.hidden = false;
    receipt = { id, ...openReceipt(receiptPlace, id, next) };
    window.scrollTo(0, 0);
  };
  const showList = (next) => {
    const id = receipt?.id;
    receipt?.close();
    receipt = null;
    receiptPlace.hidden = true;
    place.hidden = false;
    if (list) list.update(next);
    else list = openList(place, next);
    if (id) {
      window.scrollTo(0, scrolled);
      list.focus(id);
    }
  };
  const update = (next) => {
    const params = withAliases(next.params);
    if (next.rest[0]?.startsWith("adj_")) showList({ ...next, params: { ...params, q: next.rest[0] } });
    else if (next.rest[0]) showReceipt(next.rest[0], { ...next, params });
    else showList({ ...next, params });
  };
  update(context);
  return {
    update,
    close() {
      list?.close();
      receipt?.close();
    },
  };
}

/** Other pages link with the name of the id that they have; all of them are searched for alike. */
function withAliases({ order_id, conversion_id, visitor_id, msclkid, ...params }) {
  const q = params.q ?? order_id ?? conversion_id ?? visitor_id ?? msclkid;
  return q ? { ...params, q } : params;
}

/** The address of a receipt, from which the list with the same parameters can be reached again. */
export const receiptLink = (id, params) => link(`conversions/${encodeURIComponent(id)}`, params);
