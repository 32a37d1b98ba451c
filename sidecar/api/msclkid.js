/*
 * Keeps the click id of a Microsoft ad (the landing URL's `msclkid`) in a first-party cookie `msclkid` for 90 days.
 * Copy this file into your site and include it on every page that an ad may lead to:
 *
 *     <script src="/msclkid.js" defer></script>
 *
 * It calls nobody, reads nothing but the address, and works under `Content-Security-Policy: script-src 'self'`.
 * Where the law asks for consent to cookies, include it only once it was given.
 */
(function () {
  "use strict";

  var KEPT_SECONDS = 90 * 24 * 60 * 60; // as long as Microsoft counts a conversion of a click
  var CLICK_ID = /^[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}$/i;

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch (error) {
      return ""; // a broken escape: whatever it was, it is no click id
    }
  }

  /* The last usable `msclkid` of a query such as `?a=1&msclkid=…`, without dashes; empty when there is none. */
  function clickId(query) {
    var found = "";
    query.replace(/^\?/, "").split("&").forEach(function (parameter) {
      var at = parameter.indexOf("=");
      var value = decoded(parameter.slice(at + 1)).trim();
      if (at > 0 && parameter.slice(0, at).toLowerCase() === "msclkid" && CLICK_ID.test(value)) {
        found = value.replace(/-/g, "");
      }
    });
    return found;
  }

  var id = clickId(location.search);
  if (id) {
    document.cookie =
      "msclkid=" + id + "; Max-Age=" + KEPT_SECONDS + "; Path=/; SameSite=Lax" +
      (location.protocol === "https:" ? "; Secure" : "");
  }
})();
